import { createHash } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { EmbeddedJWK, exportJWK, generateKeyPair, jwtVerify, type JWK } from 'jose'
import { dpopProver } from '../../src/banks/dpop.ts'
import { openGateway, type Gateway } from '../../src/banks/egress.ts'
import { openFdx } from '../../src/banks/fdx.ts'
import { json, smallBank, type Heard, type SmallBank } from './small_bank.ts'

async function newKey(alg: 'ES256' | 'EdDSA'): Promise<JWK> {
  return exportJWK((await generateKeyPair(alg, { extractable: true })).privateKey)
}

let small: SmallBank
let gateway: Gateway
let fdx: ReturnType<typeof openFdx>
beforeEach(async () => {
  small = await smallBank([])
  gateway = openGateway({
    allowedHosts: small.bank.hosts,
    sandbox: true,
    timeout_ms: 2_000,
    body_bytes_max: 10_000,
  })
  fdx = openFdx({ gateway, prove: dpopProver(await newKey('ES256'), Date.now) })
})
afterEach(async () => {
  gateway.close()
  await small.close()
})

const access = { accessToken: 'the-token', interaction: 'c770aef3-6784-41f7-8e0e-ff5f97bddb3a' }
const accounts_path = '/fdx/v6/accounts'
const accounts = [
  { accountId: 'a-1', accountNumber: '1234567890', nickname: 'Everyday' },
  { accountId: 'a-2' },
]

const askAccounts = () => fdx.accounts(small.bank, access)
const answerWith = (answer: (res: ServerResponse, heard: Heard) => void) =>
  small.bend(accounts_path, (heard, res) => answer(res, heard))

const sent = (res: ServerResponse, type: string | undefined, body: string) =>
  res.writeHead(200, type === undefined ? {} : { 'content-type': type }).end(body)

describe('the accounts of a bank', () => {
  it('come as the bank describes them', async () => {
    answerWith((res) => json(res, 200, { page: { totalElements: 2 }, accounts }))
    expect(await askAccounts()).toEqual(accounts)
    const [heard] = small.heardAt(accounts_path)
    expect(heard?.method).toBe('GET')
    expect(heard?.query.get('resultType')).toBe('details')
    expect(heard?.headers).toMatchObject({
      authorization: 'DPoP the-token',
      accept: 'application/json',
      'x-fapi-interaction-id': access.interaction,
    })
  })

  it('come from all pages of the list, and not from a list without an end', async () => {
    const pages = [
      { page: { nextOffset: 'p2' }, accounts: accounts.slice(0, 1) },
      { page: {}, accounts: accounts.slice(1) },
    ]
    answerWith((res, { query }) => json(res, 200, pages[query.get('offset') === 'p2' ? 1 : 0]))
    expect(await askAccounts()).toEqual(accounts)
    answerWith((res) => json(res, 200, pages[0]))
    await expect(askAccounts()).rejects.toMatchObject({ why: 'too_large' })
  })

  it.each(['application/json', 'application/json; charset=utf-8', 'Application/vnd.fdx+json'])(
    'are JSON under any of its names: %s',
    async (type) => {
      answerWith((res) =>
        res.writeHead(200, { 'content-type': type }).end(JSON.stringify({ accounts })),
      )
      expect(await askAccounts()).toHaveLength(2)
    },
  )

  const good = JSON.stringify({ accounts })
  it.each([
    ['a page', (res) => sent(res, 'text/html', good), 'bad_answer'],
    [
      'a type that only looks like JSON',
      (res) => sent(res, 'application/jsonp', good),
      'bad_answer',
    ],
    ['no type', (res) => sent(res, undefined, good), 'bad_answer'],
    ['half an answer', (res) => sent(res, 'application/json', good.slice(0, -2)), 'bad_answer'],
    ['nothing', (res) => sent(res, 'application/json', ''), 'bad_answer'],
    ['no list', (res) => json(res, 200, { page: {} }), 'bad_answer'],
    [
      'a number for an account id',
      (res) => json(res, 200, { accounts: [{ accountId: 1 }] }),
      'bad_answer',
    ],
    ['an account without an id', (res) => json(res, 200, { accounts: [{}] }), 'bad_answer'],
    ['a redirect', (res) => res.writeHead(302, { location: '/fdx/v6/other' }).end(), 'bad_answer'],
    ['another success', (res) => json(res, 206, { accounts }), 'bad_answer'],
    ['a refusal that is not about the token', (res) => json(res, 403, { code: 403 }), 'bad_answer'],
    ['not found', (res) => json(res, 404, { code: 701 }), 'bad_answer'],
    ['too many requests', (res) => json(res, 429, { code: 1207 }), 'bad_answer'],
    ['an error', (res) => json(res, 500, { code: 500 }), 'bad_answer'],
    ['too much', (res) => json(res, 200, { accounts, more: 'x'.repeat(10_000) }), 'too_large'],
    ['a closed door', (res) => res.destroy(), 'unreachable'],
    ['silence', () => undefined, 'timeout'],
  ] as [string, (res: ServerResponse) => void, string][])(
    'are not there when the bank sends %s',
    async (_, answer, why) => {
      answerWith(answer)
      await expect(askAccounts()).rejects.toMatchObject({ name: 'BankUnavailable', why })
    },
  )

  it('are refused by the bank to a token that it does not know', async () => {
    answerWith((res) => json(res, 401, { code: 1205 }))
    await expect(askAccounts()).rejects.toMatchObject({ name: 'BankRefused', why: 'invalid_token' })
    expect(small.heardAt(accounts_path)).toHaveLength(1)
  })
})

