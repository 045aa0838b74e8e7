import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { exportJWK, generateKeyPair } from 'jose'
import { acr } from '../../sandbox/banks/authorization_server.ts'
import { startBank, type DemoBank } from '../../sandbox/banks/bank.ts'
import { auditorRole } from '../../sandbox/banks/staff.ts'
import type { DirectoryBank } from '../../src/banks/directory.ts'
import { openGateway, type Gateway } from '../../src/banks/egress.ts'
import { openBankPort } from '../../src/banks/port.ts'
import type { BankLogin, BankPort } from '../../src/broker/bank_port.ts'
import { openBrowser } from '../sandbox/browser.ts'

// The whole port against an authorization server that nobody here wrote: oidc-provider under FAPI 2.0.

const redirectUriOf = (id: string) => `http://127.0.0.1:9/banks/${id}/callback`
const staffRedirectUriOf = (id: string) => `http://127.0.0.1:9/console/callback/${id}`
const consentRequest = {
  clusters: ['ACCOUNT_BASIC', 'BALANCES', 'TRANSACTIONS'] as const,
  lookback_days: 730,
  one_time: false,
  duration_days: 90,
}

let demo: DemoBank
let bank: DirectoryBank
let gateway: Gateway
let port: BankPort
beforeAll(async () => {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
  const jwk = { ...(await exportJWK(privateKey)), kid: 'broker' }
  const id = 'citi'
  demo = await startBank({
    id,
    legalName: 'Citibank, National Association',
    brokerClient: {
      clientId: 'countersign',
      redirectUri: redirectUriOf(id),
      jwks: { keys: [{ ...(await exportJWK(publicKey)), kid: 'broker', alg: 'ES256' }] },
      staff: {
        clientId: 'the-console',
        redirectUri: staffRedirectUriOf(id),
        loggedOutUri: 'http://127.0.0.1:9/console',
      },
    },
  })
  bank = {
    id,
    legalName: demo.legalName,
    lei: 'E57ODZWZ7FF32TWEFA76',
    issuer: demo.issuer,
    fdxBaseUrl: demo.fdxBaseUrl,
    key: {},
    hosts: [`127.0.0.1:${demo.port}`],
    staff: {
      ...{ issuer: demo.issuer, clientId: 'the-console', claim: 'roles', scopes: [] },
      ...{ auditor: [auditorRole], acr: [acr] },
    },
  }
  gateway = openGateway({
    allowedHosts: bank.hosts,
    sandbox: true,
    timeout_ms: 1_000,
    body_bytes_max: 1_000_000,
  })
  port = openBankPort({
    banks: new Map([[id, bank]]),
    gateway,
    client: {
      clientId: 'countersign',
      jwk,
      dpopJwk: jwk,
      redirectUriOf,
      staffRedirectUriOf,
    },
  })
})
afterEach(() => demo.misbehave(undefined))
afterAll(async () => {
  gateway.close()
  await demo.close()
})

/** Through the bank's pages: login, the choice of all accounts, and back. */
async function link(
  username: string,
  request: Partial<typeof consentRequest> | 'identity' = {},
): Promise<BankLogin> {
  const wanted = request === 'identity' ? {} : { consentRequest: { ...consentRequest, ...request } }
  const { url, pending } = await port.startLogin(bank, { nonce: 'commitment', ...wanted })
  const browser = openBrowser(redirectUriOf(bank.id))
  const login = await browser.visit(url)
  let page = await browser.submit(login, [
    ['username', username],
    ['password', `${username}-demo`],
  ])
  const customer = demo.customers.find((one) => one.username === username)
  if (request !== 'identity')
    page = await browser.submit(page, [
      ...(customer?.accounts ?? []).map(({ accountId }) => ['account', accountId] as const),
      ['decision', 'allow'],
    ])
  return port.finishLogin(bank, page.url, pending)
}

const interaction = 'c770aef3-6784-41f7-8e0e-ff5f97bddb3a'
const use = ({ tokens }: BankLogin) => ({ accessToken: tokens.access_token, interaction })

describe('the staff of a demo bank', () => {
  /** Through the bank's pages, and back. */
  async function logIn(username: string) {
    const { url, pending } = await port.staff.start(bank)
    const browser = openBrowser(staffRedirectUriOf(bank.id))
    const page = await browser.submit(await browser.visit(url), [
      ['username', username],
      ['password', `${username}-demo`],
    ])
    return { page, finish: () => port.staff.finish(bank, page.url, pending) }
  }

  it('has an auditor, whom the bank names, and who is logged out on a page of the bank’s', async () => {
    const login = await (await logIn('auditor')).finish()
    expect(login).toMatchObject({ name: 'Ada Auditor' })
    const back = 'http://127.0.0.1:9/console'
    const url = await port.staff.logoutUrl(bank, { idToken: login.idToken, back })
    const left = await openBrowser(back).visit(url ?? '')
    expect([left.status, left.text.includes('action="')]).toEqual([200, true])
  })

  it('has others, who may not audit, and no customers, who are not known there', async () => {
    await expect((await logIn('clerk')).finish()).rejects.toMatchObject({ why: 'not_an_auditor' })
    expect((await logIn('alice')).page.text).toContain('Wrong username or password')
  })

  it('is not known where customers log in', async () => {
    const { url } = await port.startLogin(bank, { nonce: 'commitment' })
    const browser = openBrowser(redirectUriOf(bank.id))
    const page = await browser.submit(await browser.visit(url), [
      ['username', 'auditor'],
      ['password', 'auditor-demo'],
    ])
    expect(page.text).toContain('Wrong username or password')
  })
})

