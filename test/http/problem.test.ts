import { describe, expect, it } from '@jest/globals'
import express, { type Express } from 'express'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import supertest from 'supertest'
import { OAuthError } from '../../src/authorization/oauth_error.ts'
import { DoorBusy, DoorUnavailable, ReleasesStopped } from '../../src/broker/append.ts'
import { BankRefused, BankUnavailable } from '../../src/broker/bank_port.ts'
import { AnswerTooLate } from '../../src/broker/release.ts'
import { Refusal, refusalReasons } from '../../src/consent/refusal.ts'
import { problems, RequestError } from '../../src/http/problem.ts'
import { openDatabase } from '../../src/storage/database.ts'

function failing(error: unknown): Express {
  const app = express()
  app.get('/', () => {
    throw error
  })
  app.post('/', express.json({ limit: 100 }), (_req, res) => {
    res.end()
  })
  app.get('/half', (_req, res) => {
    res.write('half of ')
    throw error
  })
  app.use(problems('https://broker.example'))
  return app
}

describe('a problem document', () => {
  it.each<[string, number, unknown, string]>([
    ['consent_revoked', 403, new Refusal('consent_revoked'), 'consent revoked'],
    ['consent_unknown', 404, new Refusal('consent_unknown'), 'consent unknown'],
    ['token_revoked', 401, new Refusal('token_revoked'), 'token revoked'],
    ['insufficient_scope', 403, new OAuthError('insufficient_scope', 'no'), 'no'],
    ['ended', 409, new RequestError(409, 'ended', 'it has ended'), 'it has ended'],
    ['busy', 503, new DoorBusy('queue of first-bank'), 'the ledger is busy'],
    ['unavailable', 503, new DoorUnavailable('db-7 is down'), 'the ledger cannot be reached'],
    [
      'releases_stopped',
      503,
      new ReleasesStopped('why'),
      'no data is released until the ledger is signed again',
    ],
    [
      'answer_too_late',
      503,
      new AnswerTooLate('x'),
      'the answer was not ready in time and was dropped',
    ],
    ['bank_timeout', 504, new BankUnavailable('timeout'), 'the bank did not answer as it should'],
    [
      'bank_bad_answer',
      502,
      new BankUnavailable('bad_answer', 'x'),
      'the bank did not answer as it should',
    ],
    ['bank_refused_invalid_token', 502, new BankRefused('invalid_token'), 'the bank refused'],
    [
      'internal',
      500,
      new Error('at /srv/broker.ts: password=1'),
      'something went wrong on our side',
    ],
    ['internal', 500, 'what is no error', 'something went wrong on our side'],
  ])('of code %s has status %d', async (code, status, error, detail) => {
    const { body, headers } = await supertest(failing(error)).get('/').expect(status)
    expect(headers['content-type']).toBe('application/problem+json; charset=utf-8')
    expect(headers['cache-control']).toBe('no-store')
    expect(body).toEqual({
      type: `https://broker.example/problems/${code}`,
      title: expect.any(String),
      status,
      detail,
      code,
    })
  })

  it('has a status for every refusal', async () => {
    for (const reason of refusalReasons) {
      const { status } = await supertest(failing(new Refusal(reason))).get('/')
      expect([401, 403, 404]).toContain(status)
    }
  })

  it('says when to come back while something is not available', async () => {
    const { headers } = await supertest(failing(new DoorBusy('x'))).get('/')
    expect(headers['retry-after']).toBe('1')
  })

  it.each([
    ['{"a":', 400, 'malformed'],
    [JSON.stringify({ a: 'x'.repeat(100) }), 413, 'body_too_large'],
  ])('repeats nothing of a body that cannot be read', async (text, status, code) => {
    const { body } = await supertest(failing(0)).post('/').type('json').send(text).expect(status)
    expect(body).toMatchObject({ status, code })
    expect(JSON.stringify(body)).not.toMatch(/xxx|JSON|position/)
  })

  it('for a path that is not well-formed', async () => {
    const app = express()
    app.get('/:id', (_req, res) => {
      res.end()
    })
    app.use(problems('https://broker.example'))
    const { body } = await supertest(app).get('/%E0%A4%A').expect(400)
    expect(body.code).toBe('malformed')
  })

  it('never follows the beginning of another answer: that is cut off', async () => {
    await expect(supertest(failing(new Error('x'))).get('/half')).rejects.toThrow()
  })

  it('for a database that cannot be reached is 503', async () => {
    const { knex } = openDatabase('postgres://nobody@127.0.0.1:1/nothing')
    const error: unknown = await knex.raw('select 1').catch((caught: unknown) => caught)
    await knex.destroy()
    await supertest(failing(error)).get('/').expect(503)
  })

  it.each(['57P01', '57014', '08006', '53100', '53300'])(
    'for a database that answers %s is 503',
    async (code) => {
      const error = Object.assign(new Error('terminating connection'), { code })
      await supertest(failing(error)).get('/').expect(503)
    },
  )

  it.each(['23505', '42P01', 'CS001'])('for a fault of ours (%s) is 500', async (code) => {
    await supertest(failing(Object.assign(new Error('x'), { code })))
      .get('/')
      .expect(500)
  })
})

it('has no code that the contract leaves out', () => {
  const root = join(import.meta.dirname, '../..')
  const folder = join(root, 'src/http')
  const codes = readdirSync(folder).flatMap((file) =>
    [
      ...readFileSync(join(folder, file), 'utf8').matchAll(
        /\b(?:problem|retry|RequestError)\(\s*\d+,\s*'([a-z_]+)'/g,
      ),
    ].map(([, code = '']) => code),
  )
  const table =
    readFileSync(join(root, 'openapi.yaml'), 'utf8').match(/^ {4}\| [45]\d\d.*$/gm) ?? []
  expect(codes).toContain('ledger_closed')
  expect(
    codes.filter((code) => code !== 'internal' && !table.join().includes(`\`${code}\``)),
  ).toEqual([])
})