describe('the transactions of an account', () => {
  const transaction = {
    transactionId: 't-1',
    transactionTimestamp: '2026-01-02T03:04:05.000Z',
    amount: 12.5,
  }
  const path = '/fdx/v6/accounts/a%2F1/transactions'
  const query = { accountId: 'a/1', startTime: '2026-01-01T00:00:00.000Z', limit: 50 }

  it('come with the key of their next page', async () => {
    small.bend(path, ({ query: asked }, res) =>
      json(res, 200, {
        page: asked.has('pageKey') ? {} : { nextPageKey: 'k 2' },
        transactions: [transaction],
      }),
    )
    const first = await fdx.transactions(small.bank, access, query)
    expect(first).toEqual({ transactions: [transaction], nextPageKey: 'k 2' })
    const endTime = '2026-02-01T00:00:00.000Z'
    const second = { ...query, endTime, pageKey: first.nextPageKey ?? '' }
    expect(await fdx.transactions(small.bank, access, second)).toEqual({
      transactions: [transaction],
    })
    expect(small.heardAt(path).map((one) => Object.fromEntries(one.query))).toEqual([
      { startTime: query.startTime, limit: '50' },
      { startTime: query.startTime, endTime, pageKey: 'k 2', limit: '50' },
    ])
  })

  it.each([
    ['without an id', { ...transaction, transactionId: undefined }],
    ['without a time', { ...transaction, transactionTimestamp: undefined }],
    ['at no time', { ...transaction, transactionTimestamp: 'yesterday' }],
  ])('are not there when one is %s', async (_, wrong) => {
    small.bend(path, (_heard, res) => json(res, 200, { transactions: [transaction, wrong] }))
    const asked = fdx.transactions(small.bank, access, query)
    await expect(asked).rejects.toMatchObject({ name: 'BankUnavailable', why: 'bad_answer' })
  })
})

const openProof = ({ headers }: Heard) =>
  jwtVerify(String(headers['dpop']), EmbeddedJWK, { typ: 'dpop+jwt', maxTokenAge: 60 })

describe('a DPoP proof', () => {
  it.each(['ES256', 'EdDSA'] as const)('binds our key to each request, with %s', async (alg) => {
    const key = await newKey(alg)
    const own = openFdx({ gateway, prove: dpopProver(key, Date.now) })
    answerWith((res) => json(res, 200, { accounts }))
    await own.accounts(small.bank, access)
    await own.accounts(small.bank, access)
    const [first, second] = await Promise.all(small.heardAt(accounts_path).map(openProof))
    const { d: _, ...publicKey } = key
    expect(first?.protectedHeader).toMatchObject({ alg, jwk: publicKey })
    expect(first?.protectedHeader.jwk).not.toHaveProperty('d')
    expect(first?.payload).toMatchObject({
      htm: 'GET',
      htu: small.bank.fdxBaseUrl + '/accounts',
      ath: createHash('sha256').update('the-token').digest('base64url'),
    })
    expect(first?.payload).not.toHaveProperty('nonce')
    expect(first?.payload.jti).not.toBe(second?.payload.jti)
  })

  it('carries the nonce that the bank wants, asked for once and then kept', async () => {
    let nonce = 'n-1'
    small.bend(accounts_path, async (heard, res) => {
      const { payload } = await openProof(heard)
      res.setHeader('dpop-nonce', nonce)
      if (payload['nonce'] === nonce) return json(res, 200, { accounts })
      res.setHeader('www-authenticate', 'DPoP error="use_dpop_nonce"')
      json(res, 401, {})
    })
    await askAccounts()
    expect(small.heardAt(accounts_path)).toHaveLength(2)
    await askAccounts()
    expect(small.heardAt(accounts_path)).toHaveLength(3)
    nonce = 'n-2'
    await askAccounts()
    expect(small.heardAt(accounts_path)).toHaveLength(5)
  })

  it('is not made again and again for a bank that is never content', async () => {
    answerWith((res) => {
      res.setHeader('dpop-nonce', 'n').setHeader('www-authenticate', 'DPoP error="use_dpop_nonce"')
      json(res, 401, {})
    })
    await expect(askAccounts()).rejects.toMatchObject({ why: 'invalid_token' })
    expect(small.heardAt(accounts_path)).toHaveLength(2)
  })
})
