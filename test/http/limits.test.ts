import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { createServer as createTcpServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals'
import supertest, { type Response } from 'supertest'
import type { RateLimiting } from '../../src/http/limits.ts'
import { openContract, readDocument } from '../../src/http/contract.ts'
import { rateLimits, routeFacts, window_s } from '../../src/http/rate_limits.ts'
import { openDatabase, type Database } from '../../src/storage/database.ts'
import { purgeGlobal } from '../../src/storage/purge.ts'
import { memoryCounters, postgresCounters } from '../../src/storage/rate_counters.ts'
import { apiApp, bank, recipient, type ActiveConsent, type ApiApp } from '../support/api_app.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'

const accounts = '/fdx/v6/accounts'
let database: TestDatabase
let counts: Database
let api: ApiApp
let consent: ActiveConsent
let token: string

beforeAll(async () => {
  database = await testDatabase()
  counts = openDatabase(database.serviceUrl)
  api = await apiApp(database.serviceUrl)
  consent = await api.consent()
  token = api.consentToken(consent)
})

// Releases stop when a ledger that grew is not signed, and nobody else does it here.
beforeEach(() => api.broker.signer.sign(bank))

afterAll(async () => {
  await api.close()
  await counts.knex.destroy()
  await database.drop()
})

const inMemory = (budgets: RateLimiting['budgets']): RateLimiting => ({
  ...{ counter: memoryCounters(), budgets },
})
const inPostgres = (budgets: RateLimiting['budgets'], secret: Buffer): RateLimiting => ({
  // A machine that is busy with other tests may be slow to answer.
  counter: postgresCounters(counts, { secret, answer_ms_max: 20_000 }),
  budgets,
})
/** Answers come in real time; only the clock that windows are measured by is set. */
const everythingButDate = [
  ...(['hrtime', 'nextTick', 'performance', 'queueMicrotask'] as const),
  ...(['setImmediate', 'clearImmediate', 'setInterval', 'clearInterval'] as const),
  ...(['setTimeout', 'clearTimeout'] as const),
]
const statuses = (answers: readonly Response[]) => answers.map(({ status }) => status)

async function times<T>(count: number, ask: () => PromiseLike<T>): Promise<T[]> {
  const answers: T[] = []
  for (let i = 0; i < count; i++) answers.push(await ask())
  return answers
}

describe('by address', () => {
  it('answers as many as are allowed, and not one more', async () => {
    const { call } = api.limited(inMemory({ data: { address: 3 } }))
    const answers = await times(5, () => call('get', accounts))
    expect(statuses(answers)).toEqual([401, 401, 401, 429, 429])
    expect(answers[0]?.headers).toMatchObject({
      'ratelimit-policy': `"data-address";q=3;w=${window_s}`,
      ratelimit: `"data-address";r=2;t=${window_s}`,
    })
    const { headers, body, type } = answers[3] ?? {}
    expect(headers?.['ratelimit']).toMatch(/^"data-address";r=0;t=\d+$/)
    expect(Number(headers?.['retry-after'])).toBeGreaterThan(0)
    expect(Number(headers?.['retry-after'])).toBeLessThanOrEqual(window_s)
    expect(headers?.['x-fapi-interaction-id']).toBeDefined()
    expect(headers?.['cache-control']).toBe('no-store')
    expect(type).toBe('application/problem+json')
    expect(body).toEqual({
      type: 'https://broker.example/problems/too_many_requests',
      title: 'Too many requests',
      status: 429,
      code: 'too_many_requests',
      detail: 'there were too many requests: wait',
    })
  })

  it('gives no data to who is one too many, token or not, and makes no entry', async () => {
    const { call } = api.limited(inMemory({ data: { address: 1 } }))
    await call('get', accounts, token).expect(200)
    const before = await api.entries(bank)
    const { text } = await call('get', accounts, token).expect(429)
    expect(text).not.toContain(consent.checking)
    expect(await api.entries(bank)).toHaveLength(before.length)
  })

  it('is told the connection’s, whatever a header says', async () => {
    const { call } = api.limited(inMemory({ data: { address: 2 } }))
    const from = (address: string) =>
      call('get', accounts).set({
        ...{ 'X-Forwarded-For': address, Forwarded: `for=${address}` },
        'X-Real-IP': address,
      })
    await from('192.0.2.1').expect(401)
    await from('192.0.2.2').expect(401)
    await from('192.0.2.3').expect(429)
  })

  it('counts IPv4 and IPv6 of the loopback apart, and each by itself', async () => {
    const { app } = api.limited(inMemory({ data: { address: 1 } }))
    const server = createServer(app).listen(0, '::')
    await once(server, 'listening')
    const address = server.address()
    const port = typeof address === 'object' ? address?.port : 0
    const status = async (host: string) => (await fetch(`http://${host}:${port}${accounts}`)).status
    expect(await status('127.0.0.1')).toBe(401)
    expect(await status('[::1]')).toBe(401)
    expect(await status('127.0.0.1')).toBe(429)
    expect(await status('[::1]')).toBe(429)
    server.close()
    server.closeAllConnections()
  })

  it('lets in again when the window has ended', async () => {
    const { call } = api.limited(inMemory({ data: { address: 1 } }))
    jest.useFakeTimers({ doNotFake: everythingButDate })
    try {
      await call('get', accounts).expect(401)
      jest.setSystemTime(Date.now() + window_s * 1000 - 1)
      await call('get', accounts).expect(429)
      jest.setSystemTime(Date.now() + 1)
      await call('get', accounts).expect(401)
      await call('get', accounts).expect(429)
    } finally {
      jest.useRealTimers()
    }
  })
})

it('two servers of one process count together', async () => {
  const limiting = inMemory({ data: { address: 2 } })
  const [one, two] = [api.limited(limiting), api.limited(limiting)]
  await one.call('get', accounts).expect(401)
  await two.call('get', accounts).expect(401)
  await one.call('get', accounts).expect(429)
  await two.call('get', accounts).expect(429)
})

describe('behind our own proxies', () => {
  const loopback = ['127.0.0.1', '::ffff:127.0.0.1', '10.0.0.9']
  const behind = (points: number) => {
    const { call } = api.limited(inMemory({ data: { address: points } }), loopback)
    return async (forwarded?: string) => {
      const asked = call('get', accounts)
      const { status } = await (forwarded === undefined
        ? asked
        : asked.set('X-Forwarded-For', forwarded))
      return status
    }
  }

  it('an address is the one that the proxy tells', async () => {
    const from = behind(1)
    expect(await from('192.0.2.1')).toBe(401)
    expect(await from('192.0.2.2')).toBe(401)
    expect(await from('192.0.2.1')).toBe(429)
  })

  it('of IPv6 the first 64 bits', async () => {
    const from = behind(2)
    expect(await from('2001:db8:1:2::1')).toBe(401)
    expect(await from('2001:db8:1:2:ffff:ffff:ffff:ffff')).toBe(401)
    expect(await from('2001:db8:1:2::3')).toBe(429)
    expect(await from('2001:db8:1:3::3')).toBe(401)
  })

  it('nobody gets another one by what is sent to the proxy', async () => {
    const from = behind(1)
    expect(await from('198.51.100.1, 192.0.2.1')).toBe(401)
    expect(await from('198.51.100.2, 192.0.2.1')).toBe(429)
    expect(await from('10.0.0.9, 127.0.0.1, 192.0.2.1')).toBe(429)
    expect(await from('192.0.2.1, 10.0.0.9')).toBe(429)
  })

  it('what is no address, or missing, is the proxy’s own', async () => {
    const from = behind(2)
    expect(await from('unknown')).toBe(401)
    expect(await from()).toBe(401)
    expect(await from('_hidden')).toBe(429)
    expect(await from('192.0.2.1')).toBe(401)
    expect(await from('192.0.2.1:443')).toBe(401)
    expect(await from('192.0.2.1:444')).toBe(429)
  })
})

describe('by client', () => {
  it('counts a client after it has authenticated, wherever it calls from', async () => {
    const { call } = api.limited(inMemory({ data: { client: 2 } }))
    await times(3, () => call('get', accounts).expect(401))
    const [first] = await times(2, () => call('get', accounts, token).expect(200))
    expect(first?.headers['ratelimit']).toBe(`"data-client";r=1;t=${window_s}`)
    const { headers } = await call('get', accounts, token).expect(429)
    expect(headers['ratelimit']).toMatch(/^"data-client";r=0;t=\d+$/)
  })

  it('holds no client against another', async () => {
    const { call } = api.limited(inMemory({ data: { client: 1 } }))
    await call('get', accounts, token).expect(200)
    await call('get', accounts, token).expect(429)
    const other = api.consentToken(consent, { clientId: 'other-recipient' })
    await call('get', accounts, other).expect(403)
  })

  it('tells both limits where both hold', async () => {
    const { call } = api.limited(inMemory({ data: { address: 7, client: 9 } }))
    const { headers } = await call('get', accounts, token).expect(200)
    expect(headers['ratelimit']).toBe('"data-address";r=6;t=60, "data-client";r=8;t=60')
    expect(headers['ratelimit-policy']).toBe('"data-address";q=7;w=60, "data-client";q=9;w=60')
  })

  it('counts at grants too', async () => {
    const { call } = api.limited(inMemory({ calls: { client: 1 } }))
    const own = api.clientToken(recipient, 'grant_management_query')
    await call('get', `/oauth/grants/${consent.id}`, own).expect(200)
    const { body } = await call('get', `/oauth/grants/${consent.id}`, own).expect(429)
    expect(body.error).toBe('too_many_requests')
  })
})

describe('each surface says it in its own words', () => {
  const nothing = { calls: { address: 1 }, files: { address: 1 }, pages: { address: 1 } }

  it('the OAuth endpoints in OAuth’s', async () => {
    const { call } = api.limited(inMemory(nothing))
    await call('post', '/oauth/token').expect(400)
    const { body, headers } = await call('post', '/oauth/token').expect(429)
    expect(body).toEqual({
      error: 'too_many_requests',
      error_description: 'there were too many requests: wait',
    })
    expect(headers['cache-control']).toBe('no-store')
  })

  it('pages with a page', async () => {
    const { app } = api.limited(inMemory(nothing))
    const path = '/oauth/authorize?client_id=a&request_uri=b'
    await supertest(app).get(path).expect(400)
    const { text, headers, type } = await supertest(app).get(path).expect(429)
    expect(type).toBe('text/html')
    expect(text).toContain('Please wait a minute')
    expect(headers['content-security-policy']).toContain("style-src 'self'")
    expect(headers['cache-control']).toBe('no-store')
  })

  it('public files without telling caches how a caller stands', async () => {
    const { call } = api.limited(inMemory(nothing))
    const path = `/ledger/${bank}/checkpoint`
    expect((await call('get', path).expect(200)).headers).not.toHaveProperty('ratelimit')
    const { headers } = await call('get', path).expect(429)
    expect(headers).toMatchObject({ 'cache-control': 'no-store', ratelimit: expect.any(String) })
  })

  it('and a path that leads nowhere is counted as well', async () => {
    const { call } = api.limited(inMemory(nothing))
    await call('get', '/nowhere').expect(404)
    await supertest(api.limited(inMemory({ calls: { address: 0 } })).app)
      .get('/nowhere')
      .expect(429)
  })
})

describe('revocation', () => {
  const flooded = { data: { address: 1, client: 1 }, calls: { address: 1, client: 1 } }
  const everything = { ...flooded, pages: { address: 1 }, files: { address: 1 } }
  const budgets = { ...everything, revocation: rateLimits.revocation }

  it('gets through a flood of everything else, by recipient, bank and customer', async () => {
    const { app, call } = api.limited(inMemory(budgets))
    const ended = await api.consent()
    const held = api.consentToken(ended)
    const own = api.clientToken(recipient, 'grant_management_revoke')
    const flood = [accounts, '/deliveries', '/oauth/authorize', `/ledger/${bank}/checkpoint`]
    for (const path of flood) await times(3, () => supertest(app).get(path))
    await call('get', accounts, held).expect(429)
    await call('get', `/fdx/v6/consents/${ended.id}`, own).expect(429)
    await supertest(app).get('/connections').expect(200)
    await call('delete', `/oauth/grants/${ended.id}`, own).expect(204)
    const back = api.clientToken('back-end', 'consents:revoke', bank)
    const other = await api.consent()
    const answer = await call('put', `/fdx/v6/consents/${other.id}/revocation`, back).send({
      ...{ reason: 'BUSINESS_RULE', initiator: 'DATA_PROVIDER' },
    })
    expect(answer.status).toBe(204)
  })

  it('is every operation that ends access', () => {
    const ending = /^(revoke|suspend|disable|end)/
    const found = openContract()
      .operations.filter(({ id }) => ending.test(id))
      .map(({ id, method, path }) => [
        id,
        routeFacts(method.toUpperCase(), path.replace(/\{\w+\}/g, 'x')).group,
      ])
    expect(Object.fromEntries(found)).toEqual({
      revokeConsent: 'revocation',
      revokeGrant: 'revocation',
      revokeToken: 'revocation',
      suspendRecipient: 'revocation',
      disableRecipient: 'revocation',
      disableClient: 'revocation',
    })
  })

  it('is not limited by client', () => {
    expect(rateLimits.revocation).not.toHaveProperty('client')
  })
})

describe('every route of openapi.yaml', () => {
  const { operations } = openContract()

  it('is of a group with a limit, but for those of operation', () => {
    const free = operations.filter(({ method, path }) => {
      const { group } = routeFacts(method.toUpperCase(), path.replace(/\{\w+\}/g, 'x'))
      return rateLimits[group].address === undefined
    })
    expect(free.map(({ path }) => path)).toEqual(['/health', '/metrics'])
  })

  it('describes 429, but for those of operation', () => {
    const { paths } = readDocument()
    const without = operations.filter(
      ({ method, path }) => !('429' in Object(paths)[path][method].responses),
    )
    expect(without.map(({ path }) => path)).toEqual(['/health', '/metrics'])
  })

  it('has the figures that the contract names', () => {
    const { info } = Object(readDocument())
    const cell = (points?: number) => (points === undefined ? '' : points.toLocaleString('en-US'))
    for (const [group, { address, client }] of Object.entries(rateLimits))
      if (group !== 'operation')
        expect(info.description).toMatch(
          new RegExp(`\\| \`${group}\` \\|.*\\| ${cell(address)} \\| ?${cell(client)} ?\\|`),
        )
  })
})

it('health and metrics are never limited', async () => {
  const { app } = api.limited(inMemory({ ...rateLimits, calls: { address: 1 } }))
  const answers = await times(20, () => supertest(app).get('/health'))
  expect(statuses(answers).filter((status) => status === 429)).toEqual([])
  await supertest(app).get('/metrics').expect(200)
})

it('counts what it refused', async () => {
  const { call } = api.limited(inMemory({ data: { address: 1 } }))
  const limited = () =>
    /countersign_limited_total\{group="data",by="address"\} (\d+)/.exec(api.log.metrics.render())
  const before = Number(limited()?.[1] ?? 0)
  await times(3, () => call('get', accounts))
  expect(Number(limited()?.[1])).toBe(before + 2)
})

describe('in PostgreSQL', () => {
  it('two processes count together', async () => {
    const secret = randomBytes(32)
    const [one, two] = [0, 1].map(() => api.limited(inPostgres({ data: { address: 3 } }, secret)))
    const calls = [one, two, one, two, one, two]
    const answers: (number | undefined)[] = []
    for (const process of calls) answers.push((await process?.call('get', accounts))?.status)
    expect(answers).toEqual([401, 401, 401, 429, 429, 429])
  })

  it('fifty at once, over two processes, are counted to the request', async () => {
    const secret = randomBytes(32)
    const counted = { name: 'data-client', points: 20, window_s }
    const one = inPostgres({}, secret).counter(counted)
    const two = inPostgres({}, secret).counter(counted)
    const spent = await Promise.all(
      Array.from({ length: 50 }, (_, i) => (i % 2 === 0 ? one('client') : two('client'))),
    )
    expect(spent.filter(({ over }) => !over)).toHaveLength(20)
    expect(spent.filter(({ over }) => over)).toHaveLength(30)
  })

  it('that takes connections and never answers keeps nobody waiting for it, and lets nobody in uncounted', async () => {
    const sockets: Socket[] = []
    const silent = createTcpServer((socket) => void sockets.push(socket)).listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const address = silent.address()
    const port = typeof address === 'object' ? address?.port : 0
    const hanging = openDatabase(`postgres://nobody@127.0.0.1:${port}/none`)
    const count = postgresCounters(hanging, { secret: randomBytes(32), answer_ms_max: 20 })({
      ...{ name: 'data-client', points: 2, window_s },
    })
    const spent = await times(3, () => count('client'))
    expect(spent.map(({ over }) => over)).toEqual([false, false, true])
    for (const socket of sockets) socket.destroy()
    silent.close()
    await hanging.knex.destroy()
  })

  it('keeps no address and no client, and forgets windows that have ended', async () => {
    const secret = randomBytes(32)
    const { call } = api.limited({
      ...inPostgres({ data: { address: 5, client: 5 } }, secret),
      window_s: 1,
    })
    await call('get', accounts, token).expect(200)
    const rows = async () => {
      const found = await counts.knex.raw<{ rows: { key: string; expire: string }[] }>(
        `select key, expire from rate_limits`,
      )
      return found.rows
    }
    const kept = await rows()
    expect(kept.length).toBeGreaterThan(0)
    for (const { key } of kept) expect(key).toMatch(/^data-(address|client):[A-Za-z0-9_-]{43}$/)
    const ends = Math.max(
      ...kept.map(({ expire }) => Number(expire)).filter((at) => at < Date.now() + 2_000),
    )
    await sleep(Math.max(0, ends - Date.now()) + 50)
    await purgeGlobal(counts)
    expect((await rows()).filter(({ expire }) => Number(expire) <= ends)).toEqual([])
  })
})
