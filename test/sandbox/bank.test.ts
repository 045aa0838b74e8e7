import { mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { compactVerify, decodeProtectedHeader, importJWK } from 'jose'
import { generateBankKeys } from '../../sandbox/banks/bank_keys.ts'
import { startBank } from '../../sandbox/banks/bank.ts'
import type { DemoBank } from '../../sandbox/banks/bank.ts'
import { bankDirectory } from '../../sandbox/banks/directory.ts'
import { brokerAt, brokerClient, consentRequest } from './broker_client.ts'
import type { BrokerAtBank } from './broker_client.ts'
import { openBrowser } from './browser.ts'

const chase = {
  id: 'jpmorgan-chase',
  legalName: 'JPMorgan Chase Bank, National Association',
  brokerClient,
}
const newBrowser = () => openBrowser(brokerClient.redirectUri)
const accountsOf = (bank: DemoBank, customer: string) =>
  bank.customers.find(({ username }) => username === customer)?.accounts ?? []

let bank: DemoBank
let broker: BrokerAtBank
beforeAll(async () => {
  bank = await startBank(chase)
  broker = await brokerAt(bank)
})
afterAll(() => bank.close())

describe('a consent at the bank', () => {
  it("binds the customer's login to the request and the accounts picked to the token", async () => {
    const { url, nonce, finish } = await broker.begin(consentRequest)
    expect([...url.searchParams.keys()].toSorted()).toEqual(['client_id', 'request_uri'])
    const browser = newBrowser()
    const login = await browser.visit(url)
    for (const id of ['username', 'password', 'login', 'deny'])
      expect(login.text).toContain(`id="${id}"`)
    expect(login.text).toContain(chase.legalName)

    const choice = await broker.logIn(browser, login, 'alice')
    for (const id of ['account-1', 'account-2', 'account-3', 'allow', 'deny'])
      expect(choice.text).toContain(`id="${id}"`)
    expect(choice.text).toContain('Everyday Checking ****4275')
    expect(choice.text).not.toContain('000000914275')

    const [, picked] = accountsOf(bank, 'alice')
    const answer = await browser.submit(choice, [
      ['account', picked?.accountId ?? ''],
      ['account', accountsOf(bank, 'bob')[0]?.accountId ?? ''],
      ['decision', 'allow'],
    ])
    expect(answer.url.searchParams.get('iss')).toBe(bank.issuer)

    const tokens = await finish(answer)
    expect(tokens).toMatchObject({ token_type: 'dpop', expires_in: 300 })
    expect(tokens.access_token).not.toContain('.')
    expect(decodeProtectedHeader(tokens.id_token ?? '').alg).toBe('ES256')
    expect(tokens.claims()).toMatchObject({
      sub: bank.customers[0]?.customerId,
      nonce,
      acr: 'urn:countersign:demo-bank:password',
      auth_time: expect.any(Number),
    })
    expect(tokens.authorization_details).toMatchObject([
      {
        type: 'fdx_v1.0',
        consentGrant: {
          status: 'ACTIVE',
          durationPeriod: 90,
          resources: [{ resourceType: 'ACCOUNT', resourceId: picked?.accountId }],
        },
      },
    ])
  })

  it('is refused to the broker when the customer declines, on either page', async () => {
    const browser = newBrowser()
    const atLogin = await broker.begin(consentRequest)
    const login = await browser.visit(atLogin.url)
    const declined = await browser.submit(login, [['decision', 'deny']])
    await expect(atLogin.finish(declined)).rejects.toMatchObject({ error: 'access_denied' })

    const atChoice = await broker.begin(consentRequest)
    const choice = await broker.logIn(browser, await browser.visit(atChoice.url), 'bob')
    const denied = await browser.submit(choice, [
      ['account', accountsOf(bank, 'bob')[0]?.accountId ?? ''],
      ['decision', 'deny'],
    ])
    await expect(atChoice.finish(denied)).rejects.toMatchObject({ error: 'access_denied' })
  })

  it('needs the right password and at least one account', async () => {
    const browser = newBrowser()
    const { url, finish } = await broker.begin(consentRequest)
    const login = await browser.visit(url)
    const wrong = await browser.submit(login, [
      ['username', 'bob'],
      ['password', 'alice-demo'],
    ])
    expect(wrong).toMatchObject({ status: 422, text: expect.stringContaining('role="alert"') })
    const choice = await broker.logIn(browser, wrong, 'bob')
    const empty = await browser.submit(choice, [['decision', 'allow']])
    expect(empty).toMatchObject({ status: 422, text: expect.stringContaining('at least one') })
    const answer = await browser.submit(empty, [
      ['account', accountsOf(bank, 'bob')[0]?.accountId ?? ''],
      ['decision', 'allow'],
    ])
    expect((await finish(answer)).claims()?.sub).toBe(bank.customers[1]?.customerId)
  })

  it('takes a login of its own, so another customer can follow in the same browser', async () => {
    const browser = newBrowser()
    for (const customer of ['alice', 'bob', 'alice']) {
      const tokens = await broker.link({ customer, pick: [0], browser })
      const { accounts } = await (await broker.get(tokens, '/accounts')).json()
      expect(accounts).toHaveLength(1)
      expect(accounts[0].accountId).toBe(accountsOf(bank, customer)[0]?.accountId)
    }
  })

  it('runs no script and stands in no frame', async () => {
    const { url } = await broker.begin(consentRequest)
    const { text, headers } = await newBrowser().visit(url)
    expect(text).not.toContain('<script')
    expect(headers.get('content-security-policy')).toBe(
      "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    )
  })

  it('has expired for a browser that did not begin it', async () => {
    const { url } = await broker.begin(consentRequest)
    const { url: pageUrl } = await newBrowser().visit(url)
    expect(await newBrowser().visit(pageUrl)).toMatchObject({
      status: 400,
      text: expect.stringContaining('expired'),
    })
  })
})

describe('the authorization server', () => {
  it('takes no request that was not pushed', async () => {
    const url = new URL(broker.config.serverMetadata().authorization_endpoint ?? '')
    url.search = String(
      new URLSearchParams({
        client_id: brokerClient.clientId,
        redirect_uri: brokerClient.redirectUri,
        response_type: 'code',
        scope: 'openid',
        code_challenge: 'a'.repeat(43),
        code_challenge_method: 'S256',
      }),
    )
    const answer = await newBrowser().visit(url)
    expect(answer.url.searchParams.get('error')).toBe('invalid_request')
  })

  it.each([
    [
      'an unknown cluster',
      { ...consentRequest, resources: [{ resourceType: 'ACCOUNT', dataClusters: ['TAX'] }] },
    ],
    ['no end', { ...consentRequest, durationPeriod: undefined }],
    ['too long a lookback', { ...consentRequest, lookbackPeriod: 731 }],
    ['an unknown member', { ...consentRequest, autoConnect: true }],
  ])('refuses a consent request with %s', async (_, request) => {
    await expect(broker.begin(request)).rejects.toMatchObject({
      error: 'invalid_authorization_details',
    })
  })

  it('gives no refresh token for a consent that is for once', async () => {
    const { durationPeriod: _, ...terms } = consentRequest
    const once = { ...terms, durationType: 'ONE_TIME' }
    const tokens = await broker.link({ customer: 'bob', pick: [0], request: once })
    expect(tokens.refresh_token).toBeUndefined()
    expect((await broker.get(tokens, '/accounts')).status).toBe(200)
  })

  it('ends a login for the identity alone at the login, with a token that opens no data', async () => {
    const browser = newBrowser()
    const { url, finish } = await broker.begin()
    const answer = await broker.logIn(browser, await browser.visit(url), 'alice')
    const tokens = await finish(answer)
    expect(tokens.claims()?.sub).toBe(bank.customers[0]?.customerId)
    expect(tokens.refresh_token).toBeUndefined()
    expect((await broker.get(tokens, '/accounts')).status).toBe(403)
  })

  it('refreshes again and again with the same refresh token', async () => {
    const tokens = await broker.link({ customer: 'alice', pick: [0] })
    for (const _ of [1, 2]) {
      const fresh = await broker.refresh(tokens)
      expect(fresh.refresh_token ?? tokens.refresh_token).toBe(tokens.refresh_token)
      expect(fresh.authorization_details).toEqual(tokens.authorization_details)
      expect((await broker.get(fresh, '/accounts')).status).toBe(200)
    }
  })

  it('ends everything under a consent when its refresh token is revoked, and nothing else', async () => {
    const kept = await broker.link({ customer: 'alice', pick: [0] })
    const ended = await broker.link({ customer: 'alice', pick: [0] })
    await broker.revoke(ended.refresh_token ?? '')
    expect((await broker.get(kept, '/accounts')).status).toBe(200)
    await expect(broker.get(ended, '/accounts')).rejects.toMatchObject({ status: 401 })
    await expect(broker.refresh(ended)).rejects.toMatchObject({ error: 'invalid_grant' })
    await broker.revoke(ended.refresh_token ?? '')
  })

  it("ends a customer's consents at the bank's own will", async () => {
    const alice = await broker.link({ customer: 'alice', pick: [0] })
    const bob = await broker.link({ customer: 'bob', pick: [0] })
    expect(await bank.revokeCustomerGrant('bob')).toBeGreaterThanOrEqual(1)
    await expect(broker.refresh(bob)).rejects.toMatchObject({ error: 'invalid_grant' })
    await expect(broker.get(bob, '/accounts')).rejects.toMatchObject({ status: 401 })
    expect((await broker.get(alice, '/accounts')).status).toBe(200)
    expect(await bank.revokeCustomerGrant('bob')).toBe(0)
  })
})

describe('a bank that restarts', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'bank-'))
  })
  afterAll(() => rm(folder, { recursive: true }))

  it('keeps its identity and its consents, given its keys, its state file and its port', async () => {
    const stateFile = join(folder, 'state.json')
    const options = { ...chase, keys: await generateBankKeys(), stateFile }
    const before = await startBank(options)
    const client = await brokerAt(before)
    const kept = await client.link({ customer: 'alice', pick: [0] })
    expect(await readFile(stateFile, 'utf8')).toContain(kept.refresh_token)
    const ended = await client.link({ customer: 'alice', pick: [0] })
    await client.revoke(ended.refresh_token ?? '')
    expect(await readFile(stateFile, 'utf8')).not.toContain(ended.refresh_token)
    await before.close()
    expect(await readdir(folder)).toEqual(['state.json'])
    expect((await stat(stateFile)).mode & 0o777).toBe(0o600)

    const after = await startBank({ ...options, port: before.port })
    expect(after.signingJwk).toEqual(before.signingJwk)
    expect((await client.get(kept, '/accounts')).status).toBe(200)
    const fresh = await client.refresh(kept)
    expect(fresh.claims()?.sub).toBe(kept.claims()?.sub)
    await expect(client.refresh(ended)).rejects.toMatchObject({ error: 'invalid_grant' })
    await after.close()
  })

  it('refuses to start on a state file that it did not write', async () => {
    const stateFile = join(folder, 'other.json')
    for (const text of ['', '{"grants":[]}', '[["Grant:1"]]']) {
      await writeFile(stateFile, text)
      await expect(startBank({ ...chase, stateFile })).rejects.toThrow(
        "other.json is not a bank's state file",
      )
    }
  })
})

