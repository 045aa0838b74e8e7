import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { BankUnavailable } from '../../src/broker/bank_port.ts'
import { revokeConsent } from '../../src/broker/revoke_consent.ts'
import { unlimited } from '../../src/http/limits.ts'
import { inBank } from '../../src/storage/database.ts'
import { purgeBank } from '../../src/storage/purge.ts'
import { apiApp, bank, otherBank, type ActiveConsent, type ApiApp } from '../support/api_app.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { replayLedger } from '../support/test_broker.ts'

const accounts = '/fdx/v6/accounts'
const day_ms = 86_400_000
let database: TestDatabase
let api: ApiApp
let consent: ActiveConsent
let token: string
/** Noon today, UTC, so that no day ends while a test runs. */
const noon = Math.floor(Date.now() / day_ms) * day_ms + day_ms / 2
let clock_ms: number

beforeAll(async () => {
  database = await testDatabase()
  api = await apiApp(database.serviceUrl)
})

beforeEach(async () => {
  clock_ms = noon
  Object.assign(api.broker, { readsPerDay: 10, now: () => clock_ms })
  consent = await api.consent()
  token = api.consentToken(consent)
})

afterAll(async () => {
  await replayLedger(api.broker, bank)
  await api.close()
  await database.drop()
})

const releases = async () =>
  (await api.entries(bank, consent.id)).filter(({ kind }) => kind === 'release').length
const limit = (readsPerDay: number) => Object.assign(api.broker, { readsPerDay })
const read = (headers: Record<string, string> = {}) => api.call('get', accounts, token).set(headers)

describe('reads without the customer', () => {
  it('are answered up to the limit, and not once more', async () => {
    limit(2)
    const first = await read().expect(200)
    expect(first.headers['ratelimit']).toContain('"unattended-consent";r=1;t=43200')
    expect(first.headers['ratelimit-policy']).toContain('"unattended-consent";q=2;w=86400')
    await read().expect(200)
    const { headers, body, type } = await read().expect(429)
    expect(type).toBe('application/problem+json')
    expect(body).toMatchObject({ status: 429, code: 'frequency_limit' })
    expect(headers).toMatchObject({
      'retry-after': '43200',
      'cache-control': 'no-store',
      ratelimit: expect.stringContaining('"unattended-consent";r=0;t=43200'),
    })
    expect(await releases()).toBe(2)
  })

  it('begin anew with the day, UTC', async () => {
    limit(1)
    clock_ms = noon + day_ms / 2 - 1
    consent = await api.consent() // whose bank token is good for minutes
    token = api.consentToken(consent)
    await read().expect(200)
    const { headers } = await read().expect(429)
    expect(headers['retry-after']).toBe('1')
    clock_ms += 1
    await read().expect(200)
    await read().expect(429)
    // Another process, whose clock is behind, counts on the same day.
    clock_ms -= 1
    await read().expect(429)
    expect(await releases()).toBe(2)
  })

  it('are counted to the read when fifty come at once to two processes', async () => {
    const other = api.limited(unlimited)
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        (i % 2 === 0 ? api : other).call('get', accounts, token),
      ),
    )
    expect(answers.filter(({ status }) => status === 429).length).toBeGreaterThanOrEqual(30)
    expect(await releases()).toBeLessThanOrEqual(10)
    // An answer that a busy machine did not give in time was given back: whoever asks again gets the rest.
    for (let left = 20; left > 0 && (await read()).status !== 429; left--);
    expect(await releases()).toBe(10)
  })

  it('are counted for each consent by itself, at all routes together', async () => {
    limit(3)
    await read().expect(200)
    await api.call('get', `${accounts}/${consent.checking}`, token).expect(200)
    await api.call('get', `${accounts}/${consent.savings}/transactions`, token).expect(200)
    await api.call('get', `${accounts}/${consent.savings}/transactions`, token).expect(429)
    const another = await api.consent()
    await api.call('get', accounts, api.consentToken(another)).expect(200)
  })

  it('that came to nothing are given back', async () => {
    limit(1)
    const { bankPort } = api.broker
    const { accounts: answer } = bankPort
    bankPort.accounts = () => Promise.reject(new BankUnavailable('timeout'))
    await read().expect(504)
    await read().expect(504)
    bankPort.accounts = answer
    await read().expect(200)
    await read().expect(429)
  })

  it('that are too many trouble no bank, and make no entry', async () => {
    limit(1)
    await read().expect(200)
    const { bankPort } = api.broker
    const { accounts: answer } = bankPort
    let asked = 0
    bankPort.accounts = (...args) => {
      asked += 1
      return answer(...args)
    }
    const before = await api.entries(bank)
    await read().expect(429)
    bankPort.accounts = answer
    expect(asked).toBe(0)
    expect(await api.entries(bank)).toHaveLength(before.length)
    expect(api.log.metrics.render()).toMatch(
      /countersign_limited_total\{group="unattended",by="consent"\} [1-9]/,
    )
  })

  it('are refused for what they are, where there is a reason, and count for nothing', async () => {
    limit(1)
    await api.call('get', `${accounts}/another`, token).expect(403)
    await read().expect(200)
    await api.call('get', `${accounts}/another`, token).expect(403)
    await revokeConsent(api.broker, {
      ...{ bank, consentId: consent.id, by: 'customer', reason: 'USER_ACTION' },
    })
    const { body } = await read().expect(403)
    expect(body.code).toBe('consent_revoked')
  })
})

