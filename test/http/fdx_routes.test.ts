import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import supertest from 'supertest'
import { BankUnavailable, type TransactionsQuery } from '../../src/broker/bank_port.ts'
import { revokeConsent } from '../../src/broker/revoke_consent.ts'
import { limits } from '../../src/consent/terms.ts'
import { leafHash } from '../../src/merkle/tree.ts'
import { readLeaves } from '../../src/storage/ledgers.ts'
import { nodeHasher } from '../../src/storage/node_crypto.ts'
import { apiApp, bank, recipient, type ActiveConsent, type ApiApp } from '../support/api_app.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { checking } from '../support/fake_banks.ts'
import { replayLedger } from '../support/test_broker.ts'

const accounts = '/fdx/v6/accounts'
const interaction = 'C770AEF3-6784-41F7-8E0E-FF5F97BDDB3A'
let database: TestDatabase
let api: ApiApp
let consent: ActiveConsent
let token: string
let asked: TransactionsQuery[]
let nextPageKey: string | undefined

beforeAll(async () => {
  database = await testDatabase()
  api = await apiApp(database.serviceUrl)
  const { bankPort } = api.broker
  const { transactions } = bankPort
  bankPort.transactions = async (...args) => {
    asked.push(args[2])
    const page = await transactions(...args)
    return nextPageKey === undefined ? page : { ...page, nextPageKey }
  }
})

beforeEach(async () => {
  asked = []
  nextPageKey = undefined
  consent = await api.consent()
  token = api.consentToken(consent)
})

afterAll(async () => {
  await replayLedger(api.broker, bank)
  await api.close()
  await database.drop()
})

const releases = async () =>
  (await api.entries(bank, consent.id)).filter(({ kind }) => kind === 'release')

const lastEntry = async () => (await api.entries(bank, consent.id)).at(-1)

describe('the accounts of a consent', () => {
  it('are what the bank has, as the clusters show it, under the handles of the consent', async () => {
    const { body, headers } = await api.call('get', accounts, token).expect(200)
    expect(body).toEqual({
      page: { totalElements: 2 },
      accounts: [
        {
          accountId: consent.checking,
          accountType: 'CHECKING',
          productName: 'Everyday Checking',
          accountNumberDisplay: '••••4242',
          currency: { currencyCode: 'USD' },
          currentBalance: 1234.5,
        },
        expect.objectContaining({ accountId: consent.savings, nickname: 'Rainy days' }),
      ],
    })
    expect(headers).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'no-store',
    })
    expect(headers).not.toHaveProperty('access-control-allow-origin')
  })

  it('are recorded before they are answered, in the entry that the answer names', async () => {
    const { headers } = await api
      .call('get', accounts, token)
      .set('x-fapi-interaction-id', interaction)
      .expect(200)
    expect(headers['x-fapi-interaction-id']).toBe(interaction)
    const [index, hash] = String(headers['countersign-entry']).split(' ')
    const from = Number(index)
    const [leaf = Buffer.of()] = await readLeaves(api.broker.db, bank, { from, to: from + 1 })
    expect(Buffer.from(leafHash(nodeHasher, leaf)).toString('base64')).toBe(hash)
    expect(JSON.parse(leaf.toString())).toMatchObject({
      n: from,
      kind: 'release',
      body: {
        ...{ consent: consent.id, recipient, to: 'messaging_platform' },
        interaction: interaction.toLowerCase(),
        accounts: [consent.checking, consent.savings],
      },
    })
  })

  it('can be read one by one', async () => {
    const { body } = await api.call('get', `${accounts}/${consent.savings}`, token).expect(200)
    expect(body).toMatchObject({ accountId: consent.savings, accountNumberDisplay: '••••0007' })
    expect(await lastEntry()).toMatchObject({ body: { accounts: [consent.savings] } })
  })

  it('come with an interaction id of our own when none was sent', async () => {
    const { headers } = await api.call('get', accounts, token).expect(200)
    const sent = headers['x-fapi-interaction-id']
    expect(await lastEntry()).toMatchObject({ body: { interaction: sent } })
  })
})

