import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals'
import supertest from 'supertest'
import { openPointer } from '../../src/broker/deliver.ts'
import { endTokens } from '../../src/broker/end_tokens.ts'
import { random128 } from '../../src/storage/ids.ts'
import { apiApp, bank, recipient, type ActiveConsent, type ApiApp } from '../support/api_app.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'

let database: TestDatabase
let api: ApiApp
let consent: ActiveConsent
let token: string

beforeAll(async () => {
  database = await testDatabase()
  api = await apiApp(database.serviceUrl)
})

beforeEach(async () => {
  consent = await api.consent({ delivery: 'link_out' })
  token = api.consentToken(consent)
})

afterAll(async () => {
  await api.close()
  await database.drop()
})

const create = (body: object, by = token) => api.call('post', '/deliveries', by).send(body)

it('gives a pointer to a page of ours, which names the consent and nothing else', async () => {
  const { body, headers } = await create({ clusters: ['BALANCES'], hours: 2 }).expect(201)
  expect(headers['location']).toBe(body.pointer_url)
  const [, pointer = ''] = /^https:\/\/broker\.example\/d\/(.+)$/.exec(body.pointer_url) ?? []
  expect(await openPointer(api.broker, pointer)).toMatchObject({
    ...{ bank, client: recipient, consentId: consent.id, clusters: ['BALANCES'] },
  })
  const left_ms = Date.parse(body.expires) - Date.now()
  expect(left_ms).toBeGreaterThan(1.9 * 3_600_000)
  expect(left_ms).toBeLessThanOrEqual(2 * 3_600_000 + 1_000)
  await supertest(api.app).get(`/d/${pointer}`).expect(200)
  expect((await api.entries(bank, consent.id)).map(({ kind }) => kind)).toEqual(['consent.grant'])
})

it('leads anywhere for 24 hours when nothing else was said', async () => {
  const { body } = await create({ clusters: ['BALANCES'] }).expect(201)
  expect(Date.parse(body.expires) - Date.now()).toBeGreaterThan(23.9 * 3_600_000)
})

it.each([
  [{}, 'clusters'],
  [{ clusters: [] }, 'clusters'],
  [{ clusters: ['BALANCES', 'BALANCES'] }, 'clusters'],
  [{ clusters: ['PAYMENTS'] }, 'clusters/0'],
  [{ clusters: ['BALANCES'], hours: 73 }, 'hours'],
  [{ clusters: ['BALANCES'], hours: 1.5 }, 'hours'],
  [{ clusters: ['BALANCES'], to: 'alice' }, 'to'],
])('refuses %j', async (body, name) => {
  const answer = await create(body).expect(400)
  expect(answer.body.errors).toMatchObject([{ in: 'body', name }])
})

it('refuses and records what the consent does not cover', async () => {
  const { body } = await create({ clusters: ['FRAUD_ALERTS'] }).expect(403)
  expect(body.code).toBe('cluster_not_approved')
  expect((await api.entries(bank, consent.id)).at(-1)).toMatchObject({
    kind: 'refusal',
    body: { reason: 'cluster_not_approved', client: recipient },
  })
})

it('gives no pointer under a consent that is read in the thread', async () => {
  const inThread = await api.consent()
  const { body } = await create({ clusters: ['BALANCES'] }, api.consentToken(inThread)).expect(403)
  expect(body.code).toBe('delivery_not_covered')
})

it('gives no pointer, no data and no consent to a token that was revoked', async () => {
  const jti = random128()
  const revoked = api.consentToken(consent, { jti })
  await endTokens(api.broker, { bank, ending: { jti }, kept_s: 300 })
  const read = await api.consent()
  const answers = [
    await create({ clusters: ['BALANCES'] }, revoked),
    await api.call('get', `/fdx/v6/consents/${consent.id}`, revoked),
    await api.call('get', '/fdx/v6/accounts', api.consentToken(read, { jti })),
  ]
  for (const { status, body, headers } of answers) {
    expect({ status, code: body.code }).toEqual({ status: 401, code: 'token_revoked' })
    expect(headers['www-authenticate']).toMatch(/^DPoP error="invalid_token", .*algs="/)
  }
  await create({ clusters: ['BALANCES'] }).expect(201)
})

it('gives no pointer to a token that opens no consent', async () => {
  const own = api.clientToken(recipient, 'grant_management_query')
  await create({ clusters: ['BALANCES'] }, own).expect(403)
  await api.call('post', '/deliveries').send({}).expect(401)
})

it('reads nothing deep and compares no long list, whatever is sent', async () => {
  const deep = '['.repeat(8_000) + ']'.repeat(8_000)
  const many = JSON.stringify(Array.from({ length: 9_000 }, (_, i) => [i]))
  for (const clusters of [`[${deep},${deep}]`, many]) {
    const answer = await api
      .call('post', '/deliveries', token)
      .type('application/json')
      .send(`{"clusters":${clusters}}`)
      .expect(400)
    expect(answer.body.errors[0]).toMatchObject({ in: 'body' })
  }
})
