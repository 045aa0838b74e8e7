import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { openKeySets } from '../../src/banks/key_sets.ts'
import { makeCertificate, named } from '../../sandbox/certificates.ts'
import {
  authorizationApp,
  type AuthorizationApp,
  type TestClient,
} from '../support/authorization_app.ts'
import { newSigner } from '../support/jwt.ts'

let server: AuthorizationApp
let place: Server
let uri: string
let client: TestClient
/** What the client's place answers, and how often it was asked. */
let answer: { status?: number; text: () => string; delay_ms?: number }
let asked: number
const failures: string[] = []
const keySets = openKeySets({ sandbox: true })

beforeAll(async () => {
  place = createServer((_req, res) => {
    asked += 1
    const { status = 200, text, delay_ms = 0 } = answer
    setTimeout(() => {
      res.statusCode = status
      res.end(text())
    }, delay_ms)
  }).listen(0, '127.0.0.1')
  await once(place, 'listening')
  server = await authorizationApp({
    keySets: {
      fetch: keySets.fetch,
      failed: (id, error) => failures.push(`${id} ${String(error)}`),
    },
  })
})

afterAll(async () => {
  keySets.gateway.close()
  place.closeAllConnections()
  place.close()
  await server.close()
})

let places = 0

beforeEach(async () => {
  asked = 0
  failures.length = 0
  places += 1
  uri = `http://127.0.0.1:${(place.address() as AddressInfo).port}/jwks/${places}`
  client = await server.client({ security: { jwksUri: uri } })
  answer = { text: () => JSON.stringify({ keys: [theKey()] }) }
})

const theKey = () => ({ ...client.signer.publicJwk, kid: 'one' })
const serve = (...keys: object[]) => (answer = { text: () => JSON.stringify({ keys }) })
const status = async (assertion = client.assertion()) =>
  (await client.push({ client_assertion: assertion })).status

describe('keys at a jwks_uri', () => {
  it('authenticate, and are fetched once in ten minutes', async () => {
    expect(await status()).toBe(201)
    expect(await status()).toBe(201)
    expect(asked).toBe(1)
    server.advance(599)
    expect(await status()).toBe(201)
    expect(asked).toBe(1)
    server.advance(2)
    expect(await status()).toBe(201)
    expect(asked).toBe(2)
  })

  it('are fetched once for 20 requests at the same time', async () => {
    answer = { ...answer, delay_ms: 50 }
    const all = await Promise.all(Array.from({ length: 20 }, () => status()))
    expect(all.every((one) => one === 201)).toBe(true)
    expect(asked).toBe(1)
  })

  it('are fetched again for a kid that is not among them, and then not for a while', async () => {
    expect(await status()).toBe(201)
    const next = newSigner('ES256')
    const signed = () => {
      const [, claims = ''] = client.assertion().split('.')
      return next.sign({
        header: { alg: 'ES256', kid: 'two' },
        claims: JSON.parse(Buffer.from(claims, 'base64url').toString()),
      })
    }
    for (let i = 0; i < 5; i += 1) expect(await status(signed())).toBe(401)
    expect(asked).toBe(1) // within the cool-down of the first time
    serve(theKey(), { ...next.publicJwk, kid: 'two' })
    server.advance(31)
    expect(await status(signed())).toBe(201)
    expect(asked).toBe(2)
    const unknown = () => client.assertion({ header: { kid: 'three' } })
    for (let i = 0; i < 5; i += 1) expect(await status(unknown())).toBe(401)
    expect(asked).toBe(2)
  })

  it('that were withdrawn do not authenticate once that is known', async () => {
    expect(await status()).toBe(201)
    serve({ ...newSigner('ES256').publicJwk, kid: 'other' })
    server.advance(601)
    expect(await status()).toBe(401)
  })

  it.each<[string, { status?: number; text: () => string }]>([
    ['empty', { text: () => '{"keys":[]}' }],
    ['gone', { status: 404, text: () => '' }],
    ['gone for good', { status: 410, text: () => '' }],
  ])('are withdrawn by a place that is %s', async (_, withdrawn) => {
    expect(await status()).toBe(201)
    answer = withdrawn
    server.advance(601)
    expect(await status()).toBe(503)
    expect(failures).toHaveLength(1)
  })

  it('are kept for a day when their place is down, and no longer', async () => {
    expect(await status()).toBe(201)
    answer = { status: 500, text: () => '' }
    server.advance(86_000)
    expect(await status()).toBe(201)
    expect(asked).toBe(2)
    server.advance(500)
    const { status: gone, body } = await client.push()
    expect({ gone, error: body.error }).toEqual({ gone: 503, error: 'temporarily_unavailable' })
    expect(failures.length).toBeGreaterThan(0)
  })

  it.each<[string, () => { status?: number; text: () => string }]>([
    ['what is no JSON', () => ({ text: () => '<html>' })],
    ['no set of keys', () => ({ text: () => '[]' })],
    ['an empty set', () => ({ text: () => '{"keys":[]}' })],
    ['a redirect', () => ({ status: 302, text: () => JSON.stringify({ keys: [theKey()] }) })],
    ['more than 256 KiB', () => ({ text: () => `{"keys":[],"x":"${'x'.repeat(256 * 1024)}"}` })],
    ['a kid twice', () => serve(theKey(), { ...newSigner('ES256').publicJwk, kid: 'one' })],
    ['a private key', () => serve(theKey(), { ...newSigner('ES256').privateJwk, kid: 'two' })],
    ['a secret', () => serve(theKey(), { kty: 'oct', k: 'AAAA', kid: 'two' })],
    ['a key that is elsewhere', () => serve({ ...theKey(), x5u: 'https://x.example' })],
    ['a key with jku', () => serve({ ...theKey(), jku: 'https://x.example' })],
    [
      'more than 50 keys',
      () => serve(...Array.from({ length: 51 }, (_, i) => ({ ...theKey(), kid: `k${i}` }))),
    ],
    [
      'a certificate of another key',
      () => serve({ ...theKey(), x5c: makeCertificate({ subject: named('x') }).jwk.x5c }),
    ],
  ])('are not taken from %s', async (_, answered) => {
    answer = answered()
    expect(await status()).toBe(503)
    expect(failures).toHaveLength(1)
    expect(failures[0]).toContain(client.id)
    // Asking again at once asks nobody.
    expect(await status()).toBe(503)
    expect(asked).toBe(1)
  })

  it('are not replaced by a set that is not good', async () => {
    expect(await status()).toBe(201)
    serve(theKey(), { ...newSigner('ES256').privateJwk, kid: 'two' })
    server.advance(601)
    expect(await status()).toBe(201)
    expect(failures).toHaveLength(1)
  })
})

describe('outside of the sandbox', () => {
  it.each([
    ['without TLS', 'http://keys.example/jwks'],
    ['at a private address', 'https://127.0.0.1/jwks'],
    ['at the address of the cloud’s own data', 'https://169.254.169.254/jwks'],
  ])('no keys are fetched %s', async (_, at) => {
    const strict = openKeySets({ sandbox: false })
    await expect(strict.fetch(at)).rejects.toThrow()
    strict.gateway.close()
  })
})