describe('transactions', () => {
  const of = (query: Record<string, string>) =>
    api.call(
      'get',
      `${accounts}/${consent.checking}/transactions?${new URLSearchParams(query)}`,
      token,
    )

  it('are asked of the bank in UTC, however the range was said', async () => {
    const day = new Date(Date.now() - 5 * 86_400_000).toISOString().slice(0, 10)
    await of({ startTime: `${day}T00:30:00+02:00`, endTime: `${day}T12:00:00.5-01:00` }).expect(200)
    await of({ startDate: day, endDate: day, limit: '7' }).expect(200)
    const before = new Date(Date.parse(day) - 86_400_000).toISOString().slice(0, 10)
    const after = new Date(Date.parse(day) + 86_400_000).toISOString()
    expect(asked).toEqual([
      {
        ...{ accountId: checking.accountId, limit: 100 },
        ...{ startTime: `${before}T22:30:00.000Z`, endTime: `${day}T13:00:00.500Z` },
      },
      {
        ...{ accountId: checking.accountId, limit: 7 },
        ...{ startTime: `${day}T00:00:00.000Z`, endTime: after },
      },
    ])
    expect((await releases()).map(({ body }) => body)).toMatchObject([
      { since: before, clusters: ['TRANSACTIONS'] },
      { since: day },
    ])
  })

  it('begin where the look-back does when no start is said', async () => {
    await of({}).expect(200)
    expect(asked[0]?.startTime).toMatch(/T00:00:00.000Z$/)
  })

  it('go on with the page key that was given, for the same account and no other', async () => {
    nextPageKey = 'second'
    const first = await of({}).expect(200)
    nextPageKey = undefined
    const pageKey: string = first.body.page.nextPageKey
    expect(pageKey).not.toContain('second')
    const second = await of({ pageKey }).expect(200)
    expect(second.body.page).toEqual({})
    expect(asked.map((query) => query.pageKey)).toEqual([undefined, 'second'])
    await api
      .call('get', `${accounts}/${consent.savings}/transactions?pageKey=${pageKey}`, token)
      .expect(400)
  })

  /** The key of a second page. */
  const keyOf = async (query: Record<string, string>): Promise<string> => {
    nextPageKey = 'second'
    const { body } = await of(query).expect(200)
    nextPageKey = undefined
    return body.page.nextPageKey
  }
  const daysAgo = (days: number) =>
    new Date(Date.now() - days * 86_400_000).toISOString().slice(0, 10)

  it('go on within the range and the limit of the first page, said again or not', async () => {
    const query = { startDate: daysAgo(9), endDate: daysAgo(2), limit: '10' }
    const pageKey = await keyOf(query)
    await of({ pageKey }).expect(200)
    await of({ ...query, pageKey }).expect(200)
    const [{ pageKey: _, ...first } = {}, ...others] = asked
    expect(first).toMatchObject({ startTime: `${daysAgo(9)}T00:00:00.000Z`, limit: 10 })
    const second = { ...first, pageKey: 'second' }
    expect(others).toEqual([second, second])
    expect((await releases()).map(({ body }) => body)).toEqual(
      Array(3).fill(expect.objectContaining({ since: daysAgo(9) })),
    )
  })

  it.each([
    ['another start', { startDate: daysAgo(8) }],
    ['another end', { endDate: daysAgo(1) }],
    ['another limit', { limit: '11' }],
  ])('do not go on when a page key comes with %s', async (_, contradiction) => {
    const query = { startDate: daysAgo(9), endDate: daysAgo(2), limit: '10' }
    const pageKey = await keyOf(query)
    const { body } = await of({ ...query, pageKey, ...contradiction }).expect(400)
    expect(body.errors).toMatchObject([{ in: 'query', name: 'pageKey' }])
    expect(await releases()).toHaveLength(1)
  })

  it('do not go on when the look-back has left the range of a page key', async () => {
    const pageKey = await keyOf({})
    const real = api.broker.now
    Reflect.set(api.broker, 'now', () => real() + 86_400_000)
    token = api.consentToken(consent)
    const { body } = await of({ pageKey }).expect(400)
    Reflect.set(api.broker, 'now', real)
    expect(body.errors).toMatchObject([{ name: 'pageKey', detail: /begin anew/ }])
    expect(await lastEntry()).toMatchObject({ kind: 'release' })
  })

  it('are not given for a page key that was never given', async () => {
    const pageKey = await keyOf({ startDate: daysAgo(9) })
    const [range = '', sealed = ''] = pageKey.split('.')
    const other = Buffer.from(
      Buffer.from(range, 'base64url').toString().replace(daysAgo(9), daysAgo(10)),
    ).toString('base64url')
    for (const forged of ['forged', range, `${other}.${sealed}`, `${range}.${other}`]) {
      const { body } = await of({ pageKey: forged }).expect(400)
      const detail = expect.stringContaining('not given by this server')
      expect(body.errors).toEqual([{ in: 'query', name: 'pageKey', detail }])
    }
    expect(await releases()).toHaveLength(1)
  })

  it.each([
    ['limit=0', 'limit'],
    ['limit=501', 'limit'],
    ['limit=1e2', 'limit'],
    ['limit=5&limit=5', 'limit'],
    ['startTime=yesterday', 'startTime'],
    ['startTime=2026-01-01T00:00:00', 'startTime'],
    ['startTime=2016-12-31T23:59:60Z', 'startTime'],
    ['startDate=2026-02-30', 'startDate'],
    ['startDate=2026-01-02&endDate=2026-01-01', 'endDate'],
    ['startTime=2026-01-02T00:00:00Z&endTime=2026-01-02T01:00:00%2B01:00', 'endTime'],
    ['startTime=2026-01-01T00:00:00Z&startDate=2026-01-01', 'startDate'],
    ['endTime=9999-12-31T23:59:59-10:00', 'endTime'],
    ['startTime=2026-01-01%2000:00:00Z', 'startTime'],
    ['endTime=2026-01-01T00:00:00+02:00', 'endTime'],
    ['startDate=9000-01-01', 'startDate'],
    ['startTime=9000-01-01T00:00:00Z', 'startTime'],
  ])('are not asked for with %s', async (query, name) => {
    const path = `${accounts}/${consent.checking}/transactions`
    const { body } = await api.call('get', `${path}?${query}`, token).expect(400)
    expect(body).toMatchObject({
      type: 'https://broker.example/problems/invalid_request',
      errors: [{ in: 'query', name }],
    })
    expect(asked).toEqual([])
  })

  it('are given whatever else the query says, even twice', async () => {
    const path = `${accounts}/${consent.checking}/transactions`
    await api.call('get', `${path}?colour=red&colour=blue`, token).expect(200)
  })
})

