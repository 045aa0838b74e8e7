import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { exportJWK, generateKeyPair, type JWK, type SignJWT } from 'jose'
import { openGateway, type Gateway } from '../../src/banks/egress.ts'
import { openBankPort } from '../../src/banks/port.ts'
import { staff_login_s_max } from '../../src/banks/staff_login.ts'
import type { Bank, StaffProvider } from '../../src/broker/bank_port.ts'
import { json, seconds, smallBank, type SmallBank } from './small_bank.ts'

const { privateKey } = await generateKeyPair('ES256', { extractable: true })
const jwk: JWK = { ...(await exportJWK(privateKey)), kid: 'broker' }
const { d: _secret, ...publicJwk } = jwk

let provider: SmallBank
let gateway: Gateway
beforeEach(async () => {
  provider = await smallBank([publicJwk])
  provider.assertIdentity({ roles: ['employee', 'auditor'], name: 'Ada' })
  gateway = openGateway({
    allowedHosts: provider.bank.hosts,
    sandbox: true,
    timeout_ms: 2_000,
    body_bytes_max: 100_000,
  })
})
afterEach(async () => {
  gateway.close()
  await provider.close()
})

/** The staff port of a bank whose customers log in elsewhere, and the bank. */
function open(changes: Partial<StaffProvider> = {}) {
  const bank = {
    ...provider.bank,
    issuer: 'http://127.0.0.1:9',
    staff: {
      issuer: provider.bank.issuer,
      clientId: 'the-console',
      ...{ claim: 'roles', auditor: ['auditor', 'examiner'], scopes: [], acr: [] },
      ...changes,
    },
  }
  const { staff } = openBankPort({
    banks: new Map([[bank.id, bank]]),
    gateway,
    client: {
      ...{ clientId: 'countersign', jwk, dpopJwk: jwk },
      redirectUriOf: (id) => `https://broker.example/banks/${id}/callback`,
      staffRedirectUriOf: (id) => `https://broker.example/console/callback/${id}`,
    },
  })
  return { bank, staff }
}

/** A whole login, the answer in the browser's address bent by `changes`. */
async function login(
  changes: Record<string, string | undefined> = {},
  asked: Partial<StaffProvider> = {},
) {
  const { bank, staff } = open(asked)
  const { url, pending } = await staff.start(bank)
  return staff.finish(bank, await provider.agree(url, changes), pending)
}

const refused = (why: string) => ({ name: 'BankRefused', why })
const unavailable = (why: string) => ({ name: 'BankUnavailable', why })

describe('a login of a bank’s staff', () => {
  it('is pushed, asks for nothing but who it is, and says who that is', async () => {
    const { bank, staff } = open({ scopes: ['groups'], acr: ['urn:bank:password'] })
    const { url, pending } = await staff.start(bank)
    expect([...new URL(url).searchParams.keys()].toSorted()).toEqual(['client_id', 'request_uri'])
    expect(Object.fromEntries(provider.heardAt('/par')[0]?.form ?? [])).toMatchObject({
      client_id: 'the-console',
      response_type: 'code',
      redirect_uri: 'https://broker.example/console/callback/small-bank',
      scope: 'openid groups',
      acr_values: 'urn:bank:password',
      max_age: String(staff_login_s_max),
      code_challenge_method: 'S256',
      ...{ state: pending.state, nonce: pending.nonce },
    })
    const found = await staff.finish(bank, await provider.agree(url), pending)
    expect(found).toEqual({ subject: 'customer-1', name: 'Ada', idToken: expect.any(String) })
    expect(provider.heardAt('/token')[0]?.form.get('client_assertion')).toMatch(/^ey/)
  })

  it('works at a provider without pushed requests, DPoP, or the issuer in its answer', async () => {
    for (const name of [
      'pushed_authorization_request_endpoint',
      'dpop_signing_alg_values_supported',
      'authorization_response_iss_parameter_supported',
      'code_challenge_methods_supported',
    ])
      delete provider.metadata[name]
    const { bank, staff } = open()
    const { url, pending } = await staff.start(bank)
    expect(new URL(url).searchParams.get('nonce')).toBe(pending.nonce)
    const answer = await provider.agree(url, { iss: undefined })
    expect(await staff.finish(bank, answer, pending)).toMatchObject({ subject: 'customer-1' })
    expect(provider.heardAt('/par')).toEqual([])
    expect(provider.heardAt('/token')[0]?.headers['dpop']).toBeUndefined()
  })

  it('takes a token signed with RS256, by which most providers sign, and no symmetric or absent signature', async () => {
    const rsa = await generateKeyPair('RS256')
    provider.metadata['id_token_signing_alg_values_supported'] = ['RS256', 'HS256', 'none']
    provider.bend('/jwks', async (_, res) =>
      json(res, 200, { keys: [await exportJWK(rsa.publicKey)] }),
    )
    const roles = { roles: ['auditor'] }
    provider.assertIdentity(roles, (token) =>
      token.setProtectedHeader({ alg: 'RS256' }).sign(rsa.privateKey),
    )
    expect(await login()).toMatchObject({ subject: 'customer-1' })
    provider.assertIdentity(roles, (token) =>
      token.setProtectedHeader({ alg: 'HS256' }).sign(new TextEncoder().encode('s'.repeat(32))),
    )
    await expect(login()).rejects.toMatchObject(refused('login_invalid'))
    provider.assertIdentity(roles, async (token) => {
      const [, payload] = (
        await token.setProtectedHeader({ alg: 'RS256' }).sign(rsa.privateKey)
      ).split('.')
      return `${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload}.`
    })
    await expect(login()).rejects.toMatchObject(refused('login_invalid'))
  })
})