describe('a customer of a demo bank', () => {
  it('is linked, and the accounts and transactions of the consent can be read', async () => {
    const login = await link('bob')
    const bob = demo.customers.find((one) => one.username === 'bob')
    expect(login).toMatchObject({
      subject: bob?.customerId,
      acr: 'urn:countersign:demo-bank:password',
      authTime: expect.any(Number),
      tokens: { refresh_token: expect.any(String) },
    })
    const accounts = await port.accounts(bank, use(login))
    expect(accounts.map(({ accountId }) => accountId)).toEqual(
      bob?.accounts.map(({ accountId }) => accountId),
    )
    const query = {
      accountId: accounts[0]?.accountId ?? '',
      startTime: '2020-01-01T00:00:00.000Z',
      limit: 2,
    }
    const page = await port.transactions(bank, use(login), query)
    expect(page.transactions).toHaveLength(2)
    const next = { ...query, pageKey: page.nextPageKey ?? '' }
    const { transactions } = await port.transactions(bank, use(login), next)
    expect(transactions[0]?.['transactionId']).not.toBe(page.transactions[0]?.['transactionId'])
    expect(demo.served.at(-1)?.interactionId).toBe(interaction)
  })

  it('can be asked for the identity alone, and then no data can be read', async () => {
    const login = await link('alice', 'identity')
    expect(login.subject).toBe(demo.customers[0]?.customerId)
    expect(login.tokens).not.toHaveProperty('refresh_token')
    await expect(port.accounts(bank, use(login))).rejects.toMatchObject({ why: 'bad_answer' })
  })

  it('gets nothing to renew with for a consent that is used once', async () => {
    const login = await link('bob', { one_time: true })
    expect(login.tokens).not.toHaveProperty('refresh_token')
    expect(await port.accounts(bank, use(login))).not.toHaveLength(0)
  })

  it('can say no', async () => {
    const { url, pending } = await port.startLogin(bank, { nonce: 'commitment', consentRequest })
    const browser = openBrowser(redirectUriOf(bank.id))
    const page = await browser.submit(await browser.visit(url), [['decision', 'deny']])
    await expect(port.finishLogin(bank, page.url, pending)).rejects.toMatchObject({
      why: 'cancelled',
    })
  })
})

describe('tokens of a demo bank', () => {
  it('are renewed, and end at the bank when they are revoked', async () => {
    const login = await link('bob')
    const renewed = await port.refresh(bank, login.tokens)
    expect(renewed.access_token).not.toBe(login.tokens.access_token)
    expect(renewed.refresh_token).toBe(login.tokens.refresh_token)
    const access = { accessToken: renewed.access_token, interaction }
    expect(await port.accounts(bank, access)).not.toHaveLength(0)

    await port.revoke(bank, renewed)
    await port.revoke(bank, renewed)
    await expect(port.accounts(bank, access)).rejects.toMatchObject({ why: 'invalid_token' })
    await expect(port.refresh(bank, renewed)).rejects.toMatchObject({ why: 'invalid_grant' })
  })

  it('end when the customer ends the consent at the bank', async () => {
    const login = await link('alice')
    expect(await demo.revokeCustomerGrant('alice')).toBeGreaterThan(0)
    await expect(port.accounts(bank, use(login))).rejects.toMatchObject({ why: 'invalid_token' })
    await expect(port.refresh(bank, login.tokens)).rejects.toMatchObject({ why: 'invalid_grant' })
  })
})

describe('a demo bank that misbehaves', () => {
  it.each([
    ['hang', 'timeout'],
    ['server_error', 'bad_answer'],
    ['redirect', 'bad_answer'],
    ['wrong_content_type', 'bad_answer'],
    ['invalid_json', 'bad_answer'],
    ['oversize', 'too_large'],
  ] as const)('gives no data, and the next request works: %s', async (kind, why) => {
    const login = await link('bob')
    demo.misbehave(kind, 1)
    await expect(port.accounts(bank, use(login))).rejects.toMatchObject({
      name: 'BankUnavailable',
      why,
    })
    expect(await port.accounts(bank, use(login))).not.toHaveLength(0)
  })

  it.each([
    ['hang', 'timeout'],
    ['server_error', 'bad_answer'],
  ] as const)('does not end a consent by failing to renew: %s', async (kind, why) => {
    const login = await link('bob')
    demo.misbehave(kind)
    // Each begins when the one before has failed: a rejection that nobody awaits yet is an error of its own.
    for (const ask of [
      () => port.refresh(bank, login.tokens),
      () => port.revoke(bank, login.tokens),
      () => port.startLogin(bank, { nonce: 'commitment' }),
    ])
      await expect(ask()).rejects.toMatchObject({ name: 'BankUnavailable', why })
  })

  it('ends a consent by invalid_grant', async () => {
    const login = await link('bob')
    demo.misbehave('invalid_grant')
    await expect(port.refresh(bank, login.tokens)).rejects.toMatchObject({ why: 'invalid_grant' })
  })
})
