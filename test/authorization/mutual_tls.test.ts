import { once } from 'node:events'
import { Agent } from 'node:https'
import type { Server } from 'node:http'
import { connect } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import * as oidc from 'openid-client'
import { makeCertificate, named, type Certified } from '../../sandbox/certificates.ts'
import { issueCode } from '../../src/authorization/code.ts'
import { createMtlsServer } from '../../src/http/server.ts'
import { openLog } from '../../src/observe/log.ts'
import {
  authenticationMethods,
  disableClient,
  type Authentication,
  type Client,
} from '../../src/storage/clients.ts'
import { findPushedRequest } from '../../src/storage/pushed_requests.ts'
import {
  authorizationApp,
  redirectUri,
  verifier,
  type AuthorizationApp,
  type TestClient,
} from '../support/authorization_app.ts'
import { sha256 } from '../support/jwt.ts'
import { listening } from '../support/listening.ts'
import { callTls, serverCertificate, type TlsCall } from '../support/tls_caller.ts'

const origin = 'https://mtls.broker.example'
const authority = makeCertificate({ subject: named('Authority'), usage: 'authority' })

let server: AuthorizationApp
let listener: Server
let port: number

beforeAll(async () => {
  server = await authorizationApp({ mtls: { origin, authorities: [authority.x509] } })
  const { broker, authorization } = server
  listener = createMtlsServer(broker, authorization, openLog('silent'), { tls: serverCertificate })
  port = await listening(listener)
})

afterAll(async () => {
  listener.close()
  await server.close()
})

/** A client that is known by what it is registered with, and the certificate that it shows. */
interface Party {
  readonly client: TestClient
  readonly certificate: Certified
}

const dn = 'CN=Messenger,O=Recipient\\, Inc.,C=US'
const subject = [
  [['2.5.4.6', 'US']],
  [['2.5.4.10', 'Recipient, Inc.']],
  [['2.5.4.3', 'Messenger']],
] as const

async function party(
  method: Authentication['method'],
  binding: Client['binding'],
  more: Partial<Client> = {},
): Promise<Party> {
  const scopes = ['grant_management_query', 'grant_management_revoke']
  switch (method) {
    case 'private_key_jwt':
    case 'self_signed_tls_client_auth': {
      const certificate = makeCertificate({ subject: named('any') })
      const jwks = method === 'private_key_jwt' ? {} : { jwks: { keys: [certificate.jwk] } }
      const security = { authentication: { method }, binding, ...jwks, ...more }
      return { client: await server.client({ security, scopes }), certificate }
    }
    case 'tls_client_auth': {
      const certificate = makeCertificate({ subject }, authority)
      const authentication = { method, subject: { type: 'subject_dn', value: dn } } as const
      const security = { authentication, binding, ...more }
      return { client: await server.client({ security, scopes }), certificate }
    }
  }
}

/** A POST as the party makes it when it does everything right. */
function post(
  { client, certificate }: Party,
  path: string,
  form: Record<string, string | undefined>,
  change: Partial<TlsCall> = {},
) {
  const { authentication, binding } = client.registered
  const { client_id, client_assertion, client_assertion_type } = client.parForm()
  return callTls(port, path, {
    as: certificate,
    form: {
      client_id,
      ...(authentication.method === 'private_key_jwt'
        ? { client_assertion, client_assertion_type }
        : {}),
      ...form,
    },
    headers: binding === 'dpop' ? { DPoP: client.proof({ path }) } : {},
    ...change,
  })
}

const own = { grant_type: 'client_credentials', scope: 'grant_management_query' }

function push(one: Party, form: Record<string, string | undefined> = {}) {
  const {
    client_id: _,
    client_assertion: __,
    client_assertion_type: ___,
    ...rest
  } = one.client.parForm()
  return post(one, '/oauth/par', { ...rest, ...form })
}

async function codeOf(one: Party): Promise<string> {
  const { status, body } = await push(one)
  expect(status).toBe(201)
  return approved(one, String(body['request_uri']))
}

/** A customer approves what was pushed. */
async function approved(one: Party, requestUri: string): Promise<string> {
  const pushed = await findPushedRequest(server.broker.db, server.broker.vault, {
    clientId: one.client.id,
    requestUri,
  })
  if (pushed === undefined) throw new Error('what was pushed is not there')
  return issueCode(server.broker, pushed, await server.grant(pushed))
}