describe('reads while the customer is there', () => {
  it.each([
    ['FDX', { 'FDX-API-Actor-Type': 'USER' }],
    ['FAPI, by IPv4', { 'x-fapi-customer-ip-address': '192.0.2.7' }],
    ['FAPI, by IPv6', { 'x-fapi-customer-ip-address': '2001:db8::7' }],
  ])('are not limited: as %s says it', async (_name, headers) => {
    limit(1)
    for (let i = 0; i < 3; i++) {
      const answer = await read(headers).expect(200)
      expect(answer.headers['ratelimit']).not.toContain('unattended')
    }
    await read().expect(200)
    await read().expect(429)
    await read(headers).expect(200)
  })

  it('are none when FDX’s header says that a batch reads', async () => {
    limit(1)
    const headers = {
      'FDX-API-Actor-Type': 'BATCH',
      'x-fapi-customer-ip-address': '192.0.2.7',
    }
    await read(headers).expect(200)
    await read(headers).expect(429)
  })

  it.each([
    ['fdx-api-actor-type', 'user'],
    ['x-fapi-customer-ip-address', 'here'],
    ['x-fapi-customer-ip-address', '192.0.2.7, 192.0.2.8'],
  ])('are not told by %s: %s', async (name, value) => {
    const { body } = await read({ [name]: value }).expect(400)
    expect(body.errors[0]).toMatchObject({ in: 'header', name })
    expect(JSON.stringify(body)).not.toContain('192.0.2')
  })

  it('leave no address behind, in the log or in the ledger', async () => {
    await read({ 'x-fapi-customer-ip-address': '192.0.2.77' }).expect(200)
    expect(JSON.stringify(api.events)).not.toContain('192.0.2.77')
    expect(JSON.stringify(await api.entries(bank))).not.toContain('192.0.2.77')
  })
})

it('without a limit nothing is counted', async () => {
  Object.assign(api.broker, { readsPerDay: undefined })
  for (let i = 0; i < 3; i++)
    expect((await read().expect(200)).headers['ratelimit']).not.toContain('unattended')
  expect(await countOf(consent.id)).toBeUndefined()
})

it('another bank sees no count, and days that have passed are forgotten', async () => {
  await read().expect(200)
  expect(await countOf(consent.id)).toBe(1)
  expect(await countOf(consent.id, otherBank)).toBeUndefined()
  await purgeBank(api.broker.db, bank)
  expect(await countOf(consent.id)).toBe(1)
  await inBank(api.broker.db, bank, (tx) =>
    tx.raw('update unattended_reads set day = day - 2 where bank_id = ?', [bank]),
  )
  await purgeBank(api.broker.db, bank)
  expect(await countOf(consent.id)).toBeUndefined()
})

function countOf(id: string, ofBank = bank): Promise<number | undefined> {
  return inBank(api.broker.db, ofBank, async (tx) => {
    const { rows } = await tx.raw<{ rows: { reads: number }[] }>(
      'select reads from unattended_reads where consent_id = ?',
      [id],
    )
    return rows[0]?.reads
  })
}
