import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import supertest from 'supertest'
import {
  authorizationApp,
  type AuthorizationApp,
  type TestClient,
} from '../support/authorization_app.ts'

let server: AuthorizationApp
let recipient: TestClient

beforeAll(async () => {
  server = await authorizationApp()
  recipient = await server.client()
})
afterAll(() => server.close())

it('the metadata say what the server does and nothing else', async () => {
  const { body, headers } = await supertest(server.app)
    .get('/.well-known/oauth-authorization-server')
    .expect(200)
  expect(headers['content-type']).toMatch(/^application\/json/)
  const methods = ['private_key_jwt']
  const at = (path: string) => server.broker.issuer + path
  expect(body).toEqual({
    issuer: server.broker.issuer,
    authorization_endpoint: at('/oauth/authorize'),
    pushed_authorization_request_endpoint: at('/oauth/par'),
    token_endpoint: at('/oauth/token'),
    jwks_uri: at('/oauth/jwks'),
    grant_management_endpoint: at('/oauth/grants'),
    grant_management_actions_supported: ['create', 'replace', 'query', 'revoke'],
    grant_management_action_required: false,
    scopes_supported: [
      'fdx:accountbasic:read',
      'fdx:balances:read',
      'fdx:transactions:read',
      'fdx:fraudalerts:read',
      'ledger:read',
      'audit:read',
      'consents:read',
      'consents:revoke',
      'statements:write',
      'registry:read',
      'registry:write',
      'registry:approve',
      'grant_management_query',
      'grant_management_revoke',
    ],
    authorization_details_types_supported: ['fdx_v1.0'],
    protected_resources: [at('/fdx/v6'), at('')],
    response_types_supported: ['code'],
    response_modes_supported: ['query', 'jwt', 'query.jwt'],
    authorization_signing_alg_values_supported: ['ES256'],
    request_parameter_supported: true,
    request_uri_parameter_supported: false,
    request_object_signing_alg_values_supported: ['ES256', 'PS256', 'EdDSA'],
    require_signed_request_object: false,
    grant_types_supported: ['authorization_code', 'refresh_token', 'client_credentials'],
    require_pushed_authorization_requests: true,
    authorization_response_iss_parameter_supported: true,
    code_challenge_methods_supported: ['S256'],
    token_endpoint_auth_methods_supported: methods,
    tls_client_certificate_bound_access_tokens: false,
    token_endpoint_auth_signing_alg_values_supported: ['ES256', 'PS256', 'EdDSA'],
    introspection_endpoint: at('/oauth/introspect'),
    introspection_endpoint_auth_methods_supported: methods,
    introspection_endpoint_auth_signing_alg_values_supported: ['ES256', 'PS256', 'EdDSA'],
    introspection_signing_alg_values_supported: ['ES256'],
    revocation_endpoint: at('/oauth/revoke'),
    revocation_endpoint_auth_methods_supported: methods,
    revocation_endpoint_auth_signing_alg_values_supported: ['ES256', 'PS256', 'EdDSA'],
    dpop_signing_alg_values_supported: ['ES256', 'PS256', 'EdDSA'],
  })
})

it('the published keys are public and named by their thumbprints', async () => {
  const { body } = await supertest(server.app).get('/oauth/jwks').expect(200)
  expect(body.keys).toHaveLength(1)
  const [key] = body.keys
  expect(Object.keys(key).toSorted()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y'])
  expect(key).toMatchObject({ kty: 'EC', crv: 'P-256', alg: 'ES256', use: 'sig' })
})

it.each([
  ['get', '/oauth/par', 'POST'],
  ['put', '/oauth/par', 'POST'],
  ['get', '/oauth/token', 'POST'],
  ['delete', '/oauth/token', 'POST'],
  ['get', '/oauth/introspect', 'POST'],
  ['get', '/oauth/revoke', 'POST'],
  ['post', '/oauth/jwks', 'GET, HEAD'],
  ['post', '/.well-known/oauth-authorization-server', 'GET, HEAD'],
  ['post', '/oauth/grants/x', 'GET, HEAD, DELETE'],
] as const)('%s %s is answered with the methods there are', async (method, path, allow) => {
  const { headers, body } = await supertest(server.app)[method](path).expect(405)
  expect(headers['allow']).toBe(allow)
  expect(body).toEqual({ error: 'invalid_request', error_description: expect.any(String) })
})

describe.each(['/oauth/par', '/oauth/token', '/oauth/introspect', '/oauth/revoke'])(
  '%s',
  (path) => {
    it.each([
      ['application/json', '{"client_id":"x"}', 400],
      ['text/plain', 'client_id=x', 400],
      ['application/x-www-form-urlencoded', `x=${'y'.repeat(65 * 1024)}`, 413],
      ['application/x-www-form-urlencoded; charset=no-such', 'client_id=x', 415],
      ['application/x-www-form-urlencoded', '%', 401],
      ['application/x-www-form-urlencoded', '', 401],
    ])('answers a body of %s that it cannot use', async (type, text, status) => {
      const { body, headers } = await supertest(server.app)
        .post(path)
        .set('Content-Type', type)
        .send(text)
        .expect(status)
      expect(body.error).toBe(status === 401 ? 'invalid_client' : 'invalid_request')
      expect(headers['cache-control']).toBe('no-store')
    })
  },
)

it('an error of our own says nothing, and is kept for the log', async () => {
  await server.broker.db.knex.raw('update clients set jwks = ? where id = ?', [
    JSON.stringify({ keys: 7 }),
    recipient.id,
  ])
  const { body, text } = await recipient.push().expect(500)
  expect(body).toEqual({
    error: 'server_error',
    error_description: 'something went wrong on our side',
  })
  expect(text).not.toMatch(/filter|TypeError|jwks/)
})