const redeem = (one: Party, code: string, change?: Partial<TlsCall>) =>
  post(
    one,
    '/oauth/token',
    {
      grant_type: 'authorization_code',
      code,
      redirect_uri: redirectUri,
      code_verifier: verifier,
    },
    change,
  )

/** A call to a resource with a token, as its binding asks. */
function resource(
  { client, certificate }: Party,
  token: string,
  { path = '/oauth/grants/first-bank.x', ...change }: Partial<TlsCall> & { path?: string } = {},
) {
  const claims = { htm: 'GET', ath: sha256(token) }
  return callTls(port, path, {
    as: certificate,
    headers:
      client.registered.binding === 'mtls'
        ? { authorization: `Bearer ${token}` }
        : { authorization: `DPoP ${token}`, DPoP: client.proof({ path, claims }) },
    ...change,
  })
}

const claimsOf = (token: unknown) =>
  JSON.parse(Buffer.from(String(token).split('.')[1] ?? '', 'base64url').toString())

describe.each(authenticationMethods)('%s', (method) => {
  it.each(['dpop', 'mtls'] as const)('with tokens bound by %s, all the way', async (binding) => {
    const one = await party(method, binding)
    const code = await codeOf(one)
    const { status, body } = await redeem(one, code)
    expect({ status, type: body['token_type'] }).toEqual({
      status: 200,
      type: binding === 'mtls' ? 'Bearer' : 'DPoP',
    })
    const cnf =
      binding === 'mtls' ? { 'x5t#S256': sha256Of(one.certificate) } : { jkt: expect.any(String) }
    expect(claimsOf(body['access_token']).cnf).toEqual(cnf)

    const grant = `/oauth/grants/${String(body['grant_id'])}`
    const seen = await resource(one, String(body['access_token']), { path: grant })
    expect(seen.status).toBe(200)

    const refresh_token = String(body['refresh_token'])
    const refreshed = await post(one, '/oauth/token', {
      grant_type: 'refresh_token',
      refresh_token,
    })
    expect(refreshed.status).toBe(200)
    expect(claimsOf(refreshed.body['access_token']).cnf).toEqual(cnf)
    const again = await resource(one, String(refreshed.body['access_token']), { path: grant })
    expect(again.status).toBe(200)

    const asked = await post(one, '/oauth/introspect', { token: refresh_token }, { headers: {} })
    expect(asked.body).toMatchObject({ active: true })
    const token = String(refreshed.body['access_token'])
    const told = await post(one, '/oauth/introspect', { token }, { headers: {} })
    const token_type = binding === 'mtls' ? 'Bearer' : 'DPoP'
    expect(told.body).toMatchObject({ active: true, token_type, cnf })
    const ended = await post(one, '/oauth/revoke', { token: refresh_token }, { headers: {} })
    expect(ended.status).toBe(200)
    expect((await resource(one, token, { path: grant })).status).toBe(401)
  })
})

const sha256Of = ({ x509 }: Certified) =>
  Buffer.from(x509.fingerprint256.replaceAll(':', ''), 'hex').toString('base64url')

