import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { findConsent } from '../../src/storage/consents.ts'
import { findPushedRequest, type PushedRequest } from '../../src/storage/pushed_requests.ts'
import {
  authorizationApp,
  redirectUri,
  type AuthorizationApp,
  type TestClient,
} from '../support/authorization_app.ts'
import { newSigner, type JwtParts } from '../support/jwt.ts'

let server: AuthorizationApp
let recipient: TestClient

beforeAll(async () => {
  server = await authorizationApp()
  recipient = await server.client({ signedRequests: true })
})
afterAll(() => server.close())

const seconds = () => Math.floor(server.broker.now() / 1000)

async function pushed(client: TestClient, requestUri: string): Promise<PushedRequest | undefined> {
  const { db, vault } = server.broker
  return findPushedRequest(db, vault, { clientId: client.id, requestUri })
}

/** Signs claims given as text, which `JSON.stringify` cannot say. */
const signedText = (text: string): string =>
  recipient.signer.signText({ alg: 'ES256', kid: 'one' }, text)

describe('a signed request object', () => {
  it('is what is asked: nothing beside it counts but what authenticates the client', async () => {
    const outside = {
      ...{ state: 'outside', redirect_uri: 'https://evil.example/', scope: 'x', nonce: 'é' },
      ...{ response_type: 'token', authorization_details: '[]', code_challenge: 'x' },
    }
    const { body } = await recipient
      .pushObject(recipient.requestObject({ claims: { state: 'inside' } }), outside)
      .expect(201)
    const found = await pushed(recipient, body.request_uri)
    expect(found).toMatchObject({ state: 'inside', redirectUri, responseMode: 'query' })
    const consent = await findConsent(server.broker.db, 'first-bank', found?.consentId ?? '')
    expect(consent?.requested.clusters).toEqual(['ACCOUNT_BASIC', 'BALANCES', 'TRANSACTIONS'])
  })

  it('without a state has none, though one is sent beside it', async () => {
    const object = recipient.requestObject({ claims: { state: undefined } })
    const { body } = await recipient.pushObject(object, { state: 'outside' }).expect(201)
    expect(await pushed(recipient, body.request_uri)).not.toHaveProperty('state')
  })

  it.each(['ES256', 'PS256', 'EdDSA'] as const)('signed with %s is accepted', async (alg) => {
    const client = await server.client({ alg })
    await client.pushObject(client.requestObject()).expect(201)
  })

  it.each<[string, () => JwtParts]>([
    ['of no typ', () => ({ header: { typ: undefined } })],
    ['of typ JWT', () => ({ header: { typ: 'JWT' } })],
    ['without kid', () => ({ header: { kid: undefined } })],
    ['for several', () => ({ claims: { aud: ['https://other.example', server.broker.issuer] } })],
    ['that begins in 8 s', () => ({ claims: { nbf: seconds() + 8, iat: seconds() + 8 } })],
    [
      'that began 59 minutes ago and ends in one',
      () => ({ claims: { nbf: seconds() - 3_540, exp: seconds() + 60 } }),
    ],
    ['with details as text', () => ({ claims: { authorization_details: details() } })],
    ['with a jti', () => ({ claims: { jti: 'one' } })],
    ['with parameters that are not known', () => ({ claims: { claims: { a: {} }, max_age: 1 } })],
    ['with a nonce of 64 characters', () => ({ claims: { nonce: 'n'.repeat(64) } })],
    ['with an empty state', () => ({ claims: { state: '' } })],
  ])('%s is accepted', async (_, parts) => {
    await recipient.pushObject(recipient.requestObject(parts())).expect(201)
  })

  const details = () => JSON.stringify([recipient.details()])

  it.each<[string, () => JwtParts]>([
    ['of an access token', () => ({ header: { typ: 'at+jwt' } })],
    ['of a client assertion', () => ({ header: { typ: 'client-authentication+jwt' } })],
    ['of a proof', () => ({ header: { typ: 'dpop+jwt' } })],
    ['with crit', () => ({ header: { crit: ['exp'] } })],
    ['with b64', () => ({ header: { b64: false } })],
    ['with jku', () => ({ header: { jku: 'https://evil.example/jwks' } })],
    ['with x5u', () => ({ header: { x5u: 'https://evil.example/x5u' } })],
    ['with a kid that is not known', () => ({ header: { kid: 'two' } })],
    ['with alg none', () => ({ header: { alg: 'none' } })],
    ['with alg RS256', () => ({ header: { alg: 'RS256' } })],
    ['without iss', () => ({ claims: { iss: undefined } })],
    ['of another iss', () => ({ claims: { iss: 'other' } })],
    ['without client_id', () => ({ claims: { client_id: undefined } })],
    ['of another client_id', () => ({ claims: { client_id: 'other' } })],
    ['whose sub makes it an assertion', () => ({ claims: { sub: recipient.id } })],
    ['without aud', () => ({ claims: { aud: undefined } })],
    ['for another', () => ({ claims: { aud: 'https://other.example' } })],
    ['for several others', () => ({ claims: { aud: ['https://other.example'] } })],
    ['for the endpoint', () => ({ claims: { aud: `${server.broker.issuer}/oauth/par` } })],
    ['without exp', () => ({ claims: { exp: undefined } })],
    ['that has expired', () => ({ claims: { exp: seconds() - 1, nbf: seconds() - 60 } })],
    [
      'that lasts for more than 60 minutes',
      () => ({ claims: { nbf: seconds(), exp: seconds() + 3_601 } }),
    ],
    ['without nbf', () => ({ claims: { nbf: undefined } })],
    ['with an nbf in letters', () => ({ claims: { nbf: String(seconds()) } })],
    [
      'that began more than 60 minutes ago',
      () => ({ claims: { nbf: seconds() - 3_605, exp: seconds() - 5 + 60 } }),
    ],
    ['that begins in 61 s', () => ({ claims: { nbf: seconds() + 61 } })],
    ['that was made in 61 s', () => ({ claims: { iat: seconds() + 61 } })],
    ['with a request_uri', () => ({ claims: { request_uri: 'urn:x' } })],
    ['with a request', () => ({ claims: { request: 'x' } })],
    ['with a state that is no string', () => ({ claims: { state: 5 } })],
    ['with a redirect_uri of two', () => ({ claims: { redirect_uri: [redirectUri] } })],
    ['with NUL', () => ({ claims: { state: 'a\0b' } })],
    ['that nests too deep', () => ({ claims: { x: JSON.parse('['.repeat(17) + ']'.repeat(17)) } })],
    ['without bound', () => ({ claims: { x: 'x'.repeat(16_384) } })],
  ])('%s is refused', async (_, parts) => {
    const { body } = await recipient.pushObject(recipient.requestObject(parts())).expect(400)
    expect(body.error).toBe('invalid_request_object')
    expect(body.error_description).toMatch(/^request object: [ !#-[\]-~]+$/)
  })

  it.each(['ES256', 'RS256', 'none'] as const)('by another key (%s) is refused', async (alg) => {
    const object = recipient.requestObject({ signer: newSigner(alg) })
    const { body } = await recipient.pushObject(object).expect(400)
    expect(body.error).toBe('invalid_request_object')
  })

  it('by another client is refused, whoever pushes it', async () => {
    const other = await server.client()
    const claims = { iss: recipient.id, client_id: recipient.id }
    for (const object of [other.requestObject({ claims }), other.requestObject()])
      await recipient.pushObject(object).expect(400)
    const { body } = await other.pushObject(recipient.requestObject()).expect(400)
    expect(body.error).toBe('invalid_request_object')
  })

  it.each([
    ['that is no JWT', 'x'],
    ['that is unsigned', 'e30.e30.'],
    ['that is encrypted', 'e30.e30.e30.e30.e30'],
  ])('%s is refused', async (_, object) => {
    const { body } = await recipient.pushObject(object).expect(400)
    expect(body.error).toBe('invalid_request_object')
  })

  it('that names a member twice is refused, at any depth and however it is written', async () => {
    const whole = JSON.stringify({
      ...{ iss: recipient.id, client_id: recipient.id, aud: server.broker.issuer },
      ...{
        nbf: seconds(),
        exp: seconds() + 60,
        x: [{ a: 1 }, { a: 1, b: { a: '{"a":1,"a":2}' } }],
      },
    })
    const good = await recipient.pushObject(signedText(whole)).expect(400)
    expect(good.body.error).toBe('invalid_request') // for what it lacks
    for (const [one, two] of [
      ['"nbf":', '"exp":1,"nbf":'],
      ['"nbf":', '"\\u0065xp" : 1,"nbf":'],
      ['{"a":1}', '{"a":1,"a":1}'],
      ['"b":{', '"b":{"c":{},"c":{},'],
    ] as const) {
      const { body } = await recipient.pushObject(signedText(whole.replace(one, two))).expect(400)
      expect(body.error_description).toBe('request object: a member is there twice')
    }
  })

  it('that nests very deep costs nothing', async () => {
    const text = `{"x":${'['.repeat(8_000)}${']'.repeat(8_000)}}`
    const long = await recipient.pushObject(signedText(text)).expect(400)
    expect(long.body.error).toBe('invalid_request_object')
    const short = text
      .replaceAll('['.repeat(8_000), '['.repeat(5_000))
      .replace(']'.repeat(3_000), '')
    const deep = await recipient.pushObject(signedText(short)).expect(400)
    expect(deep.body.error_description).toBe('request object: it is nested more than 16 deep')
  })

  it('is held to every rule of a request', async () => {
    for (const [claims, error] of [
      [{ redirect_uri: undefined }, 'invalid_request'],
      [{ redirect_uri: `${redirectUri}/` }, 'invalid_request'],
      [{ response_type: 'code id_token' }, 'unsupported_response_type'],
      [{ code_challenge_method: 'plain' }, 'invalid_request'],
      [{ authorization_details: undefined }, 'invalid_request'],
      [{ authorization_details: [{ type: 'x' }] }, 'invalid_authorization_details'],
      [{ authorization_details: { type: 'x' } }, 'invalid_authorization_details'],
      [{ authorization_details: 7 }, 'invalid_authorization_details'],
      [{ scope: 'x' }, 'invalid_scope'],
    ] as const) {
      const { body } = await recipient.pushObject(recipient.requestObject({ claims })).expect(400)
      expect({ claims, error: body.error }).toEqual({ claims, error })
    }
  })

  it('can be pushed again while it is good: each push is a request of its own', async () => {
    const object = recipient.requestObject({ claims: { jti: 'once' } })
    const [one, two] = [
      await recipient.pushObject(object).expect(201),
      await recipient.pushObject(object).expect(201),
    ]
    expect(one.body.request_uri).not.toBe(two.body.request_uri)
  })

  it('is no client assertion, and an assertion no request object', async () => {
    const claims = { jti: 'a', exp: seconds() + 60 }
    const { body } = await recipient
      .push({ client_assertion: recipient.requestObject({ header: { typ: 'JWT' }, claims }) })
      .expect(401)
    expect(body.error).toBe('invalid_client')
    await recipient.pushObject(recipient.assertion()).expect(400)
  })
})

describe('what is pushed with a signed request object', () => {
  it.each([['a request_uri', { request_uri: 'urn:ietf:params:oauth:request_uri:x' }]])(
    'with %s beside it is refused',
    async (_, form) => {
      const { body } = await recipient.pushObject(recipient.requestObject(), form).expect(400)
      expect(body.error).toBe('invalid_request')
    },
  )

  it('is held to the proof of the key that the object names', async () => {
    const claims = { dpop_jkt: 'k'.repeat(43) }
    const object = recipient.requestObject({ claims })
    const proof = recipient.proof({ path: '/oauth/par' })
    const { body } = await recipient.pushObject(object).set('DPoP', proof).expect(400)
    expect(body.error).toBe('invalid_request')
  })
})

describe('a client that is registered to sign its requests', () => {
  it('cannot push one that is not signed', async () => {
    const { body } = await recipient.push().expect(400)
    expect(body.error).toBe('invalid_request')
  })
})

it('a client that is not registered to may sign its requests', async () => {
  const client = await server.client()
  await client.push().expect(201)
  await client.pushObject(client.requestObject()).expect(201)
})