describe('the directory', () => {
  it('names four banks, each of which starts with customers of its own', async () => {
    expect(bankDirectory.map(({ lei }) => lei)).toEqual([
      '7H6GLXDRUGQFU57RNE97',
      'KB1H1DSPRFMYMCUFXT09',
      'E57ODZWZ7FF32TWEFA76',
      '6BYL5QZYBDK8S7L73M02',
    ])
    const banks = await Promise.all(
      bankDirectory.map((entry) => startBank({ ...entry, brokerClient, seed: '1' })),
    )
    for (const one of banks) {
      expect(one.customers.map(({ username }) => username)).toEqual(
        expect.arrayContaining(['alice', 'bob', 'customer1']),
      )
      const client = await brokerAt(one)
      const { url } = await client.begin(consentRequest)
      expect((await newBrowser().visit(url)).text).toContain(one.legalName)
    }
    const subjects = banks.flatMap(({ customers }) => customers.map((one) => one.customerId))
    expect(new Set(subjects).size).toBe(subjects.length)
    await Promise.all(banks.map((one) => one.close()))
  })

  it('gives the first customer the accounts of further OFX files, and says what those left out', async () => {
    const path = join(await mkdtemp(join(tmpdir(), 'ofx-')), 'more.ofx')
    await writeFile(
      path,
      'OFXHEADER:100\n\n<OFX><BANKMSGSRSV1><STMTTRNRS><STMTRS><BANKACCTFROM><ACCTID>77001234<ACCTTYPE>SAVINGS</BANKACCTFROM><LEDGERBAL><BALAMT>7</LEDGERBAL></STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>',
    )
    const one = await startBank({ ...chase, statements: [{ path }] })
    expect(accountsOf(one, 'alice').at(-1)).toMatchObject({ accountNumber: '77001234' })
    expect(one.notes).toEqual(['account ending 1234: no currency, USD assumed'])
    await one.close()
  })
})

describe('an approval', () => {
  it("is a JWS that the bank's public key verifies, with the payload as given", async () => {
    const payload = { iss: 'jpmorgan-chase', recipient: 'messenger', clusters: ['BALANCES'] }
    const jws = await bank.signApproval(payload)
    expect(decodeProtectedHeader(jws)).toEqual({
      alg: 'ES256',
      typ: 'countersign-approval+jwt',
      kid: bank.signingJwk.kid,
    })
    const opened = await compactVerify(jws, await importJWK(bank.signingJwk, 'ES256'))
    expect(JSON.parse(new TextDecoder().decode(opened.payload))).toEqual(payload)
    expect(bank.signingJwk).not.toHaveProperty('d')
  })
})