describe('a client with a certificate is refused', () => {
  const refused = async (one: Party, change: Partial<TlsCall>, form = {}) => {
    const { status, body } = await post(one, '/oauth/token', { ...own, ...form }, change)
    expect({ status, error: body['error'] }).toEqual({ status: 401, error: 'invalid_client' })
  }
  const methods = ['tls_client_auth', 'self_signed_tls_client_auth'] as const

  it.each(methods)('without one (%s)', async (method) => {
    await refused(await party(method, 'mtls'), { as: undefined })
  })

  it.each(methods)('without client_id (%s)', async (method) => {
    await refused(await party(method, 'mtls'), {}, { client_id: undefined })
  })

  it.each(methods)('with the one of another client (%s)', async (method) => {
    const [one, other] = [await party(method, 'mtls'), await party(method, 'mtls')]
    const as =
      method === 'tls_client_auth'
        ? makeCertificate({ subject: named('Other') }, authority)
        : other.certificate
    await refused(one, { as })
  })

  it('with a certificate of the same key that is not the registered one', async () => {
    const one = await party('self_signed_tls_client_auth', 'mtls')
    const { privateKey } = one.certificate
    await refused(one, { as: makeCertificate({ subject: named('any'), privateKey }) })
  })

  it.each<[string, () => Certified]>([
    ['signed by itself', () => makeCertificate({ subject })],
    [
      'of an authority that is not trusted',
      () =>
        makeCertificate(
          { subject },
          makeCertificate({ subject: named('Authority'), usage: 'authority' }),
        ),
    ],
    [
      'of a client that poses as an authority',
      () => makeCertificate({ subject }, makeCertificate({ subject: named('Client') }, authority)),
    ],
    [
      'that has expired',
      () => makeCertificate({ subject, notAfter: new Date(Date.now() - 60_000) }, authority),
    ],
    [
      'that is not valid yet',
      () => makeCertificate({ subject, notBefore: new Date(Date.now() + 600_000) }, authority),
    ],
    ['of an authority', () => makeCertificate({ subject, usage: 'authority' }, authority)],
    [
      'whose key may not sign',
      () => makeCertificate({ subject, keyUsage: 'keyEncipherment' }, authority),
    ],
    ['for servers', () => makeCertificate({ subject, usage: 'server' }, authority)],
    [
      'with a critical extension that nobody here knows',
      () =>
        makeCertificate({ subject, extensions: [{ oid: '1.2.3.4', critical: true }] }, authority),
    ],
    [
      'whose names are in another order',
      () => makeCertificate({ subject: subject.toReversed() }, authority),
    ],
    [
      'with one name more',
      () => makeCertificate({ subject: [...subject, [['2.5.4.3', 'x']]] }, authority),
    ],
    [
      'whose name differs in case',
      () =>
        makeCertificate(
          { subject: [...subject.slice(0, 2), [['2.5.4.3', 'MESSENGER']]] },
          authority,
        ),
    ],
  ])('with one %s', async (_, as) => {
    await refused(await party('tls_client_auth', 'mtls'), { as: as() })
  })

  it('with an extension that is not critical, and a key that may sign, it is not', async () => {
    const as = makeCertificate(
      { subject, keyUsage: 'digitalSignature', extensions: [{ oid: '1.2.3.4', critical: false }] },
      authority,
    )
    const one = await party('tls_client_auth', 'mtls')
    expect((await post(one, '/oauth/token', own, { as })).status).toBe(200)
  })

  it('with an expired one that is registered as it is', async () => {
    const certificate = makeCertificate({
      subject: named('old'),
      notAfter: new Date(Date.now() - 60_000),
    })
    const one = await party('self_signed_tls_client_auth', 'mtls', {
      jwks: { keys: [certificate.jwk] },
    })
    await refused(one, { as: certificate })
  })

  it('with an assertion that it is not registered for, alone or beside the certificate', async () => {
    for (const method of methods) {
      const one = await party(method, 'mtls')
      // A key that may sign requests authenticates nobody who is registered for certificates.
      const keys = [one.certificate.jwk, { ...one.client.signer.publicJwk, kid: 'one' }]
      await server.broker.db.knex.raw('update clients set jwks = ?::jsonb where id = ?', [
        JSON.stringify({ keys }),
        one.client.id,
      ])
      const { client_assertion, client_assertion_type } = one.client.parForm()
      await refused(one, { as: undefined }, { client_assertion, client_assertion_type })
      await refused(one, {}, { client_assertion, client_assertion_type })
    }
  })

  it('when its registration is for assertions', async () => {
    const one = await party('private_key_jwt', 'mtls')
    await refused(one, {}, { client_assertion: undefined, client_assertion_type: undefined })
  })

  it('once it is disabled', async () => {
    const one = await party('tls_client_auth', 'mtls')
    await disableClient(server.broker.db, one.client.id)
    await refused(one, {})
  })
})

