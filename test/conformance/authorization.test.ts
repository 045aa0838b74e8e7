import { expect } from '@jest/globals'
import { thumbprintOf } from '../support/jwt.ts'
import { module } from './module.ts'
import { description, expectError, expectPage, scope, type Suite } from './suite.ts'
import { everywhere } from './variants.ts'

/** Parameters that are wrong are refused where they are pushed; the object that holds them, if one does, is not to blame. */
const refused = { status: 400, error: 'invalid_request' } as const

module(
  'fapi2-security-profile-final-discovery-end-point-verification',
  everywhere,
  async ({ server, variant }) => {
    const { status, headers, body } = await server.send({
      method: 'GET',
      path: '/.well-known/oauth-authorization-server',
    })
    expect(status).toBe(200)
    expect(headers['content-type']).toMatch(/^application\/json\b/)
    expect(body).toMatchObject({
      issuer: server.issuer,
      authorization_endpoint: `${server.issuer}/oauth/authorize`,
      token_endpoint: `${server.issuer}/oauth/token`,
      pushed_authorization_request_endpoint: `${server.issuer}/oauth/par`,
      require_pushed_authorization_requests: true,
      response_types_supported: ['code'],
      authorization_response_iss_parameter_supported: true,
      code_challenge_methods_supported: ['S256'],
      grant_types_supported: expect.arrayContaining(['authorization_code', 'refresh_token']),
      authorization_details_types_supported: ['fdx_v1.0'],
      dpop_signing_alg_values_supported: allowed,
      token_endpoint_auth_signing_alg_values_supported: allowed,
    })
    for (const own of Object.values(body ?? {}))
      if (typeof own === 'string') expect(own).toMatch(/^https:/)
    expect(body?.['token_endpoint_auth_methods_supported']).toEqual(
      expect.arrayContaining(
        variant.client_auth_type === 'mtls'
          ? ['tls_client_auth', 'self_signed_tls_client_auth']
          : ['private_key_jwt'],
      ),
    )
    if (variant.sender_constrain === 'mtls')
      expect(body?.['tls_client_certificate_bound_access_tokens']).toBe(true)
    if (variant.client_auth_type === 'mtls' || variant.sender_constrain === 'mtls')
      expect(body?.['mtls_endpoint_aliases']).toMatchObject({
        token_endpoint: expect.stringMatching(/^https:/),
        pushed_authorization_request_endpoint: expect.stringMatching(/^https:/),
      })
    if (variant.fapi_request_method === 'signed_non_repudiation')
      expect(body?.['request_object_signing_alg_values_supported']).toEqual(allowed)
    if (variant.fapi_response_mode === 'jarm') {
      expect(body?.['response_modes_supported']).toEqual(expect.arrayContaining(['jwt']))
      expect(body?.['authorization_signing_alg_values_supported']).toEqual(['ES256'])
      const keys = await server.send({ method: 'GET', path: '/oauth/jwks' })
      expect(keys.body?.['keys']).toMatchObject([{ kid: expect.any(String), use: 'sig' }])
    }
  },
)

/** FAPI 2.0 §5.4.1. */
const allowed = ['ES256', 'PS256', 'EdDSA']

module(
  'fapi2-security-profile-final-happy-flow',
  everywhere,
  async ({ server, variant, client, client2 }) => {
    const tokens = await client.tokens()
    const interaction = 'c770aef3-6784-41f7-8e0e-ff5f97bddb3a'
    const customer = { 'x-fapi-auth-date': 'Tue, 11 Sep 2012 19:43:31 GMT' }
    const headers = { ...customer, 'x-fapi-customer-ip-address': '198.51.100.119' }
    const answer = await client.read(tokens, {
      headers: { ...headers, 'x-fapi-interaction-id': interaction },
    })
    expect(answer.status).toBe(200)
    expect(answer.headers['x-fapi-interaction-id']).toBe(interaction)
    expect(answer.headers['date']).toEqual(expect.any(String))
    for (const accept of ['application/json;charset=UTF-8', 'application/json, */*'])
      for (const ip of ['198.51.100.119', '2001:db8::1893:25c8:1946'])
        expect(
          await client.read(tokens, { headers: { accept, 'x-fapi-customer-ip-address': ip } }),
        ).toMatchObject({ status: 200 })
    const inQuery = `/fdx/v6/accounts?access_token=${tokens.access_token}`
    expect(await server.send({ method: 'GET', path: inQuery })).toMatchObject({ status: 401 })

    const dpop = variant.sender_constrain === 'dpop'
    const tokens2 = await client2.tokens({
      parameters: {
        ...(dpop ? { dpop_jkt: thumbprintOf(client2.prover) } : {}),
      },
    })
    expect(await client2.read(tokens2)).toMatchObject({ status: 200 })
    expect(await client.read(tokens2)).toMatchObject({ status: 401 })
  },
)

