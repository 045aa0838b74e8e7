import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import supertest from 'supertest'
import { apiApp, bank, otherBank, type ApiApp } from '../support/api_app.ts'
import { withClient } from '../../sandbox/postgres_database.ts'
import { indexLedger } from '../../src/broker/index_ledger.ts'
import { readLeaves } from '../../src/storage/ledgers.ts'
import { EntriesLost } from '../../src/storage/lost_entries.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { originOf } from '../support/test_broker.ts'

let database: TestDatabase
let api: ApiApp

beforeAll(async () => {
  database = await testDatabase()
  api = await apiApp(database.serviceUrl)
})

afterAll(async () => {
  await api.close()
  await database.drop()
})

it('is well while every ledger is signed', async () => {
  for (const id of [bank, otherBank]) await api.broker.signer.sign(id)
  const { body } = await api.call('get', '/health').expect(200)
  expect(body).toEqual({ status: 'ok', database: 'ok', ledgers: [], lost: [], unwitnessed: [] })
})

it('is looked at once for all who ask meanwhile', async () => {
  const { knex } = api.broker.db
  const statementsOf = async (askers: number): Promise<number> => {
    let statements = 0
    const count = () => (statements += 1)
    knex.on('query', count)
    await Promise.all(Array.from({ length: askers }, () => api.call('get', '/health')))
    knex.off('query', count)
    return statements
  }
  const alone = await statementsOf(1)
  expect(alone).toBeGreaterThan(0)
  expect(await statementsOf(40)).toBeLessThan(20 * alone)
})

describe('when a ledger must not be signed any more', () => {
  it('says which and why; its releases stop, its revocations and the other banks go on', async () => {
    const consent = await api.consent()
    const { marks, signer } = api.broker
    const origin = originOf(bank)
    await marks.replace(origin, await marks.read(origin), { size: 9_999, root: 'another' })
    await signer.sign(bank)
    const { body } = await api.call('get', '/health').expect(503)
    expect(body).toMatchObject({
      ...{ status: 'unavailable', database: 'ok' },
      ledgers: [{ bank, why: expect.stringContaining('the mark is at 9999') }],
    })
    const refused = await api.call('get', '/fdx/v6/accounts', api.consentToken(consent)).expect(503)
    expect(refused.body.code).toBe('releases_stopped')
    expect(refused.headers['retry-after']).toBe('5')
    const kinds = (await api.entries(bank, consent.id)).map(({ kind }) => kind)
    expect(kinds).toEqual(['consent.grant'])
    const index = (await api.entries(bank)).length - 1
    await api.call('get', `/ledger/${bank}/proof/${index}`).expect(503)
    await api
      .call(
        'put',
        `/fdx/v6/consents/${consent.id}/revocation`,
        api.clientToken('back-end', 'consents:revoke', bank),
      )
      .send({ reason: 'USER_ACTION', initiator: 'INDIVIDUAL' })
      .expect(204)
    await api.call('get', `/ledger/${otherBank}/proof/0`).expect(200)
  })
})

describe('when a signed entry is gone', () => {
  it('is an alarm, once however many look for it, says of which bank and which, and ends when it is put back', async () => {
    const { broker } = api
    const token = await api.auditorToken('ledger:read', otherBank)
    await broker.signer.sign(otherBank)
    const path = `/ledger/${otherBank}/tile/entries/000.p/1`
    await api.call('get', path, token).expect(200)
    await withClient(database.ownerUrl, async (client) => {
      await client.query('alter table entries disable trigger user')
      await client.query(
        `create table kept as select * from entries where bank_id = '${otherBank}' and n = 0`,
      )
      await client.query('delete from entries where bank_id = $1 and n = 0', [otherBank])
      await client.query('alter table entries enable trigger user')
    })
    const said = broker.alarms.length
    for (let asked = 0; asked < 3; asked++) {
      const { body } = await api.call('get', path, token).expect(503)
      expect(body.code).toBe('unavailable')
    }
    await expect(indexLedger(broker, otherBank)).rejects.toThrow(EntriesLost)
    const why = 'lost: entry 0: not in the database, and no archive is configured (ARCHIVE)'
    expect(broker.alarms.slice(said)).toEqual([`${otherBank}: ${why}`])
    const { body } = await api.call('get', '/health').expect(503)
    expect(body).toMatchObject({ status: 'unavailable', lost: [{ bank: otherBank, why }] })

    await withClient(database.ownerUrl, (client) =>
      client.query('insert into entries select * from kept'),
    )
    // That releases of the first bank are stopped is another matter.
    expect((await api.call('get', '/health')).body.lost).toEqual([])
  })

  it('is none where an entry is asked for that is not there yet', async () => {
    const said = api.broker.alarms.length
    expect(await readLeaves(api.broker.db, otherBank, { from: 5_000, to: 5_010 })).toEqual([])
    expect(api.broker.alarms).toHaveLength(said)
  })
})

describe('counters', () => {
  it('are given to this machine', async () => {
    api.log.metrics.add('countersign_refusals_total', { reason: 'class_denied' })
    const { text, headers } = await api.call('get', '/metrics').expect(200)
    expect(headers['content-type']).toContain('version=0.0.4')
    expect(text).toContain('countersign_refusals_total{reason="class_denied"} 1\n')
  })

  it.each(['forwarded', 'via', 'x-forwarded-for', 'x-real-ip'])(
    'are not there for a request that a proxy passed on with %s',
    async (header) => {
      await api.call('get', '/metrics').set(header, '127.0.0.1').expect(404)
    },
  )
})

it('sends no page of another origin a document of ours, and names no software', async () => {
  const { headers } = await supertest(api.app).get('/nowhere').expect(404)
  expect(headers).not.toHaveProperty('x-powered-by')
  expect(headers).not.toHaveProperty('access-control-allow-origin')
  expect(headers).toMatchObject({
    'content-security-policy': "default-src 'none';frame-ancestors 'none'",
    'x-content-type-options': 'nosniff',
    'strict-transport-security': expect.any(String),
  })
})

it('says nothing of a path that cannot be decoded', async () => {
  const { body } = await supertest(api.app).get('/fdx/v6/accounts/%ff').expect(400)
  expect(body).toMatchObject({ code: 'malformed', detail: 'the request cannot be read' })
})