describe('a subject alternative name', () => {
  const all = {
    dns: ['Client.recipient.example', '*.wild.example'],
    ips: ['192.0.2.1', '2001:db8::1'],
    uris: ['https://recipient.example/client'],
    emails: ['client@recipient.example'],
  }
  const certificate = makeCertificate({ subject: named('client.other.example'), ...all }, authority)
  const known = async (type: 'san_dns' | 'san_uri' | 'san_ip' | 'san_email', value: string) => {
    const authentication = { method: 'tls_client_auth', subject: { type, value } } as const
    const one = await party('tls_client_auth', 'mtls', { authentication })
    return (await post(one, '/oauth/token', own, { as: certificate })).status === 200
  }

  it.each([
    ['san_dns', 'client.recipient.example'],
    ['san_ip', '192.0.2.1'],
    ['san_ip', '2001:DB8:0::1'],
    ['san_uri', 'https://recipient.example/client'],
    ['san_email', 'client@recipient.example'],
  ] as const)('is what a client is known by: %s %s', async (type, value) => {
    expect(await known(type, value)).toBe(true)
  })

  it.each([
    ['san_dns', 'x.wild.example'],
    ['san_dns', 'client.other.example'],
    ['san_dns', 'recipient.example'],
    ['san_ip', '192.0.2.2'],
    ['san_uri', 'https://recipient.example/client/'],
    ['san_uri', 'https://recipient.example/CLIENT'],
    ['san_email', 'CLIENT@recipient.example'],
    ['san_dns', '192.0.2.1'],
  ] as const)('is no other than that: %s %s', async (type, value) => {
    expect(await known(type, value)).toBe(false)
  })
})

describe('two methods at once are refused:', () => {
  it.each([
    ['a secret', { client_secret: 'secret' }, {}],
    ['an Authorization header', {}, { authorization: 'Basic Y2xpZW50OnNlY3JldA==' }],
  ])('%s beside an assertion', async (_, form, headers) => {
    const one = await party('private_key_jwt', 'mtls')
    const { status, body } = await post(one, '/oauth/token', { ...own, ...form }, { headers })
    expect({ status, error: body['error'] }).toEqual({ status: 400, error: 'invalid_request' })
  })
})

describe('a token that is bound to a certificate', () => {
  let one: Party
  let token: string

  beforeAll(async () => {
    one = await party('private_key_jwt', 'mtls')
    const { body } = await post(one, '/oauth/token', own)
    token = String(body['access_token'])
    // Good as far as the token goes: there is just no such grant.
    expect((await resource(one, token)).status).toBe(404)
  })

  const refusal = async (change: Partial<TlsCall>) => {
    const { status, body, headers } = await resource(one, token, change)
    expect({ status, error: body['error'] }).toEqual({ status: 401, error: 'invalid_token' })
    return headers['www-authenticate']
  }

  it.each<[string, () => Certified | undefined]>([
    ['no certificate', () => undefined],
    ['another certificate', () => makeCertificate({ subject: named('any') })],
  ])('is refused with %s, and the challenge says so', async (_, as) => {
    expect(await refusal({ as: as() })).toMatch(
      /, Bearer error="invalid_token", error_description=/,
    )
  })

  it('is refused as a DPoP token, with a proof and the certificate', async () => {
    const path = '/oauth/grants/first-bank.x'
    const proof = one.client.proof({ path, claims: { htm: 'GET', ath: sha256(token) } })
    await refusal({ headers: { authorization: `DPoP ${token}`, DPoP: proof } })
  })

  it('is refused in the query', async () => {
    const path = `/oauth/grants/first-bank.x?access_token=${token}`
    expect((await resource(one, token, { headers: {}, path })).status).toBe(401)
  })

  it('serves over a resumed connection too, and there with its own certificate only', async () => {
    const agent = new Agent({ keepAlive: false, maxCachedSessions: 10 })
    const asking = (as: Certified) => resource(one, token, { as, options: { agent } })
    const answers = []
    for (let i = 0; i < 4; i += 1) answers.push(await asking(one.certificate))
    expect(answers.every(({ status }) => status === 404)).toBe(true)
    expect(answers.some(({ resumed }) => resumed)).toBe(true)
    expect((await asking(makeCertificate({ subject: named('any') }))).status).toBe(401)
    agent.destroy()
  })

  it('is not given without a certificate, nor to a client that sends a proof', async () => {
    for (const change of [{ as: undefined }, { headers: { DPoP: one.client.proof() } }]) {
      const { status, body } = await post(one, '/oauth/token', own, change)
      expect({ status, error: body['error'] }).toEqual({ status: 400, error: 'invalid_request' })
    }
  })

  it('cannot be asked for with dpop_jkt', async () => {
    const { status, body } = await push(one, { dpop_jkt: sha256('key') })
    expect({ status, error: body['error'] }).toEqual({ status: 400, error: 'invalid_request' })
  })

  it('is bound anew at each refresh, to the certificate of that request', async () => {
    const { body } = await redeem(one, await codeOf(one))
    const as = makeCertificate({ subject: named('next') })
    const form = { grant_type: 'refresh_token', refresh_token: String(body['refresh_token']) }
    const next = await post(one, '/oauth/token', form, { as })
    expect(claimsOf(next.body['access_token']).cnf).toEqual({ 'x5t#S256': sha256Of(as) })
    const path = `/oauth/grants/${String(body['grant_id'])}`
    const fresh = String(next.body['access_token'])
    expect((await resource(one, fresh, { as, path })).status).toBe(200)
    expect((await resource(one, fresh, { path })).status).toBe(401)
    expect((await resource(one, String(body['access_token']), { as, path })).status).toBe(401)
  })
})

