import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import {
  authorizationApp,
  type AuthorizationApp,
  type TestClient,
} from '../support/authorization_app.ts'
import { newSigner } from '../support/jwt.ts'

let server: AuthorizationApp
let recipient: TestClient
let token: string

beforeAll(async () => {
  server = await authorizationApp()
  recipient = await server.client()
  const { body } = await recipient.redeem(await recipient.code()).expect(200)
  token = body.access_token
})
afterAll(() => server.close())

const probe = (with_: string) => recipient.call('get', '/fdx/v6/probe', with_)

describe('an access token', () => {
  it('with any character changed is refused, though it was accepted a moment before', async () => {
    await probe(token).expect(200)
    for (let at = 0; at < token.length; at += 41) {
      const other = token[at] === 'A' ? 'B' : 'A'
      const { headers } = await probe(token.slice(0, at) + other + token.slice(at + 1)).expect(401)
      expect(headers['www-authenticate']).toMatch(/^DPoP error="invalid_token"|^DPoP algs=/)
    }
    const last = token.at(-1) === 'A' ? 'B' : 'A'
    await probe(token.slice(0, -1) + last).expect(401)
    await probe(token).expect(200)
  })

  it('signed by another key is refused, whatever key it names', async () => {
    const forger = newSigner('ES256')
    const [header = '', claims = ''] = token.split('.')
    const read = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString())
    await probe(forger.sign({ header: read(header), claims: read(claims) })).expect(401)
    await probe(
      forger.sign({ header: { ...read(header), jwk: forger.publicJwk }, claims: read(claims) }),
    ).expect(401)
    const none = newSigner('none')
    await probe(
      none.sign({ header: { ...read(header), alg: 'none' }, claims: read(claims) }),
    ).expect(401)
  })

  it('that is another JWT of ours is refused', async () => {
    const { keys } = server.authorization
    const [, claims = ''] = token.split('.')
    const decoded = JSON.parse(Buffer.from(claims, 'base64url').toString())
    await probe(keys.sign('at+jwt', decoded)).expect(200)
    await probe(keys.sign('JWT', decoded)).expect(401)
    await probe(keys.sign('at+jwt', { ...decoded, iss: 'https://other.example' })).expect(401)
    await probe(keys.sign('at+jwt', { ...decoded, aud: server.broker.issuer })).expect(401)
    await probe(keys.sign('at+jwt', { ...decoded, cnf: undefined })).expect(401)
    await probe(keys.sign('at+jwt', { ...decoded, exp: undefined })).expect(401)
    await probe(keys.sign('at+jwt', { ...decoded, iat: decoded.iat + 60 })).expect(401)
  })

  it.each([
    ['without a scheme', (t: string) => ({ Authorization: t })],
    ['in no header', () => ({ Authorization: '' })],
  ])('%s does not authenticate', async (_, headers) => {
    const { body, headers: answered } = await probe(token).set(headers(token)).expect(401)
    expect(answered['www-authenticate']).toBe(
      'DPoP algs="ES256 PS256 EdDSA", resource_metadata="https://broker.example/.well-known/oauth-protected-resource/fdx/v6", Bearer resource_metadata="https://broker.example/.well-known/oauth-protected-resource/fdx/v6"',
    )
    expect(answered['content-type']).toMatch(/^application\/problem\+json/)
    expect(body).toEqual({
      type: `${server.broker.issuer}/problems/invalid_token`,
      title: 'Not authenticated',
      status: 401,
      code: 'invalid_token',
      detail: expect.any(String),
    })
  })

  it('that is bound by DPoP is no bearer token, with or without a proof', async () => {
    const bearer = { Authorization: `Bearer ${token}` }
    for (const call of [probe(token), probe(token).unset('DPoP')]) {
      const { body, headers } = await call.set(bearer).expect(401)
      expect(body.code).toBe('invalid_token')
      expect(headers['www-authenticate']).toMatch(/^DPoP error="invalid_token", .*, Bearer error=/)
    }
  })

  it('in the query does not authenticate', async () => {
    await recipient
      .call('get', `/fdx/v6/probe?access_token=${token}`, token)
      .unset('Authorization')
      .expect(401)
  })

  it('ends after 300 s, also one that was accepted before', async () => {
    await probe(token).expect(200)
    server.advance(301)
    const { body } = await probe(token).expect(401)
    expect(body.code).toBe('invalid_token')
  })
})
