import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { disableClient } from '../../src/storage/clients.ts'
import {
  authorizationApp,
  type AuthorizationApp,
  type TestClient,
} from '../support/authorization_app.ts'
import { newSigner, type JwtParts } from '../support/jwt.ts'

let server: AuthorizationApp
let recipient: TestClient
const now = () => Math.floor(server.broker.now() / 1000)

beforeAll(async () => {
  server = await authorizationApp()
  recipient = await server.client()
})
afterAll(() => server.close())

const pushedWith = (parts: JwtParts) =>
  recipient.push({ client_assertion: recipient.assertion(parts) })

describe('a client authenticates with a client assertion', () => {
  it.each(['ES256', 'PS256', 'EdDSA'] as const)('signed with %s', async (alg) => {
    const client = await server.client({ alg })
    await client.push().expect(201)
  })

  it.each<[string, () => JwtParts]>([
    ['without kid, when one key fits', () => ({ header: { kid: undefined } })],
    ['of typ JWT', () => ({ header: { typ: 'JWT' } })],
    ['of typ client-authentication+jwt', () => ({ header: { typ: 'client-authentication+jwt' } })],
    ['without iat and nbf', () => ({ claims: { iat: undefined } })],
    ['that holds from 8 s in the future', () => ({ claims: { nbf: now() + 8, iat: now() + 8 } })],
    ['that ends in 5 minutes', () => ({ claims: { exp: now() + 300 } })],
    [
      'with claims and header members that are not known',
      () => ({
        header: { extra: 1 },
        claims: { extra: { deep: true } },
      }),
    ],
  ])('%s', async (_, parts) => {
    await pushedWith(parts()).expect(201)
  })

  it('without client_id beside it', async () => {
    await recipient.push({ client_id: undefined }).expect(201)
  })
})