describe('a client whose tokens are bound by DPoP', () => {
  it('gets none for its certificate alone', async () => {
    const one = await party('tls_client_auth', 'dpop')
    const { status, body } = await post(one, '/oauth/token', own, { headers: {} })
    expect({ status, error: body['error'] }).toEqual({ status: 400, error: 'invalid_dpop_proof' })
  })

  it('may name either host in its proofs, and no third', async () => {
    const one = await party('tls_client_auth', 'dpop')
    const asked = async (htu: string) => {
      const headers = { DPoP: one.client.proof({ claims: { htu } }) }
      return (await post(one, '/oauth/token', own, { headers })).status
    }
    expect(await asked(`${origin}/oauth/token`)).toBe(200)
    expect(await asked(`${server.broker.issuer}/oauth/token`)).toBe(200)
    expect(await asked('https://third.example/oauth/token')).toBe(400)
    expect(await asked(`${origin}/oauth/par`)).toBe(400)
  })
})

it('an assertion for the host of certificates is refused: the audience is the issuer', async () => {
  const one = await party('private_key_jwt', 'mtls')
  const client_assertion = one.client.assertion({ claims: { aud: origin } })
  expect((await post(one, '/oauth/token', { ...own, client_assertion })).status).toBe(401)
})

it('one code is redeemed once among 20 with the same certificate at the same time', async () => {
  const one = await party('tls_client_auth', 'mtls')
  const code = await codeOf(one)
  const answers = await Promise.all(Array.from({ length: 20 }, () => redeem(one, code)))
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
  expect(answers.filter(({ body }) => body['error'] === 'invalid_grant')).toHaveLength(19)
})