describe('what a consent does not cover is refused, recorded, and not asked of the bank', () => {
  const refused = async (path: string, reason: string, by = token) => {
    const { body } = await api.call('get', path, by).expect(403)
    expect(body).toMatchObject({ code: reason, status: 403, title: 'Refused' })
    expect(await lastEntry()).toMatchObject({
      kind: 'refusal',
      body: { client: recipient, reason, count: 1 },
    })
    expect(await releases()).toEqual([])
    expect(asked).toEqual([])
  }

  it('another account', () => refused(`${accounts}/another`, 'account_not_covered'))

  it('another cluster', async () => {
    consent = await api.consent({ clusters: ['BALANCES'] })
    token = api.consentToken(consent)
    await refused(`${accounts}/${consent.checking}/transactions`, 'cluster_not_covered')
  })

  it('a time before the look-back', () =>
    refused(
      `${accounts}/${consent.checking}/transactions?startDate=${new Date(Date.now() - limits.lookback_days_max * 86_400_000).toISOString().slice(0, 10)}`,
      'time_not_covered',
    ))

  it('a range that ends before the look-back begins', () =>
    refused(`${accounts}/${consent.checking}/transactions?endDate=2020-01-01`, 'time_not_covered'))

  it('reading what is shown to the customer only', async () => {
    consent = await api.consent({ delivery: 'link_out' })
    token = api.consentToken(consent)
    await refused(accounts, 'delivery_not_covered')
  })

  it('a consent that ended', async () => {
    await revokeConsent(api.broker, {
      ...{ bank, consentId: consent.id, by: 'customer', reason: 'USER_ACTION' },
    })
    await refused(accounts, 'consent_revoked')
  })

  it("another recipient's consent", async () => {
    const foreign = api.consentToken(consent, { clientId: 'other-recipient' })
    const { body } = await api.call('get', accounts, foreign).expect(403)
    expect(body.code).toBe('consent_of_another_recipient')
    expect(await lastEntry()).toMatchObject({
      kind: 'refusal',
      body: { client: 'other-recipient', reason: 'consent_of_another_recipient' },
    })
  })
})

