import { describe, expect, it } from '@jest/globals'
import { Refusal } from '../../src/consent/refusal.ts'
import { openLog } from '../../src/observe/log.ts'

function logged(work: (log: ReturnType<typeof openLog>) => void) {
  const lines: string[] = []
  const log = openLog('info', { write: (line) => void lines.push(line) })
  work(log)
  return { lines: lines.map((line) => JSON.parse(line)), metrics: log.metrics.render() }
}

const request = { method: 'GET', route: '/fdx/v6/accounts', status: 200, duration_ms: 500 }

describe('the log', () => {
  it('has one line a request, with who and what came of it', () => {
    const { lines } = logged((log) => log.request({ ...request, client_id: 'messenger' }))
    expect(lines).toEqual([
      { level: 30, time: expect.any(String), event: 'request', ...request, client_id: 'messenger' },
    ])
  })

  it('names the reason of a refusal, and counts it', () => {
    const error = new Refusal('class_denied')
    const { lines, metrics } = logged((log) => log.request({ ...request, status: 403, error }))
    expect(lines).toMatchObject([{ refusal: 'class_denied', status: 403 }])
    expect(metrics).toContain('countersign_refusals_total{reason="class_denied"} 1\n')
  })

  it('says of an error where it came from and what caused it', () => {
    const cause = Object.assign(new Error('no route'), { code: 'EHOSTUNREACH' })
    const error = new TypeError('not so', { cause })
    const { lines } = logged((log) => log.request({ ...request, status: 500, error }))
    expect(lines).toMatchObject([
      {
        ...{ level: 50, error: 'TypeError', message: 'not so' },
        at: expect.arrayContaining([expect.stringContaining('log.test.ts')]),
        cause: { error: 'Error', code: 'EHOSTUNREACH', message: 'no route' },
      },
    ])
  })

  it('keeps back what a database or a parser quotes', () => {
    const quoting = Object.assign(new Error('value "secret" is wrong'), { severity: 'ERROR' })
    const unreadable = new SyntaxError('Unexpected token, "secret" is not valid JSON')
    for (const error of [quoting, unreadable]) {
      const { lines } = logged((log) => log.request({ ...request, status: 500, error }))
      expect(JSON.stringify(lines)).not.toContain('secret')
    }
  })

  it('tells of what banks send too much, of duties that fail, and of alarms', () => {
    const { lines, metrics } = logged((log) => {
      log.dropped('citi', 0)
      log.dropped('citi', 3)
      log.failed('sign', 'citi', new Error('another process moved the mark'))
      log.alarm('citi', 'the mark is missing')
    })
    expect(lines).toMatchObject([
      { event: 'dropped', bank: 'citi', count: 3 },
      { event: 'failed', duty: 'sign', bank: 'citi', message: 'another process moved the mark' },
      { event: 'alarm', level: 60, about: 'citi', why: 'the mark is missing' },
    ])
    expect(metrics).toContain('countersign_dropped_total{bank="citi"} 3\n')
  })
})

describe('counters', () => {
  it('add up by their labels, in the text that Prometheus reads', () => {
    const { metrics } = logged((log) => {
      log.request(request)
      log.request(request)
      log.request({ ...request, status: 503 })
    })
    expect(metrics).toContain(
      [
        '# HELP countersign_requests_total Requests answered, by route, method and status.',
        '# TYPE countersign_requests_total counter',
        'countersign_requests_total{route="/fdx/v6/accounts",method="GET",status="200"} 2',
        'countersign_requests_total{route="/fdx/v6/accounts",method="GET",status="503"} 1',
        '',
      ].join('\n'),
    )
    expect(metrics).toContain('countersign_request_seconds_total{route="/fdx/v6/accounts"} 1.5\n')
  })

  it('let no label break out of its line', () => {
    const { metrics } = logged((log) => log.alarm('a"} 9\n', 'why'))
    expect(metrics).toContain('countersign_alarms_total{about="a_} 9_"} 1\n')
  })
})