describe('an answer is refused', () => {
  it.each([
    ['another nonce', { nonce: 'another' }],
    ['no nonce', { nonce: undefined }],
    ['another issuer', { iss: 'https://evil.example' }],
    ['another audience', { aud: 'countersign' }],
    ['several audiences, and another party authorized', { aud: ['the-console', 'x'], azp: 'x' }],
    ['an end that has passed', { iat: seconds() - 900, exp: seconds() - 600 }],
    ['a login too long ago', { auth_time: seconds() - staff_login_s_max - 60 }],
    ['no time of the login', { auth_time: undefined }],
    ['no subject', { sub: undefined }],
  ])('with %s in the ID token', async (_, claims) => {
    provider.assertIdentity({ roles: ['auditor'], ...claims })
    await expect(login()).rejects.toMatchObject(refused('login_invalid'))
  })

  it('with a signature of somebody else’s', async () => {
    const other = await generateKeyPair('ES256')
    provider.assertIdentity({ roles: ['auditor'] }, (token: SignJWT) =>
      token.setProtectedHeader({ alg: 'ES256' }).sign(other.privateKey),
    )
    await expect(login()).rejects.toMatchObject(refused('login_invalid'))
  })

  it.each([
    ['the state of another login', { state: 'another' }],
    ['the issuer of another provider (RFC 9207)', { iss: 'https://evil.example' }],
    ['no issuer, of a provider that says it names it', { iss: undefined }],
    ['an error beside the code', { error: 'invalid_request' }],
  ])('with %s', async (_, changes) => {
    await expect(login(changes)).rejects.toMatchObject(refused('login_invalid'))
  })

  it('the second time', async () => {
    const { bank, staff } = open()
    const { url, pending } = await staff.start(bank)
    const answer = await provider.agree(url)
    await staff.finish(bank, answer, pending)
    await expect(staff.finish(bank, answer, pending)).rejects.toMatchObject(
      refused('login_invalid'),
    )
  })

  it('as broken off, when whoever logs in broke it off; as the bank’s trouble, when it is that', async () => {
    const broken = { code: undefined, error: 'access_denied' }
    await expect(login(broken)).rejects.toMatchObject(refused('cancelled'))
    const trouble = { code: undefined, error: 'server_error' }
    await expect(login(trouble)).rejects.toMatchObject(unavailable('bad_answer'))
  })
})

describe('an auditor', () => {
  it.each([
    ['one of the values, in a list', { roles: ['employee', 'examiner'] }],
    ['one of the values, alone', { roles: 'auditor' }],
  ])('is whoever has %s', async (_, claims) => {
    provider.assertIdentity(claims)
    expect(await login()).toMatchObject({ subject: 'customer-1' })
  })

  it.each([
    ['no claim', {}],
    ['other values', { roles: ['employee', 'Auditor', 'auditors'] }],
    ['a value within a text', { roles: 'employee auditor' }],
    ['a value deeper down', { roles: [['auditor'], { auditor: true }] }],
    ['no text', { roles: true }],
    ['another claim', { groups: ['auditor'] }],
  ])('is not who has %s', async (_, claims) => {
    provider.assertIdentity(claims)
    await expect(login()).rejects.toMatchObject(refused('not_an_auditor'))
  })

  it.each(['__proto__', 'constructor', 'toString'])(
    'is not whoever has what every object has: %s',
    async (claim) => {
      await expect(login({}, { claim })).rejects.toMatchObject(refused('not_an_auditor'))
    },
  )

  it('has logged in in a way that is required, where one is', async () => {
    const acr = ['urn:bank:two-factors']
    await expect(login({}, { acr })).rejects.toMatchObject(refused('login_invalid'))
    provider.assertIdentity({ roles: ['auditor'], acr: 'urn:bank:two-factors' })
    expect(await login({}, { acr })).toMatchObject({ subject: 'customer-1' })
  })

  it('is shown under a name of at most 100 characters', async () => {
    provider.assertIdentity({ roles: ['auditor'], preferred_username: 'a'.repeat(300), name: 7 })
    expect((await login()).name).toBe('a'.repeat(100))
  })
})

describe('a provider', () => {
  it('that takes no key of ours is not asked', async () => {
    provider.metadata['token_endpoint_auth_methods_supported'] = ['client_secret_basic']
    const { bank, staff } = open()
    await expect(staff.start(bank)).rejects.toMatchObject(unavailable('bad_answer'))
  })

  it('that calls itself otherwise is not believed', async () => {
    provider.metadata['issuer'] = 'https://evil.example'
    const { bank, staff } = open()
    await expect(staff.start(bank)).rejects.toMatchObject(unavailable('bad_answer'))
  })

  it('is there only where the directory names one', async () => {
    const { bank, staff } = open()
    const { staff: _, ...without } = bank
    const other: Bank = without
    await expect(staff.start(other)).rejects.toMatchObject(unavailable('unreachable'))
  })

  it('is told of a logout where it can be', async () => {
    const back = 'https://broker.example/console'
    const { bank, staff } = open()
    expect(await staff.logoutUrl(bank, { idToken: 'theirs', back })).toBeUndefined()
    provider.metadata['end_session_endpoint'] = `${provider.bank.issuer}/logout`
    const again = open()
    const url = new URL(
      (await again.staff.logoutUrl(again.bank, { idToken: 'theirs', back })) ?? '',
    )
    expect(url.pathname).toBe('/logout')
    expect(Object.fromEntries(url.searchParams)).toEqual({
      client_id: 'the-console',
      id_token_hint: 'theirs',
      post_logout_redirect_uri: back,
    })
  })
})
