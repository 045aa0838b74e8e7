import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import {
  authorizationApp,
  type AuthorizationApp,
  type TestClient,
} from '../support/authorization_app.ts'
import { newSigner, sha256, type JwtParts } from '../support/jwt.ts'

let server: AuthorizationApp
let recipient: TestClient
let token: string
const now = () => Math.floor(server.broker.now() / 1000)

beforeAll(async () => {
  server = await authorizationApp()
  recipient = await server.client({ scopes: ['grant_management_query'] })
  token = await freshToken()
})
afterAll(() => server.close())

async function freshToken(): Promise<string> {
  const { body } = await recipient.redeem(await recipient.code()).expect(200)
  return body.access_token
}

const probe = (parts?: Parameters<TestClient['call']>[3]) =>
  recipient.call('get', '/fdx/v6/probe', token, parts)

const credentials = { grant_type: 'client_credentials', scope: 'grant_management_query' }

const issuer = () => server.broker.issuer

const good: [string, () => JwtParts][] = [
  ['made 10 s ahead', () => ({ claims: { iat: now() + 10 } })],
  ['made 10 s ago', () => ({ claims: { iat: now() - 10 } })],
  ['with nbf and exp that hold', () => ({ claims: { nbf: now(), exp: now() + 300 } })],
  ['with members that are not known', () => ({ header: { extra: 1 }, claims: { extra: 1 } })],
]

const bad: [string, () => JwtParts][] = [
  ['without typ', () => ({ header: { typ: undefined } })],
  ['of another typ', () => ({ header: { typ: 'jwt' } })],
  ['without alg', () => ({ header: { alg: undefined } })],
  ['of alg none', () => ({ header: { alg: 'none' } })],
  ['of alg HS256', () => ({ header: { alg: 'HS256' } })],
  ['of an alg that its key is not for', () => ({ header: { alg: 'EdDSA' } })],
  ['without jwk', () => ({ header: { jwk: undefined } })],
  ['with a private key', () => ({ header: { jwk: recipient.proofSigner.privateJwk } })],
  [
    'with a point off the curve',
    () => ({ header: { jwk: { ...recipient.proofSigner.publicJwk, x: sha256('x') } } }),
  ],
  ['with crit', () => ({ header: { crit: ['jti'] } })],
  ['with a header without bound', () => ({ header: { extra: 'x'.repeat(2_000) } })],
  ['without jti', () => ({ claims: { jti: undefined } })],
  ['with a jti without bound', () => ({ claims: { jti: 'x'.repeat(257) } })],
  ['without htm', () => ({ claims: { htm: undefined } })],
  ['for another method', () => ({ claims: { htm: 'PUT' } })],
  ['without htu', () => ({ claims: { htu: undefined } })],
  ['for what is no URL', () => ({ claims: { htu: 'probe' } })],
  ['for another path', () => ({ claims: { htu: `${issuer()}/fdx/v6/accounts` } })],
  ['for another host', () => ({ claims: { htu: 'https://other.example/fdx/v6/probe' } })],
  ['without iat', () => ({ claims: { iat: undefined } })],
  ['made an hour ahead', () => ({ claims: { iat: now() + 3_600 } })],
  ['made 20 s ahead', () => ({ claims: { iat: now() + 20 } })],
  ['made an hour ago', () => ({ claims: { iat: now() - 3_600 } })],
  ['made 70 s ago', () => ({ claims: { iat: now() - 70 } })],
  ['that has ended', () => ({ claims: { exp: now() - 1 } })],
]

describe('at a protected resource, a proof is accepted', () => {
  it.each(good)('%s', async (_, parts) => {
    const { body } = await probe(parts()).expect(200)
    expect(body).toMatchObject({ clientId: recipient.id, bank: server.bank })
  })

  it.each(['PS256', 'EdDSA'] as const)('signed with %s', async (proofAlg) => {
    const client = await server.client({ proofAlg })
    const { body } = await client.redeem(await client.code()).expect(200)
    await client.call('get', '/fdx/v6/probe', body.access_token).expect(200)
  })

  it('whatever query and fragment it names, and whatever the request has', async () => {
    await probe({ claims: { htu: `${issuer()}/fdx/v6/probe?a=b#c` } }).expect(200)
    const proof = recipient.proof({
      path: '/fdx/v6/probe',
      claims: { htm: 'GET', ath: sha256(token) },
    })
    await recipient.call('get', '/fdx/v6/probe?a=b', token).set('DPoP', proof).expect(200)
  })

  it('for a URL written in another way', async () => {
    await probe({ claims: { htu: 'HTTPS://BROKER.example:443/fdx/./v6/probe' } }).expect(200)
  })

  it('with the scheme of the token in any case', async () => {
    for (const scheme of ['dpop', 'DPOP', 'dPoP'])
      await probe().set('Authorization', `${scheme} ${token}`).expect(200)
  })
})