it.each(['tls_client_auth', 'self_signed_tls_client_auth'] as const)(
  'openid-client goes all the way as a client with %s',
  async (method) => {
    const one = await party(method, 'mtls')
    const { issuer } = server.broker
    const hosts: string[] = []
    /** Takes the place of the network: the issuer's host and its alias are one server. */
    const overTls: oidc.CustomFetch = async (url, { method: verb, headers, body }) => {
      const { host, pathname, search } = new URL(url)
      hosts.push(host)
      const answer = await callTls(port, pathname + search, {
        ...{ method: verb, headers, as: one.certificate },
        ...(body instanceof URLSearchParams ? { form: Object.fromEntries(body) } : {}),
      })
      const { status } = answer
      const type = String(answer.headers['content-type'])
      const init = { status, headers: { 'content-type': type } }
      return new Response(status === 204 ? null : JSON.stringify(answer.body), init)
    }
    const config = await oidc.discovery(
      new URL(issuer),
      one.client.id,
      { use_mtls_endpoint_aliases: true },
      oidc.TlsClientAuth(),
      { [oidc.customFetch]: overTls, algorithm: 'oauth2' },
    )
    const pkceCodeVerifier = oidc.randomPKCECodeVerifier()
    const expectedState = oidc.randomState()
    const url = await oidc.buildAuthorizationUrlWithPAR(config, {
      redirect_uri: redirectUri,
      state: expectedState,
      code_challenge: await oidc.calculatePKCECodeChallenge(pkceCodeVerifier),
      code_challenge_method: 'S256',
      authorization_details: JSON.stringify([one.client.details()]),
    })
    const code = await approved(one, url.searchParams.get('request_uri') ?? '')
    const answer = new URL(redirectUri)
    answer.search = new URLSearchParams({ code, state: expectedState, iss: issuer }).toString()
    const tokens = await oidc.authorizationCodeGrant(config, answer, {
      pkceCodeVerifier,
      expectedState,
    })
    expect(tokens.token_type).toBe('bearer')
    const again = await oidc.refreshTokenGrant(config, tokens.refresh_token ?? '')
    const { grant_id: id } = tokens
    const grant = new URL(`${origin}/oauth/grants/${typeof id === 'string' ? id : ''}`)
    const called = await oidc.fetchProtectedResource(config, again.access_token, grant, 'GET')
    expect(called.status).toBe(200)
    expect(await oidc.tokenIntrospection(config, again.access_token)).toMatchObject({
      active: true,
      token_type: 'Bearer',
      cnf: { 'x5t#S256': sha256Of(one.certificate) },
    })
    await oidc.tokenRevocation(config, tokens.refresh_token ?? '')
    expect(await oidc.tokenIntrospection(config, again.access_token)).toEqual({ active: false })
    // Only the metadata come from the issuer's own host.
    expect([...new Set(hosts)]).toEqual([new URL(issuer).host, new URL(origin).host])
  },
)

describe('the server for certificates', () => {
  it('says in the metadata where it is', async () => {
    const { body } = await callTls(port, '/.well-known/oauth-authorization-server')
    expect(body['issuer']).toBe(server.broker.issuer)
    expect(body['token_endpoint_auth_methods_supported']).toEqual(authenticationMethods)
    expect(body['tls_client_certificate_bound_access_tokens']).toBe(true)
    const resource = await callTls(port, '/.well-known/oauth-protected-resource/fdx/v6')
    expect(resource.body['tls_client_certificate_bound_access_tokens']).toBe(true)
    expect(body['mtls_endpoint_aliases']).toEqual({
      pushed_authorization_request_endpoint: `${origin}/oauth/par`,
      token_endpoint: `${origin}/oauth/token`,
      introspection_endpoint: `${origin}/oauth/introspect`,
      revocation_endpoint: `${origin}/oauth/revoke`,
      grant_management_endpoint: `${origin}/oauth/grants`,
    })
  })

  it('has no pages', async () => {
    expect((await callTls(port, '/oauth/authorize?client_id=x')).status).toBe(404)
    expect((await callTls(port, '/connections')).status).toBe(404)
  })

  it.each<[string, object]>([
    ['TLS 1.1', { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'ALL@SECLEVEL=0' }],
    [
      'a cipher suite without forward secrecy',
      { maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256' },
    ],
    ['a CBC cipher suite', { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA256' }],
  ])('refuses %s', async (_, options) => {
    await expect(callTls(port, '/oauth/jwks', { options })).rejects.toThrow()
  })

  it('lets nobody change certificates on a connection', async () => {
    const options = { host: '127.0.0.1', port, ca: serverCertificate.cert, servername: 'localhost' }
    const socket = connect({ ...options, maxVersion: 'TLSv1.2' })
    await once(socket, 'secureConnect')
    const renegotiated = new Promise<boolean>((resolve) => {
      socket.on('error', () => resolve(false)).on('close', () => resolve(false))
      socket.renegotiate({}, (error) => resolve(error === null))
    })
    expect(await renegotiated).toBe(false)
    socket.destroy()
  })

  it.each<[string, object]>([
    ['TLS 1.2', { maxVersion: 'TLSv1.2' }],
    ['TLS 1.3', { minVersion: 'TLSv1.3' }],
  ])('takes %s', async (_, options) => {
    const one = await party('tls_client_auth', 'mtls')
    expect((await post(one, '/oauth/token', own, { options })).status).toBe(200)
  })
})
