import { createHash, randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { SignJWT, exportJWK } from 'jose'
import { randomDPoPKeyPair } from 'openid-client'
import { startBank } from '../../sandbox/banks/bank.ts'
import type { DemoBank } from '../../sandbox/banks/bank.ts'
import { foreign_account_id } from '../../sandbox/banks/misbehaviour.ts'
import { brokerAt, brokerClient, consentRequest } from './broker_client.ts'
import type { BrokerAtBank, Tokens } from './broker_client.ts'

let bank: DemoBank
let broker: BrokerAtBank
/** For the first and the last of alice's three accounts. */
let tokens: Tokens
let checking: string
let savings: string
let card: string
beforeAll(async () => {
  bank = await startBank({ id: 'jpmorgan-chase', legalName: 'JPMorgan Chase', brokerClient })
  broker = await brokerAt(bank)
  tokens = await broker.link({ customer: 'alice', pick: [0, 2] })
  const ids = bank.customers[0]?.accounts.map(({ accountId }) => accountId) ?? []
  ;[checking = '', savings = '', card = ''] = ids
})
afterAll(() => bank.close())

const read = async (path: string, using = tokens) => (await broker.get(using, path)).json()

describe('the data API', () => {
  it('serves the accounts picked, in full, and no others', async () => {
    expect(await read('/accounts')).toEqual({
      page: { totalElements: 2 },
      accounts: [
        {
          accountCategory: 'DEPOSIT_ACCOUNT',
          accountId: checking,
          accountType: 'CHECKING',
          productName: 'Everyday Checking',
          status: 'OPEN',
          currency: { currencyCode: 'USD' },
          accountNumber: '000000914275',
          accountNumberDisplay: '****4275',
          balanceAsOf: expect.any(String),
          currentBalance: 3218.77,
          availableBalance: 3118.77,
        },
        expect.objectContaining({
          accountCategory: 'LOC_ACCOUNT',
          accountId: card,
          accountType: 'CREDITCARD',
          currentBalance: 1287.46,
          availableCredit: 6712.54,
        }),
      ],
    })
    expect(await read(`/accounts/${card}`)).toMatchObject({ accountId: card })
    for (const path of [savings, `${savings}/transactions`, 'none'])
      expect(await broker.get(tokens, `/accounts/${path}`)).toMatchObject({ status: 404 })
  })

  it('serves no balances and no transactions where the consent does not name them', async () => {
    const basic = [{ resourceType: 'ACCOUNT', dataClusters: ['ACCOUNT_BASIC'] }]
    const request = { ...consentRequest, resources: basic }
    const narrow = await broker.link({ customer: 'alice', pick: [0], request })
    const { accounts } = await read('/accounts', narrow)
    expect(accounts[0]).not.toHaveProperty('currentBalance')
    const answer = await broker.get(narrow, `/accounts/${checking}/transactions`)
    expect(answer.status).toBe(403)
  })

  it('serves transactions page by page, each once, newest first, within the lookback', async () => {
    const all: { transactionId: string; transactionTimestamp: string }[] = []
    let pageKey: string | undefined
    let pages = 0
    do {
      const query: string = pageKey === undefined ? '' : `&pageKey=${pageKey}`
      const { page, transactions } = await read(
        `/accounts/${checking}/transactions?limit=10${query}`,
      )
      expect(page.totalElements).toBeGreaterThan(10)
      all.push(...transactions)
      pageKey = page.nextPageKey
      pages += 1
    } while (pageKey !== undefined)
    expect(pages).toBe(Math.ceil(all.length / 10))
    expect(new Set(all.map(({ transactionId }) => transactionId)).size).toBe(all.length)
    const times = all.map(({ transactionTimestamp }) => transactionTimestamp)
    expect(times).toEqual(times.toSorted().toReversed())
    const lookback = new Date(Date.now() - 31 * 86_400_000).toISOString()
    expect(times.every((time) => time > lookback)).toBe(true)

    const [startTime, endTime] = [times.at(-5), times[3]]
    const { transactions } = await read(
      `/accounts/${checking}/transactions?startTime=${startTime}&endTime=${endTime}`,
    )
    expect(transactions).toEqual(
      all.filter(({ transactionTimestamp: at }) => at >= `${startTime}` && at < `${endTime}`),
    )
    expect(transactions[0]).toMatchObject({
      accountId: checking,
      accountCategory: 'DEPOSIT_ACCOUNT',
      status: 'POSTED',
      debitCreditMemo: expect.stringMatching(/^(CREDIT|DEBIT)$/),
      amount: expect.any(Number),
      description: expect.any(String),
      postedTimestamp: transactions[0].transactionTimestamp,
    })
  })

  it.each(['startTime=soon', 'endTime=', 'limit=-1', 'limit=1&limit=2', 'pageKey=x'])(
    'refuses %s',
    async (query) => {
      const answer = await broker.get(tokens, `/accounts/${checking}/transactions?${query}`)
      expect(answer.status).toBe(400)
      expect(await answer.json()).toEqual({ code: expect.any(Number), message: expect.any(String) })
    },
  )

  it('echoes the interaction id and remembers what it served under it', async () => {
    const interactionId = '5b1c5d0e-8d5b-4c6e-9a53-0c1a4a1d2f10'
    const headers = { 'x-fapi-interaction-id': interactionId }
    const before = bank.served.length
    const answer = await broker.get(tokens, '/accounts', headers)
    expect(answer.headers.get('x-fapi-interaction-id')).toBe(interactionId)
    await broker.get(tokens, '/accounts/none', headers)
    expect(bank.served.slice(before)).toEqual([
      { interactionId, at: expect.any(String), consentId: expect.any(String) },
    ])
    const unnamed = await broker.get(tokens, '/accounts')
    expect(unnamed.headers.get('x-fapi-interaction-id')).toBe(bank.served.at(-1)?.interactionId)
  })

  it('serves a token only with a fresh proof of its own key, made for this request', async () => {
    const { access_token: token } = tokens
    const { dpopKeys } = broker
    const good = {
      jti: randomUUID(),
      htm: 'GET',
      htu: `${bank.fdxBaseUrl}/accounts`,
      ath: createHash('sha256').update(token).digest('base64url'),
    }
    const prove = async (
      claims: object,
      { keys = dpopKeys, at = '0s from now', typ = 'dpop+jwt' } = {},
    ) =>
      new SignJWT({ ...good, jti: randomUUID(), ...claims })
        .setProtectedHeader({ alg: 'ES256', typ, jwk: await exportJWK(keys.publicKey) })
        .setIssuedAt(at)
        .sign(keys.privateKey)
    const status = async (proof: string, scheme = 'DPoP') =>
      (await fetch(good.htu, { headers: { authorization: `${scheme} ${token}`, dpop: proof } }))
        .status
    const proof = await prove({})
    expect(await status(proof)).toBe(200)
    expect(await status(proof)).toBe(401)
    expect(await status(await prove({}), 'Bearer')).toBe(401)
    expect(await status('not a proof')).toBe(401)
    const keys = await randomDPoPKeyPair('ES256')
    for (const wrong of [
      prove({ htm: 'POST' }),
      prove({ htu: `${bank.fdxBaseUrl}/accounts/${checking}` }),
      prove({ ath: good.ath.toLowerCase() }),
      prove({ jti: undefined }),
      prove({}, { at: '2 minutes ago' }),
      prove({}, { typ: 'JWT' }),
      prove({}, { keys }),
    ])
      expect(await status(await wrong)).toBe(401)
  })
})

describe('a bank that misbehaves', () => {
  afterEach(() => bank.misbehave(undefined))

  it('hangs', async () => {
    bank.misbehave('hang')
    const answered = broker.get(tokens, '/accounts').then(
      () => 'answered',
      () => 'dropped',
    )
    expect(await Promise.race([answered, delay(200, 'waiting')])).toBe('waiting')
    expect(bank.failuresLeft).toBe(Infinity)
  })

  it('is slow, and answers', async () => {
    bank.misbehave('slow:20', 1)
    expect((await broker.get(tokens, '/accounts')).status).toBe(200)
    expect(bank.failuresLeft).toBe(0)
  })

  it('fails everything that the broker calls, as often as told', async () => {
    bank.misbehave('server_error', 4)
    expect((await broker.get(tokens, '/accounts')).status).toBe(500)
    await expect(broker.refresh(tokens)).rejects.toMatchObject({ cause: { status: 500 } })
    await expect(broker.begin(consentRequest)).rejects.toMatchObject({ cause: { status: 500 } })
    expect(bank.failuresLeft).toBe(1)
    await expect(broker.revoke('unknown')).rejects.toMatchObject({ cause: { status: 500 } })
    expect((await broker.get(tokens, '/accounts')).status).toBe(200)
  })

  it('refuses a good refresh token, and only that', async () => {
    bank.misbehave('invalid_grant')
    await expect(broker.refresh(tokens)).rejects.toMatchObject({ error: 'invalid_grant' })
    expect((await broker.get(tokens, '/accounts')).status).toBe(200)
  })

  it('redirects', async () => {
    bank.misbehave('redirect')
    const answer = await broker.get(tokens, '/accounts')
    expect(answer.status).toBe(302)
    expect(answer.headers.get('location')).toBe('/elsewhere/fdx/v6/accounts')
  })

  it('lies about the content type of good JSON', async () => {
    bank.misbehave('wrong_content_type')
    const answer = await broker.get(tokens, '/accounts')
    expect(answer.headers.get('content-type')).toContain('text/html')
    expect((await answer.json()).accounts).toHaveLength(2)
  })

  it('sends JSON that is cut short', async () => {
    bank.misbehave('invalid_json')
    const answer = await broker.get(tokens, '/accounts')
    expect(answer.headers.get('content-type')).toContain('application/json')
    await expect(answer.json()).rejects.toThrow('JSON')
  })

  it('sends 64 MiB of valid JSON, without saying so beforehand', async () => {
    bank.misbehave('oversize')
    const answer = await broker.get(tokens, '/accounts')
    expect(answer.headers.has('content-length')).toBe(false)
    const text = await answer.text()
    expect(text.length).toBeGreaterThan(64 * 2 ** 20)
    expect(JSON.parse(text).accounts).toHaveLength(2)
  })

  it('slips in an account that was not picked', async () => {
    bank.misbehave('foreign_account')
    const { accounts } = await read('/accounts')
    expect(accounts.at(-1)).toMatchObject({ accountId: foreign_account_id, status: 'OPEN' })
    expect(await read(`/accounts/${card}`)).toMatchObject({ accountId: foreign_account_id })
    const { transactions } = await read(`/accounts/${checking}/transactions`)
    expect(transactions.at(-1)).toMatchObject({ accountId: foreign_account_id, status: 'POSTED' })
  })
})
