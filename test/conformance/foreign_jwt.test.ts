import { createHmac } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { newSigner, signingBy, type Signer } from '../support/jwt.ts'
import { openServerUnderTest, type Answer, type ServerUnderTest } from './server_under_test.ts'
import { openSuite, type Differing, type Suite, type Tokens } from './suite.ts'

/** A server of its own, with a client that signs its requests, and one of its access tokens. */
let server: ServerUnderTest
let suite: Suite
let tokens: Tokens

beforeAll(async () => {
  server = await openServerUnderTest()
  suite = await openSuite(server, {
    client_auth_type: 'private_key_jwt',
    sender_constrain: 'dpop',
    fapi_request_method: 'signed_non_repudiation',
    fapi_response_mode: 'plain_response',
  })
  tokens = await suite.client.tokens()
})
afterAll(() => server.close())

const ownToken = { grant_type: 'client_credentials', scope: 'grant_management_query' }

/** A place where a JWT of a client's is read: who signs there, how it is sent, and how it is refused. */
interface Place {
  readonly signer: () => Signer
  readonly send: (differing: Differing) => Promise<Answer>
  readonly refused: { readonly status: number; readonly error: string }
}

const places: Readonly<Record<string, Place>> = {
  'a client assertion': {
    signer: () => suite.client.signer,
    send: (assertion) => suite.client.token({ form: ownToken, assertion }),
    refused: { status: 401, error: 'invalid_client' },
  },
  'a proof at the token endpoint': {
    signer: () => suite.client.prover,
    send: (proof) => suite.client.token({ form: ownToken, proof }),
    refused: { status: 400, error: 'invalid_dpop_proof' },
  },
  'a proof at the resource': {
    signer: () => suite.client.prover,
    send: (proof) => suite.client.read(tokens, { proof }),
    refused: { status: 401, error: 'invalid_dpop_proof' },
  },
  'a request object': {
    signer: () => suite.client.signer,
    send: (object) => suite.client.push({ object }),
    refused: { status: 400, error: 'invalid_request_object' },
  },
}

/** One part of the text, changed. */
const part =
  (place: 0 | 1 | 2, change: (text: string) => string) =>
  (made: string): string =>
    made
      .split('.')
      .map((text, i) => (i === place ? change(text) : text))
      .join('.')

const encode = (text: string) => Buffer.from(text).toString('base64url')

/** Signs with the public key for a secret, as a verifier that lets the header choose would verify (RFC 8725 §2.1). */
const confused = (signer: Signer): Signer => ({
  ...signer,
  sign({ header, claims }) {
    const input = `${encode(JSON.stringify({ ...header, alg: 'HS256' }))}.${encode(JSON.stringify(claims))}`
    const secret = JSON.stringify(signer.publicJwk)
    return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
  },
})