module(
  'fapi2-security-profile-final-user-rejects-authentication',
  everywhere,
  async ({ server, client, client2 }) => {
    const state = 's'.repeat(128)
    for (const one of [client, client2])
      for (const decide of ['cancel', 'cancel_at_bank', 'decline'] as const) {
        const requestUri = await one.requestUri({ parameters: { state } })
        expect(await one.authorize(requestUri, { decide })).toEqual({
          answer: {
            error: 'access_denied',
            error_description: expect.stringMatching(description),
            state,
            iss: server.issuer,
          },
          to: expect.any(String),
        })
      }
  },
)

module(
  'fapi2-security-profile-final-ensure-authorization-request-without-state-success',
  everywhere,
  async ({ client }) => {
    const requestUri = await client.requestUri({ parameters: { state: undefined } })
    const ended = await client.authorize(requestUri, { query: { state: undefined } })
    expect(ended).toMatchObject({ answer: { code: expect.any(String) } })
    expect(ended).not.toHaveProperty('answer.state')
  },
)

module(
  'fapi2-security-profile-final-state-only-outside-request-object-not-used',
  everywhere,
  async ({ client }) => {
    const requestUri = await client.requestUri({ parameters: { state: undefined } })
    const ended = await client.authorize(requestUri, { query: { state: 'of the address' } })
    expect(ended).toMatchObject({ answer: { code: expect.any(String) } })
    expect(ended).not.toHaveProperty('answer.state')
  },
)

module(
  'fapi2-security-profile-final-ensure-different-state-inside-and-outside-request-object',
  everywhere,
  async ({ client }) => {
    const requestUri = await client.requestUri({ parameters: { state: 'pushed' } })
    expect(await client.authorize(requestUri, { query: { state: 'other' } })).toMatchObject({
      answer: { state: 'pushed' },
    })
  },
)

module(
  'fapi2-security-profile-final-ensure-authorization-request-with-long-state',
  everywhere,
  async ({ client }) => {
    const state = 's'.repeat(1_000)
    expect(
      await client.authorize(await client.requestUri({ parameters: { state } })),
    ).toMatchObject({ answer: { code: expect.any(String), state } })
  },
)

const succeeds = async ({ client }: Suite, parameters: Record<string, unknown>, query = {}) => {
  const requestUri = await client.requestUri({ parameters })
  const ended = await client.authorize(requestUri, { query })
  expect(ended).toMatchObject({ answer: { code: expect.any(String) } })
  expect(ended).not.toHaveProperty('answer.nonce')
}

module(
  'fapi2-security-profile-final-ensure-authorization-request-without-nonce-success',
  everywhere,
  (suite) => succeeds(suite, { nonce: undefined }),
)

module(
  'fapi2-security-profile-final-ensure-authorization-request-with-64-char-nonce-success',
  everywhere,
  (suite) => succeeds(suite, { nonce: 'n'.repeat(64) }),
)

module(
  'fapi2-security-profile-final-ensure-different-nonce-inside-and-outside-request-object',
  everywhere,
  (suite) => succeeds(suite, { nonce: 'pushed' }, { nonce: 'other' }),
)

module(
  'fapi2-security-profile-final-ensure-authorization-request-with-long-nonce',
  everywhere,
  async ({ client }) => {
    expectError(await client.push({ parameters: { nonce: 'n'.repeat(384) } }), refused)
  },
)

module('fapi2-security-profile-final-ensure-other-scope-order-succeeds', everywhere, (suite) =>
  succeeds(suite, { scope: scope.split(' ').toReversed().join(' ') }),
)

module(
  'fapi2-security-profile-final-par-without-duplicate-parameters',
  everywhere,
  async ({ client }) => {
    const without = Object.fromEntries(
      Object.keys(client.parameters())
        .filter((name) => name !== 'client_id')
        .map((name) => [name, undefined]),
    )
    expect(await client.authorize(await client.requestUri(), { query: without })).toMatchObject({
      answer: { code: expect.any(String) },
    })
  },
)

