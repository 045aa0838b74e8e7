import type { ServerResponse } from 'node:http'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { decodeJwt, decodeProtectedHeader, exportJWK, generateKeyPair, type JWK } from 'jose'
import { openGateway, type Gateway } from '../../src/banks/egress.ts'
import { openBankPort } from '../../src/banks/port.ts'
import type { BankPort, LoginRequest } from '../../src/broker/bank_port.ts'
import { json, seconds, smallBank, tokens, type SmallBank } from './small_bank.ts'

async function newKey(alg: 'ES256' | 'EdDSA'): Promise<JWK> {
  const { privateKey } = await generateKeyPair(alg, { extractable: true })
  return { ...(await exportJWK(privateKey)), kid: 'broker' }
}
const jwk = await newKey('ES256')
const dpopJwk = await newKey('EdDSA')
const { d: _secret, ...publicJwk } = jwk
const redirectUriOf = (id: string) => `https://broker.example/banks/${id}/callback`

let small: SmallBank
let gateway: Gateway
let port: BankPort
let now: number
beforeEach(async () => {
  small = await smallBank([publicJwk])
  gateway = openGateway({
    allowedHosts: small.bank.hosts,
    sandbox: true,
    timeout_ms: 2_000,
    body_bytes_max: 100_000,
  })
  now = Date.now()
  port = openBankPort({
    banks: new Map([[small.bank.id, small.bank]]),
    gateway,
    client: {
      clientId: 'countersign',
      jwk,
      dpopJwk,
      redirectUriOf,
      staffRedirectUriOf: redirectUriOf,
    },
    now: () => now,
  })
})
afterEach(async () => {
  gateway.close()
  await small.close()
})

const nonce = 'the-commitment'
const consentRequest = {
  clusters: ['ACCOUNT_BASIC', 'TRANSACTIONS'] as const,
  lookback_days: 90,
  one_time: false,
  duration_days: 30,
}

const start = (request: LoginRequest = { nonce, consentRequest }) =>
  port.startLogin(small.bank, request)
const pushed = () => Object.fromEntries(small.heardAt('/par').at(-1)?.form ?? [])

/** A whole login, the bank's answer bent by `changes`. */
async function login(changes: Record<string, string | undefined> = {}) {
  const { url, pending } = await start()
  return port.finishLogin(small.bank, await small.agree(url, changes), pending)
}

const refused = (why: string) => ({ name: 'BankRefused', why })
const unavailable = (why: string) => ({ name: 'BankUnavailable', why })