/** How a JWT can be what it must not be, made from the signer of the right one. */
const faults: Readonly<Record<string, (signer: Signer) => Differing>> = {
  'of no algorithm': () => ({ signer: newSigner('none') }),
  'of no algorithm, with a signature': () => ({ header: { alg: 'none' } }),
  'of no algorithm in capitals': () => ({ header: { alg: 'NONE' } }),
  'whose alg is missing': () => ({ header: { alg: undefined } }),
  'whose alg is a list': () => ({ header: { alg: ['ES256'] } }),
  'signed by RS256': () => ({ signer: newSigner('RS256') }),
  'signed by RS256 with an RSA key of its own': (signer) => ({
    signer: signingBy(signer.alg === 'PS256' ? signer : newSigner('PS256'), 'RS256'),
  }),
  'signed by HS256 with the public key': (signer) => ({ signer: confused(signer) }),
  'that names another algorithm than it is signed by': () => ({ header: { alg: 'EdDSA' } }),
  'of the type of an access token': () => ({ header: { typ: 'at+jwt' } }),
  'of the type of a security event': () => ({ header: { typ: 'secevent+jwt' } }),
  'of the type of an approval': () => ({ header: { typ: 'countersign-approval+jwt' } }),
  'whose type is no text': () => ({ header: { typ: 7 } }),
  'with crit': () => ({ header: { crit: ['exp'] } }),
  'with an empty crit': () => ({ header: { crit: [] } }),
  'with b64': () => ({ header: { b64: false, crit: ['b64'] } }),
  'with b64 that changes nothing': () => ({ header: { b64: true } }),
  'with x5u': () => ({ header: { x5u: 'https://keys.example/x5u' } }),
  'with jku': () => ({ header: { jku: 'https://keys.example/jwks' } }),
  'with a header beyond measure': () => ({ header: { extra: 'x'.repeat(8_000) } }),
  'with a header of many members': () => ({
    header: Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`member-${i}`, i])),
  }),
  'whose header is no object': () => ({ text: part(0, () => encode('[]')) }),
  'whose header is no JSON': () => ({ text: part(0, () => encode('{"alg":"ES256"')) }),
  'whose claims are no object': () => ({ text: part(1, () => encode('"claims"')) }),
  'whose claims are no JSON': () => ({ text: part(1, () => encode('{')) }),
  'whose claims are nested without bound': () => ({
    text: part(1, () => encode('['.repeat(9_000))),
  }),
  'whose claims were changed': () => ({
    text: part(1, (claims) => {
      const read: object = JSON.parse(Buffer.from(claims, 'base64url').toString())
      return encode(JSON.stringify({ ...read, changed: true }))
    }),
  }),
  'without its signature': () => ({ text: part(2, () => '') }),
  'with another signature': () => ({ text: part(2, (text) => 'A'.repeat(text.length)) }),
  'of two parts': () => ({ text: (made) => made.split('.').slice(0, 2).join('.') }),
  'of five parts, as an encrypted one has': () => ({ text: (made) => `${made}.AAAA.AAAA` }),
  'with padding': () => ({ text: (made) => `${made}=` }),
  'in JSON': () => ({ text: () => '{"payload":"e30","signatures":[]}' }),
  'that is no JWT': () => ({ text: () => 'x' }),
  'by a key that is not its own': ({ alg }) => ({
    signer: newSigner(alg),
    // A proof brings its key along, and so must name another than it is signed by.
    header: { jwk: newSigner('ES256').publicJwk },
  }),
  'that is not valid yet': () => ({ claims: { nbf: Date.now() / 1000 + 600 } }),
  'that has expired': () => ({ claims: { exp: Date.now() / 1000 - 600 } }),
  'whose times are text': () => ({ claims: { iat: 'now', nbf: 'now', exp: 'then' } }),
  'for a time without end': () => ({ claims: { iat: 1e300, nbf: 1e300, exp: 1e308 } }),
}

/** For those whose key is registered. */
const registeredFaults: Readonly<Record<string, (signer: Signer) => Differing>> = {
  'whose kid is not known': () => ({ header: { kid: '../../etc/passwd' } }),
  'whose kid is no text': () => ({ header: { kid: { one: 'one' } } }),
  'of the type of a proof': () => ({ header: { typ: 'dpop+jwt' } }),
  'that brings its own key': () => {
    const signer = newSigner('ES256')
    return { signer, header: { kid: undefined, jwk: signer.publicJwk } }
  },
}

/** Held against what was sent: nothing of it may come back. */
function expectRefused({ status, headers, body, text }: Answer, { refused }: Place): void {
  const error = body?.['error'] ?? body?.['code']
  expect({ status, error }).toEqual(refused)
  expect(headers['content-type']).toMatch(/^application\/(problem\+)?json\b/)
  expect(text).not.toMatch(/<|passwd|keys\.example|member-|\.ts:|node_modules/)
}

describe.each(Object.entries(places))('%s', (name, place) => {
  const all = { ...faults, ...(name.includes('proof') ? {} : registeredFaults) }

  it.each(Object.entries(all))('%s is refused', async (_, fault) => {
    expectRefused(await place.send(fault(place.signer())), place)
  })

  it('that is right is accepted all the while', async () => {
    expect((await place.send({})).status).toBeLessThan(300)
  })
})

describe('a kid that two keys of a client have', () => {
  it('names neither', async () => {
    const { client } = suite
    const twice = [client.signer, newSigner('PS256')].map(({ publicJwk }) => publicJwk)
    await server.replaceKeys(client.id, twice)
    for (const name of ['a client assertion', 'a request object']) {
      const place = places[name]
      if (place === undefined) throw new Error(`there is no place ${name}`)
      const { status } = await place.send({})
      expect(status).toBe(401) // the assertion beside the request object is refused first
    }
    await server.replaceKeys(client.id, [client.signer.publicJwk])
    expect((await client.push()).status).toBe(201)
  })
})

it('nothing of what was sent is in a line of the log', () => {
  expect(server.log.length).toBeGreaterThan(100)
  const log = server.log.join('\n')
  expect(log).not.toMatch(/eyJ|passwd|keys\.example|member-|urn:ietf:params:oauth:request_uri/)
  expect(log).not.toContain(tokens.refresh_token)
})