describe('a client assertion is refused', () => {
  it.each<[string, () => JwtParts]>([
    ['whose aud is a list', () => ({ claims: { aud: [server.broker.issuer] } })],
    [
      'whose aud is the PAR endpoint',
      () => ({ claims: { aud: `${server.broker.issuer}/oauth/par` } }),
    ],
    [
      'whose aud is the token endpoint',
      () => ({ claims: { aud: `${server.broker.issuer}/oauth/token` } }),
    ],
    [
      'whose aud is the issuer with a slash',
      () => ({ claims: { aud: `${server.broker.issuer}/` } }),
    ],
    ['whose aud is another server', () => ({ claims: { aud: 'https://other.example' } })],
    ['without aud', () => ({ claims: { aud: undefined } })],
    ['without sub', () => ({ claims: { sub: undefined } })],
    ['without iss', () => ({ claims: { iss: undefined } })],
    ['whose sub is not its iss', () => ({ claims: { sub: 'someone-else' } })],
    ['of a client that is not known', () => ({ claims: { iss: 'nobody', sub: 'nobody' } })],
    ['without jti', () => ({ claims: { jti: undefined } })],
    ['with an empty jti', () => ({ claims: { jti: '' } })],
    ['with a jti without bound', () => ({ claims: { jti: 'x'.repeat(257) } })],
    ['without exp', () => ({ claims: { exp: undefined } })],
    ['whose exp is a string', () => ({ claims: { exp: String(now() + 60) } })],
    ['that ended 5 minutes ago', () => ({ claims: { exp: now() - 300, iat: now() - 600 } })],
    ['that ended just now', () => ({ claims: { exp: now() - 1 } })],
    ['that ends in more than 5 minutes', () => ({ claims: { exp: now() + 330 } })],
    ['that holds from more than a minute ahead', () => ({ claims: { nbf: now() + 70 } })],
    ['that holds from 20 s ahead', () => ({ claims: { nbf: now() + 20 } })],
    ['issued more than a minute ahead', () => ({ claims: { iat: now() + 70, exp: now() + 90 } })],
    ['of a typ that is another JWT', () => ({ header: { typ: 'dpop+jwt' } })],
    ['with crit', () => ({ header: { crit: ['exp'] } })],
    ['with b64', () => ({ header: { b64: true } })],
    ['with jku', () => ({ header: { jku: 'https://recipient.example/jwks' } })],
    ['with x5u', () => ({ header: { x5u: 'https://recipient.example/x5u' } })],
    ['of a kid that is not registered', () => ({ header: { kid: 'two' } })],
    ['with a header without bound', () => ({ header: { extra: 'x'.repeat(4_096) } })],
    ['of alg none by name', () => ({ header: { alg: 'none' } })],
    ['of alg HS256', () => ({ header: { alg: 'HS256' } })],
  ])('%s', async (_, parts) => {
    const { body } = await pushedWith(parts()).expect(401)
    expect(body).toEqual({ error: 'invalid_client', error_description: expect.any(String) })
  })

  it('when two registered keys have the kid that it names', async () => {
    const client = await server.client()
    const twice = [client.signer, newSigner('ES256')].map(({ publicJwk }) => ({
      ...publicJwk,
      kid: 'one',
    }))
    await server.broker.db.knex.raw('update clients set jwks = ?::jsonb where id = ?', [
      JSON.stringify({ keys: twice }),
      client.id,
    ])
    await client.push().expect(401)
  })

  it('signed with RS256, by a key that would do for PS256', async () => {
    const client = await server.client({ alg: 'RS256' })
    await client.push().expect(401)
  })

  it('that is not signed', async () => {
    const { sign } = newSigner('none')
    const [header = '', claims = ''] = recipient.assertion().split('.')
    const decoded = JSON.parse(Buffer.from(claims, 'base64url').toString())
    await recipient.push({ client_assertion: `${header}.${claims}.` }).expect(401)
    const none = sign({ header: { alg: 'none' }, claims: decoded })
    await recipient.push({ client_assertion: none }).expect(401)
  })

  it('signed by another key than the registered one', async () => {
    const stranger = await server.client()
    await recipient
      .push({
        client_assertion: stranger.assertion({ claims: { iss: recipient.id, sub: recipient.id } }),
      })
      .expect(401)
  })

  it('with any character changed', async () => {
    const assertion = recipient.assertion()
    for (let at = 0; at < assertion.length; at += 17) {
      const other = assertion[at] === 'A' ? 'B' : 'A'
      const client_assertion = assertion.slice(0, at) + other + assertion.slice(at + 1)
      await recipient.push({ client_assertion }).expect(401)
    }
    const last = assertion.at(-1) === 'A' ? 'B' : 'A'
    await recipient.push({ client_assertion: assertion.slice(0, -1) + last }).expect(401)
    await recipient.push({ client_assertion: assertion }).expect(201)
  })

  it('of another type, without a type, and when there is none', async () => {
    await recipient.push({ client_assertion_type: 'urn:example:saml' }).expect(401)
    await recipient.push({ client_assertion_type: undefined }).expect(401)
    const { body } = await recipient.push({ client_assertion: undefined }).expect(401)
    expect(body.error).toBe('invalid_client')
    await recipient
      .push({ client_assertion: undefined, client_assertion_type: undefined, client_secret: 's' })
      .expect(401)
  })

  it('that goes with another client_id, at either endpoint', async () => {
    const other = await server.client()
    await recipient.push({ client_id: other.id }).expect(401)
    await recipient.token({ grant_type: 'client_credentials', client_id: other.id }).expect(401)
  })

  it('of a client that was disabled', async () => {
    const client = await server.client()
    await client.push().expect(201)
    expect(await disableClient(server.broker.db, client.id)).toBe(true)
    expect(await disableClient(server.broker.db, client.id)).toBe(false)
    await client.push().expect(401)
  })

  it('that was used before, at whichever endpoint', async () => {
    const client_assertion = recipient.assertion()
    await recipient.push({ client_assertion }).expect(201)
    const again = await recipient.push({ client_assertion }).expect(401)
    expect(again.body.error).toBe('invalid_client')
    await recipient.token({ grant_type: 'client_credentials', client_assertion }).expect(401)
  })

  it('in all but one of 20 requests at the same time', async () => {
    const client_assertion = recipient.assertion()
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => recipient.push({ client_assertion })),
    )
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1)
    expect(answers.filter(({ status }) => status === 401)).toHaveLength(19)
  })
})

it('an assertion survives being told to use a nonce', async () => {
  const client_assertion = recipient.assertion()
  const form = { grant_type: 'refresh_token', refresh_token: 'x', client_assertion }
  const told = await recipient
    .token(form, { DPoP: recipient.proof({ claims: { nonce: undefined } }) })
    .expect(400)
  expect(told.body.error).toBe('use_dpop_nonce')
  const proof = recipient.proof({ claims: { nonce: told.headers['dpop-nonce'] } })
  const { body } = await recipient.token(form, { DPoP: proof }).expect(400)
  expect(body.error).toBe('invalid_grant')
})