describe('a login that begins', () => {
  it('is pushed, and the browser carries nothing but the reference', async () => {
    const { url, pending } = await start()
    expect(new URL(url).pathname).toBe('/authorize')
    expect([...new URL(url).searchParams.keys()].toSorted()).toEqual(['client_id', 'request_uri'])
    expect(pending.nonce).toBe(nonce)
    const { authorization_details, ...sent } = pushed()
    expect(sent).toMatchObject({
      client_id: 'countersign',
      response_type: 'code',
      redirect_uri: 'https://broker.example/banks/small-bank/callback',
      scope: 'openid offline_access',
      prompt: 'login consent',
      max_age: '3600',
      state: pending.state,
      nonce,
      code_challenge_method: 'S256',
    })
    expect(sent).not.toHaveProperty('code_verifier')
    expect(JSON.parse(authorization_details ?? '')).toEqual([
      {
        type: 'fdx_v1.0',
        consentRequest: {
          durationType: 'TIME_BOUND',
          durationPeriod: 30,
          lookbackPeriod: 90,
          resources: [{ resourceType: 'ACCOUNT', dataClusters: ['ACCOUNT_BASIC', 'TRANSACTIONS'] }],
        },
      },
    ])
  })

  it('authenticates us with an assertion for the issuer alone, and binds the code to our key', async () => {
    await start()
    const [push] = small.heardAt('/par')
    expect(decodeJwt(push?.form.get('client_assertion') ?? '')).toMatchObject({
      iss: 'countersign',
      sub: 'countersign',
      aud: small.bank.issuer,
    })
    const { jwk: proven } = decodeProtectedHeader(String(push?.headers['dpop']))
    expect(proven).toMatchObject({ kty: 'OKP', x: dpopJwk['x'] })
  })

  it('asks for a consent that is used once without a means to renew it', async () => {
    await start({ nonce, consentRequest: { ...consentRequest, one_time: true } })
    const { scope, authorization_details } = pushed()
    expect(scope).toBe('openid')
    const [detail] = JSON.parse(authorization_details ?? '')
    expect(detail.consentRequest.durationType).toBe('ONE_TIME')
    expect(detail.consentRequest).not.toHaveProperty('durationPeriod')
  })

  it('asks for nothing but the identity where no consent is wanted', async () => {
    await start({ nonce })
    expect(pushed()).toMatchObject({ scope: 'openid', prompt: 'login' })
    expect(pushed()).not.toHaveProperty('authorization_details')
  })

  it('asks a bank that knows no FDX consent requests by FDX scopes', async () => {
    delete small.metadata['authorization_details_types_supported']
    await start()
    expect(pushed()['scope']).toBe(
      'openid offline_access fdx:accountbasic:read fdx:transactions:read',
    )
    expect(pushed()).not.toHaveProperty('authorization_details')
  })

  it('reads the metadata of a bank once, also when many logins begin together', async () => {
    await Promise.all([start(), start(), start()])
    await start()
    expect(small.heardAt('/.well-known/openid-configuration')).toHaveLength(1)
  })

  it('reads it again after an hour, and goes on with what it has when it cannot', async () => {
    await start()
    now += 3_600_000
    small.bend('/.well-known/openid-configuration', (_, res) => json(res, 500, {}))
    await start()
    expect(small.heardAt('/.well-known/openid-configuration')).toHaveLength(2)
  })

  it('asks a bank again whose metadata could not be read', async () => {
    small.bend('/.well-known/openid-configuration', (_, res) => json(res, 500, {}))
    await expect(start()).rejects.toMatchObject(unavailable('bad_answer'))
    small.bend('/.well-known/openid-configuration')
    await expect(start()).resolves.toHaveProperty('url')
  })

  it.each([
    ['that is another issuer', { issuer: 'http://127.0.0.1:1' }],
    ['without pushed requests', { pushed_authorization_request_endpoint: undefined }],
    ['without PKCE S256', { code_challenge_methods_supported: ['plain'] }],
    [
      'that wants a shared secret',
      { token_endpoint_auth_methods_supported: ['client_secret_basic'] },
    ],
  ])('is not tried at a bank %s', async (_, metadata) => {
    Object.assign(small.metadata, metadata)
    await expect(start()).rejects.toMatchObject(unavailable('bad_answer'))
    expect(small.heardAt('/par')).toHaveLength(0)
  })

  it('uses a client certificate, at the addresses meant for it, where the bank offers nothing else', async () => {
    Object.assign(small.metadata, {
      token_endpoint_auth_methods_supported: ['tls_client_auth'],
      mtls_endpoint_aliases: {
        pushed_authorization_request_endpoint: `${small.bank.issuer}/mtls/par`,
      },
    })
    small.bend('/mtls/par', (_, res) => json(res, 201, { request_uri: 'urn:x', expires_in: 60 }))
    await start()
    const [push] = small.heardAt('/mtls/par')
    expect(push?.form.get('client_id')).toBe('countersign')
    expect(push?.form.has('client_assertion')).toBe(false)
  })

  it('is under the client id that the directory names for the bank', async () => {
    const bank = { ...small.bank, clientId: 'broker-7' }
    const other = openBankPort({
      banks: new Map([[bank.id, bank]]),
      gateway,
      client: {
        clientId: 'countersign',
        jwk,
        dpopJwk,
        redirectUriOf,
        staffRedirectUriOf: redirectUriOf,
      },
    })
    await other.startLogin(bank, { nonce })
    expect(pushed()['client_id']).toBe('broker-7')
  })

  it.each([
    ['refuses it', 400, { error: 'invalid_request' }],
    ['fails', 503, { error: 'server_error' }],
    ['answers with something else', 200, { request_uri: 'urn:x' }],
  ])('is the bank’s failure when it %s', async (_, status, body) => {
    small.bend('/par', (_heard, res) => json(res, status, body))
    await expect(start()).rejects.toMatchObject(unavailable('bad_answer'))
  })

  it('takes a hint that the bank wants a DPoP nonce', async () => {
    small.bend('/par', (heard, res) => {
      if (decodeJwt(String(heard.headers['dpop']))['nonce'] === 'n1')
        return json(res, 201, { request_uri: 'urn:x', expires_in: 60 })
      res.setHeader('dpop-nonce', 'n1')
      json(res, 400, { error: 'use_dpop_nonce' })
    })
    await expect(start()).resolves.toHaveProperty('url')
  })

  it('is refused for a bank whose metadata points to a host that is not listed', async () => {
    small.metadata['pushed_authorization_request_endpoint'] = 'http://elsewhere.example/par'
    await expect(start()).rejects.toMatchObject({ refused: 'host_not_allowed', why: 'unreachable' })
  })
})