module(
  'fapi2-security-profile-final-ensure-unsigned-authorization-request-without-using-par-fails',
  everywhere,
  async ({ client }) => {
    expectPage({ page: await client.open('', { query: { request_uri: undefined } }) })
  },
)

module(
  'fapi2-security-profile-final-ensure-redirect-uri-in-authorization-request',
  everywhere,
  async ({ client }) => {
    expectError(await client.push({ parameters: { redirect_uri: undefined } }), refused)
  },
)

module(
  'fapi2-security-profile-final-ensure-request-object-without-redirect-uri-fails',
  everywhere,
  async ({ client2 }) => {
    expectError(await client2.push({ parameters: { redirect_uri: undefined } }), refused)
  },
)

const unregistered = async ({ client }: Suite) => {
  const redirect_uri = `${client.redirectUri}/unregistered`
  expectError(await client.push({ parameters: { redirect_uri } }), refused)
}

module('fapi2-security-profile-final-ensure-registered-redirect-uri', everywhere, unregistered)

module(
  'fapi2-security-profile-final-plain-fapi-tolerate-unregistered-redirect-uri',
  everywhere,
  unregistered,
)

const unsupported = { status: 400, error: 'unsupported_response_type' } as const

module(
  'fapi2-security-profile-final-ensure-response-type-code-idtoken-fails',
  everywhere,
  async ({ client }) => {
    expectError(await client.push({ parameters: { response_type: 'code id_token' } }), unsupported)
  },
)

module(
  'fapi2-security-profile-final-ensure-response-type-token-fails',
  everywhere,
  async ({ client }) => {
    expectError(await client.push({ parameters: { response_type: 'token' } }), unsupported)
  },
)

module('fapi2-security-profile-final-par-ensure-pkce-required', everywhere, async ({ client }) => {
  const parameters = { code_challenge: undefined, code_challenge_method: undefined }
  expectError(await client.push({ parameters }), refused)
})

module('fapi2-security-profile-final-par-plain-pkce-rejected', everywhere, async ({ client }) => {
  const code_challenge = client.codeVerifier
  for (const code_challenge_method of ['plain', undefined])
    expectError(
      await client.push({ parameters: { code_challenge, code_challenge_method } }),
      refused,
    )
})

module(
  'fapi2-security-profile-final-par-ensure-reused-request-uri-prior-to-auth-completion-succeeds',
  everywhere,
  async ({ server, client }) => {
    const requestUri = await client.requestUri()
    const browser = server.browser()
    expect(await client.open(requestUri, { browser })).toMatchObject({ status: 200 })
    expect(await client.authorize(requestUri, { browser })).toMatchObject({
      answer: { code: expect.any(String) },
    })
  },
)

module(
  'fapi2-security-profile-final-par-attempt-reuse-request_uri',
  everywhere,
  async ({ server, client }) => {
    for (const decide of ['approve', 'decline'] as const) {
      const requestUri = await client.requestUri()
      const browser = server.browser()
      expect(await client.authorize(requestUri, { decide, browser })).toHaveProperty('answer')
      expectPage(await client.authorize(requestUri, { browser }))
      expectPage(await client.authorize(requestUri))
    }
  },
)

module(
  'fapi2-security-profile-final-par-attempt-to-use-expired-request_uri',
  everywhere,
  async ({ server, client }) => {
    const { body } = await client.push()
    expect(body?.['expires_in']).toBeLessThan(600)
    await server.advance(Number(body?.['expires_in']))
    expectPage(await client.authorize(String(body?.['request_uri'])))
  },
)

module(
  'fapi2-security-profile-final-par-attempt-to-use-request_uri-for-different-client',
  everywhere,
  async ({ client, client2 }) => {
    const requestUri = await client.requestUri()
    expectPage(await client2.authorize(requestUri))
    expect(await client.authorize(requestUri)).toHaveProperty('answer')
  },
)

module(
  'fapi2-security-profile-final-par-attempt-invalid-http-method',
  everywhere,
  async ({ server }) => {
    for (const method of ['PUT', 'GET', 'DELETE']) {
      const answer = await server.send({ method, path: '/oauth/par' })
      expectError(answer, { status: 405, error: 'invalid_request' })
      expect(answer.headers['allow']).toBe('POST')
    }
  },
)

module(
  'fapi2-security-profile-final-par-authorization-request-containing-request_uri-form-param',
  everywhere,
  async ({ client }) => {
    const request_uri = await client.requestUri()
    expectError(await client.push({ beside: { request_uri } }), refused)
  },
)