describe('at a protected resource, a proof is refused', () => {
  const refused: [string, () => JwtParts][] = [
    ...bad,
    ['without ath', () => ({ claims: { ath: undefined } })],
    ['with the hash of another token', () => ({ claims: { ath: sha256('another') } })],
  ]
  it.each(refused)('%s', async (_, parts) => {
    const { body, headers } = await probe(parts()).expect(401)
    expect(body).toMatchObject({ status: 401, code: 'invalid_dpop_proof' })
    expect(headers['www-authenticate']).toMatch(
      /^DPoP error="invalid_dpop_proof", .*algs="ES256 PS256 EdDSA", resource_metadata="[^"]+"$/,
    )
  })

  it('by another key than the token is bound to', async () => {
    await probe({ signer: newSigner('ES256') }).expect(401)
  })

  it('that its key did not sign', async () => {
    await probe({
      signer: newSigner('ES256'),
      header: { jwk: recipient.proofSigner.publicJwk },
    }).expect(401)
  })

  it('that is no JWT, is missing, or comes twice', async () => {
    await probe().set('DPoP', 'not-a-jwt').expect(401)
    await probe().unset('DPoP').expect(401)
    const proof = () =>
      recipient.proof({ path: '/fdx/v6/probe', claims: { htm: 'GET', ath: sha256(token) } })
    await probe().set('DPoP', `${proof()}, ${proof()}`).expect(401)
  })

  it('that was used before, and in all but one of 20 calls at the same time', async () => {
    const jti = 'used-once'
    await probe({ claims: { jti } }).expect(200)
    await probe({ claims: { jti } }).expect(401)
    const proof = recipient.proof({
      path: '/fdx/v6/probe',
      claims: { htm: 'GET', ath: sha256(token) },
    })
    const answers = await Promise.all(Array.from({ length: 20 }, () => probe().set('DPoP', proof)))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(answers.filter(({ status }) => status === 401)).toHaveLength(19)
  })

  it('of another client, whose jti it may share', async () => {
    const other = await server.client()
    const theirs = (await other.redeem(await other.code()).expect(200)).body.access_token
    const claims = { jti: 'shared' }
    await probe({ claims }).expect(200)
    await other.call('get', '/fdx/v6/probe', theirs, { claims }).expect(200)
    await other.call('get', '/fdx/v6/probe', token).expect(401)
  })
})

describe('a nonce', () => {
  it.each([undefined, 'made-up', 7])('%p is answered with the one to use', async (nonce) => {
    const { headers, body } = await probe({ claims: { nonce } }).expect(401)
    expect(body.code).toBe('use_dpop_nonce')
    expect(headers['www-authenticate']).toMatch(/^DPoP error="use_dpop_nonce"/)
    const given = headers['dpop-nonce']
    await probe({ claims: { nonce: given } }).expect(200)
  })

  it('is followed by the next before it ends, and ends', async () => {
    const nonce = server.authorization.nonces.current(server.broker.now())
    const same = await probe({ claims: { nonce } }).expect(200)
    expect(same.headers['dpop-nonce']).toBeUndefined()
    server.advance(150)
    const changing = await probe({ claims: { nonce } }).expect(200)
    const next = changing.headers['dpop-nonce']
    expect(next).toBeDefined()
    expect(next).not.toBe(nonce)
    server.advance(150)
    token = await freshToken()
    await probe({ claims: { nonce } }).expect(401)
    await probe({ claims: { nonce: next } }).expect(200)
  })
})

describe('at the token endpoint, a proof', () => {
  it.each(good)('is accepted %s', async (_, parts) => {
    await recipient.token(credentials, { DPoP: recipient.proof(parts()) }).expect(200)
  })

  it.each(bad)('is refused %s', async (_, parts) => {
    const { body } = await recipient
      .token(credentials, { DPoP: recipient.proof(parts()) })
      .expect(400)
    expect(body.error).toBe('invalid_dpop_proof')
  })

  it('is required', async () => {
    const { body } = await recipient.token(credentials, { DPoP: undefined }).expect(400)
    expect(body.error).toBe('invalid_dpop_proof')
  })

  it('is accepted once', async () => {
    const DPoP = recipient.proof()
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => recipient.token(credentials, { DPoP })),
    )
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    const refused = answers.find(({ status }) => status === 400)
    expect(refused?.body.error).toBe('invalid_dpop_proof')
  })

  it('brings the next nonce when its own is about to end', async () => {
    const nonce = server.authorization.nonces.current(server.broker.now())
    server.advance(150)
    const { headers } = await recipient
      .token(credentials, { DPoP: recipient.proof({ claims: { nonce } }) })
      .expect(200)
    expect(headers['dpop-nonce']).toBe(server.authorization.nonces.current(server.broker.now()))
  })
})

describe('the key of a code', () => {
  const jkt = async (client: TestClient) => {
    const { body } = await client.redeem(await client.code()).expect(200)
    const [, claims = ''] = String(body.access_token).split('.')
    return JSON.parse(Buffer.from(claims, 'base64url').toString()).cnf.jkt as string
  }

  it('may be named by dpop_jkt, and no other redeems the code then', async () => {
    const dpop_jkt = await jkt(recipient)
    const code = await recipient.code({ form: { dpop_jkt } })
    const { body } = await recipient
      .redeem(code, {}, { DPoP: recipient.proof({ signer: newSigner('ES256') }) })
      .expect(400)
    expect(body.error).toBe('invalid_grant')
    await recipient.redeem(code).expect(200)
  })

  it('may be shown by a proof when the request is pushed', async () => {
    const headers = () => ({ DPoP: recipient.proof({ path: '/oauth/par' }) })
    const code = await recipient.code({ headers: headers() })
    await recipient
      .redeem(code, {}, { DPoP: recipient.proof({ signer: newSigner('ES256') }) })
      .expect(400)
    await recipient.redeem(code).expect(200)
    const dpop_jkt = await jkt(recipient)
    await recipient.push({ dpop_jkt }, headers()).expect(201)
  })

  it('is one key: parameter and proof must agree', async () => {
    const headers = { DPoP: recipient.proof({ path: '/oauth/par' }) }
    const { body } = await recipient.push({ dpop_jkt: sha256('other') }, headers).expect(400)
    expect(body.error).toBe('invalid_request')
    await recipient.push({ dpop_jkt: 'not a thumbprint' }).expect(400)
  })

  it('is not proven at the PAR endpoint by a proof for another', async () => {
    const { body } = await recipient.push({}, { DPoP: recipient.proof() }).expect(400)
    expect(body.error).toBe('invalid_dpop_proof')
  })
})