describe('a login that ends', () => {
  it('gives who the customer is, the signed proof, and tokens', async () => {
    const found = await login()
    expect(found).toMatchObject({
      subject: 'customer-1',
      acr: 'urn:bank:password',
      authTime: expect.any(Number),
      tokens: {
        access_token: 'first-access',
        refresh_token: 'first-refresh',
        expires: now + 300_000,
      },
    })
    expect(decodeJwt(found.idToken)).toMatchObject({ sub: 'customer-1', nonce })
  })

  it('says when the bank’s own consent ends, where the bank says so', async () => {
    expect(await login()).not.toHaveProperty('bankEnd')
    const end = '2030-01-02T03:04:05.000Z'
    const type = 'fdx_v1.0'
    small.issue({ authorization_details: [{ type, consentGrant: { expirationTime: end } }] })
    expect(await login()).toMatchObject({ bankEnd: Date.parse(end) })
    small.issue({ authorization_details: [{ type, consentGrant: { expirationTime: 'never' } }] })
    expect(await login()).not.toHaveProperty('bankEnd')
  })

  it('is cancelled when the customer says no', async () => {
    const said = login({ code: undefined, error: 'access_denied' })
    await expect(said).rejects.toMatchObject(refused('cancelled'))
  })

  it('is not the customer’s no when the bank fails', async () => {
    for (const error of ['server_error', 'temporarily_unavailable'])
      await expect(login({ code: undefined, error })).rejects.toMatchObject(
        unavailable('bad_answer'),
      )
    const odd = login({ code: undefined, error: 'invalid_scope' })
    await expect(odd).rejects.toMatchObject(refused('login_invalid'))
  })

  it.each([
    ['another state', { state: 'x' }],
    ['no state', { state: undefined }],
    ['another issuer', { iss: 'https://other.example' }],
    ['no issuer', { iss: undefined }],
    ['a no without an issuer', { iss: undefined, code: undefined, error: 'access_denied' }],
    ['another code', { code: 'x' }],
  ])('is invalid with %s', async (_, changes) => {
    await expect(login(changes)).rejects.toMatchObject(refused('login_invalid'))
  })

  it('is invalid without an issuer at a bank that does not promise one, too', async () => {
    delete small.metadata['authorization_response_iss_parameter_supported']
    await expect(login({ iss: undefined })).rejects.toMatchObject(refused('login_invalid'))
    await expect(login()).resolves.toHaveProperty('subject')
  })

  it('asks the bank nothing when the answer is not one to this login', async () => {
    await expect(login({ state: 'x' })).rejects.toMatchObject(refused('login_invalid'))
    await expect(login({ iss: 'https://other.example' })).rejects.toMatchObject(
      refused('login_invalid'),
    )
    expect(small.heardAt('/token')).toHaveLength(0)
  })

  it.each([
    ['another nonce', { nonce: 'x' }],
    ['no nonce', { nonce: undefined }],
    ['another audience', { aud: 'x' }],
    ['another issuer', { iss: 'x' }],
    ['an end that has passed', { exp: seconds() - 3600 }],
    ['no time of the login', { auth_time: undefined }],
    ['a login of yesterday', { auth_time: seconds() - 86_400 }],
    ['no subject', { sub: undefined }],
  ])('is invalid when the id token has %s', async (_, claims) => {
    small.assertIdentity(claims)
    await expect(login()).rejects.toMatchObject(refused('login_invalid'))
  })

  it('is invalid when the id token is signed by a stranger', async () => {
    const stranger = await generateKeyPair('ES256')
    small.assertIdentity({}, (token) =>
      token.setProtectedHeader({ alg: 'ES256' }).sign(stranger.privateKey),
    )
    await expect(login()).rejects.toMatchObject(refused('login_invalid'))
  })

  it('is invalid when the id token is signed with what FAPI 2.0 forbids, whatever the metadata say', async () => {
    const rsa = await generateKeyPair('RS256')
    small.metadata['id_token_signing_alg_values_supported'] = ['RS256']
    small.assertIdentity({}, (token) =>
      token.setProtectedHeader({ alg: 'RS256' }).sign(rsa.privateKey),
    )
    small.bend('/jwks', async (_, res) =>
      json(res, 200, { keys: [await exportJWK(rsa.publicKey)] }),
    )
    await expect(login()).rejects.toMatchObject(refused('login_invalid'))
  })

  it.each([
    ['that is not bound to our key', { token_type: 'Bearer' }],
    ['that cannot be one', { access_token: 'a\r\nb: c' }],
  ])('does not take a token %s', async (_, issued) => {
    small.issue(issued)
    await expect(login()).rejects.toMatchObject(unavailable('bad_answer'))
  })

  it.each([
    ['fails', (res) => json(res, 500, {}), 'bad_answer'],
    [
      'sends a page',
      (res) => res.writeHead(200, { 'content-type': 'text/html' }).end('<p>'),
      'bad_answer',
    ],
    [
      'sends half of it',
      (res) => res.writeHead(200, { 'content-type': 'application/json' }).end('{"a'),
      'bad_answer',
    ],
    ['sends too much', (res) => json(res, 200, 'x'.repeat(200_000)), 'too_large'],
    ['redirects', (res) => res.writeHead(302, { location: '/x' }).end(), 'bad_answer'],
    ['does not know us', (res) => json(res, 401, { error: 'invalid_client' }), 'bad_answer'],
    ['hangs up', (res) => res.destroy(), 'unreachable'],
  ] as [string, (res: ServerResponse) => void, string][])(
    'is nobody’s refusal when the token endpoint %s',
    async (_, answer, why) => {
      small.bend('/token', (_heard, res) => answer(res))
      await expect(login()).rejects.toMatchObject(unavailable(why))
    },
  )

  it('is nobody’s refusal when the bank’s keys cannot be read', async () => {
    small.bend('/jwks', (_, res) => json(res, 500, {}))
    await expect(login()).rejects.toMatchObject(unavailable('bad_answer'))
  })
})