describe('no data is given', () => {
  it('without a token', async () => {
    const { headers } = await api.call('get', accounts).expect(401)
    expect(headers['www-authenticate']).toMatch(/^DPoP /)
    expect(headers['x-fapi-interaction-id']).toBeDefined()
  })

  it('to a token that opens no consent', async () => {
    const own = api.clientToken(recipient, 'grant_management_query')
    const { body, headers } = await api.call('get', accounts, own).expect(403)
    expect(body.code).toBe('insufficient_scope')
    expect(headers['www-authenticate']).toMatch(/^DPoP error="insufficient_scope", .*algs="/)
  })

  it('for an interaction id that is no UUID', async () => {
    const { body, headers } = await api
      .call('get', accounts, token)
      .set('x-fapi-interaction-id', 'urn:uuid:c770aef3-6784-41f7-8e0e-ff5f97bddb3a')
      .expect(400)
    expect(body.errors).toEqual([
      { in: 'header', name: 'x-fapi-interaction-id', detail: expect.any(String) },
    ])
    expect(headers['x-fapi-interaction-id']).toMatch(/^[0-9a-f-]{36}$/)
    expect(await releases()).toEqual([])
  })

  it('to a HEAD, which would be a release of nothing', async () => {
    await api.call('head', accounts, token).expect(405)
    const { headers } = await api.call('put', accounts, token).expect(405)
    expect(headers['allow']).toBe('GET')
    expect(await releases()).toEqual([])
  })

  it('at a path that cannot be read', async () => {
    const { body, headers } = await supertest(api.app).get(`${accounts}/%ff`).expect(400)
    expect(body.code).toBe('malformed')
    expect(headers).toMatchObject({
      'cache-control': 'no-store',
      'x-fapi-interaction-id': expect.any(String),
    })
  })

  it('at another spelling of the path', async () => {
    for (const path of ['/FDX/v6/accounts', '/fdx/v6/accounts/'])
      await api.call('get', path, token).expect(404)
  })

  it.each([
    ['timeout', 504, 'bank_timeout'],
    ['bad_answer', 502, 'bank_bad_answer'],
    ['too_large', 502, 'bank_too_large'],
    ['unreachable', 502, 'bank_unreachable'],
  ] as const)('when the bank answers with %s', async (why, status, code) => {
    const { bankPort } = api.broker
    const { accounts: answer } = bankPort
    bankPort.accounts = () => Promise.reject(new BankUnavailable(why))
    const { body } = await api.call('get', accounts, token).expect(status)
    bankPort.accounts = answer
    expect(body.code).toBe(code)
    expect(await releases()).toEqual([])
  })
})

it('drops accounts that the bank shows beside those of the consent', async () => {
  const held = api.banks.accountsHeld
  api.banks.accountsHeld = [...held, { ...checking, accountId: 'bank-account-3' }]
  const { body } = await api.call('get', accounts, token).expect(200)
  api.banks.accountsHeld = held
  expect(body.page.totalElements).toBe(2)
})

it('logs who asked under which consent and what came of it, and no account', async () => {
  await api.call('get', `${accounts}/${consent.checking}`, token).expect(200)
  await api.call('get', `${accounts}/another?secret=1`, token).expect(403)
  const [released, refused] = api.events.slice(-2)
  expect(released).toMatchObject({
    ...{ method: 'GET', route: '/fdx/v6/accounts/:accountId', status: 200 },
    ...{ client_id: recipient, bank, consent_id: consent.id },
  })
  expect(refused).toMatchObject({ status: 403, error: { reason: 'account_not_covered' } })
  expect(JSON.stringify([released, refused])).not.toContain(consent.checking)
})

describe('an access token that was given before its consent was replaced', () => {
  const customer = 'replacing'

  it('gets nothing of what the bank was answering meanwhile: it belongs to the old terms', async () => {
    const before = await api.consent({}, { customer: 'meanwhile' })
    const { bankPort } = api.broker
    const { accounts: answer } = bankPort
    bankPort.accounts = async (...args) => {
      const found = await answer(...args)
      await api.consent({}, { customer: 'meanwhile', replaces: before.id })
      return found
    }
    const { body } = await api.call('get', accounts, api.consentToken(before)).expect(403)
    bankPort.accounts = answer
    expect(body.code).toBe('account_not_covered')
    expect((await api.entries(bank, before.id)).map(({ kind }) => kind)).toEqual([
      ...['consent.grant', 'consent.replace', 'refusal'],
    ])
  })
  const transactionsOf = ({ checking: handle }: ActiveConsent) =>
    `${accounts}/${handle}/transactions`

  it('permits what the new terms do: less where they say less, more where they say more', async () => {
    const before = await api.consent({ clusters: ['BALANCES'] }, { customer })
    const old = api.consentToken(before)
    await api.call('get', transactionsOf(before), old).expect(403)

    const more = await api.consent({}, { customer, replaces: before.id })
    expect(more.id).toBe(before.id)
    await api.call('get', transactionsOf(more), old).expect(200)
    const { body: gone } = await api.call('get', transactionsOf(before), old).expect(403)
    expect(gone.code).toBe('account_not_covered')

    const less = await api.consent({ clusters: ['BALANCES'] }, { customer, replaces: before.id })
    await api.call('get', transactionsOf(less), old).expect(403)
    await api.call('get', accounts, old).expect(200)

    await api.consent({ delivery: 'link_out' }, { customer, replaces: before.id })
    const { body } = await api.call('get', accounts, old).expect(403)
    expect(body.code).toBe('delivery_not_covered')
    const kinds = (await api.entries(bank, before.id)).map(({ kind }) => kind)
    expect(kinds.filter((kind) => kind !== 'refusal')).toEqual([
      ...['consent.grant', 'consent.replace', 'release'],
      ...['consent.replace', 'release', 'consent.replace'],
    ])
  })
})
