import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { randomBytes } from 'node:crypto'
import supertest from 'supertest'
import { openDatabase } from '../../src/storage/database.ts'
import { postgresCounters } from '../../src/storage/rate_counters.ts'
import { apiApp, bank, otherBank, type ActiveConsent, type ApiApp } from '../support/api_app.ts'
import { databaseUnavailable } from '../../src/storage/unavailable.ts'
import { restartablePostgres, type RestartablePostgres } from '../support/restartable_postgres.ts'
import { replayLedger } from '../support/test_broker.ts'

let postgres: RestartablePostgres
let api: ApiApp
let consent: ActiveConsent
let held: string

beforeAll(async () => {
  postgres = await restartablePostgres()
  api = await apiApp(postgres.serviceUrl)
  consent = await api.consent()
  held = api.consentToken(consent)
})

afterAll(async () => {
  await api.close()
  await postgres.drop()
})

const released = async () =>
  (await api.entries(bank, consent.id)).filter(({ kind }) => kind === 'release').length

it('while PostgreSQL is gone nothing is released and every answer says so; back again, it goes on', async () => {
  const accounts = () => api.call('get', '/fdx/v6/accounts', held)
  await accounts().expect(200)
  const inFlight = api.broker.db.knex.raw('select pg_sleep(30)').catch((error: unknown) => error)
  await postgres.kill()
  expect(databaseUnavailable(await inFlight)).toBe(true)
  // The connections that were open die at different moments: each call must find the same answer.
  for (let call = 0; call < 4; call++) {
    const { body, headers } = await accounts().expect(503)
    expect(body.code).toBe('unavailable')
    expect(headers['retry-after']).toBe('5')
  }
  await api.call('get', `/ledger/${bank}/checkpoint`).expect(503)
  const health = await api.call('get', '/health').expect(503)
  expect(health.body).toEqual({
    status: 'unavailable',
    database: 'unavailable',
    ledgers: [],
    lost: [],
    unwitnessed: [],
  })
  await api.call('get', '/oauth/jwks').expect(200)

  await postgres.start()
  for (const id of [bank, otherBank]) await api.broker.signer.sign(id)
  await accounts().expect(200)
  expect(await released()).toBe(2)
  await api.call('get', '/health').expect(200)
  await replayLedger(api.broker, bank)
})

it('while PostgreSQL is gone each process counts requests by itself, and keeps nobody waiting', async () => {
  const counts = openDatabase(postgres.serviceUrl)
  const { app, call } = api.limited({
    counter: postgresCounters(counts, { secret: randomBytes(32) }),
    budgets: { data: { address: 3 }, files: { address: 2 } },
  })
  await call('get', '/fdx/v6/accounts', held).expect(200)
  await postgres.kill()
  const jwks = () => supertest(app).get('/oauth/jwks')
  await jwks().expect(200)
  await jwks().expect(200)
  const { headers } = await jwks().expect(429)
  expect(headers).toHaveProperty('retry-after')
  for (let call = 0; call < 3; call++) await supertest(app).get('/fdx/v6/accounts').expect(401)
  await supertest(app).get('/fdx/v6/accounts').expect(429)
  await postgres.start()
  // The table is not logged: a crash has emptied it, and the count begins anew.
  for (const id of [bank, otherBank]) await api.broker.signer.sign(id)
  await call('get', '/fdx/v6/accounts', held).expect(200)
  await counts.knex.destroy()
})