describe('tokens', () => {
  const old = { access_token: 'a', refresh_token: 'r', expires: 0 }

  it('are renewed with the refresh token, which stays when no new one comes', async () => {
    expect(await port.refresh(small.bank, old)).toEqual({
      access_token: 'refreshed-access',
      refresh_token: 'refreshed-refresh',
      expires: now + 300_000,
    })
    expect(small.heardAt('/token')[0]?.form.get('refresh_token')).toBe('r')
    const { refresh_token: _refresh, expires_in: _expires, ...bare } = tokens('second')
    small.bend('/token', (_, res) => json(res, 200, bare))
    expect(await port.refresh(small.bank, old)).toEqual({
      access_token: 'second-access',
      refresh_token: 'r',
      expires: now + 300_000,
    })
  })

  it('end with invalid_grant, and with nothing else that the bank may say', async () => {
    const answer = (status: number, error: string) =>
      small.bend('/token', (_, res) => json(res, status, { error }))
    answer(400, 'invalid_grant')
    await expect(port.refresh(small.bank, old)).rejects.toMatchObject(refused('invalid_grant'))
    for (const [status, error] of [
      [500, 'invalid_grant'],
      [400, 'invalid_request'],
      [401, 'invalid_client'],
      [403, 'access_denied'],
      [429, 'slow_down'],
    ] as const) {
      answer(status, error)
      await expect(port.refresh(small.bank, old)).rejects.toMatchObject(unavailable('bad_answer'))
    }
    small.bend('/token', (_, res) => json(res, 200, { ...tokens('x'), token_type: 'Bearer' }))
    await expect(port.refresh(small.bank, old)).rejects.toMatchObject(unavailable('bad_answer'))
  })

  it('that cannot be renewed have ended', async () => {
    const { refresh_token: _refresh, ...single } = old
    await expect(port.refresh(small.bank, single)).rejects.toMatchObject(refused('invalid_grant'))
    expect(small.heardAt('/token')).toHaveLength(0)
  })

  it('are ended at the bank by the refresh token, or else by the access token while it lives', async () => {
    await port.revoke(small.bank, old)
    const { refresh_token: _refresh, ...single } = old
    await port.revoke(small.bank, { ...single, expires: now + 1 })
    await port.revoke(small.bank, { ...single, expires: now })
    expect(small.heardAt('/revoke').map(({ form }) => form.get('token'))).toEqual(['r', 'a'])
  })

  it('are not taken for ended when the bank does not say so', async () => {
    small.bend('/revoke', (_, res) => json(res, 503, {}))
    await expect(port.revoke(small.bank, old)).rejects.toMatchObject(unavailable('bad_answer'))
    small.bend('/revoke', (_, res) => void res.destroy())
    await expect(port.revoke(small.bank, old)).rejects.toMatchObject(unavailable('unreachable'))
  })
})
