import { describe, expect, it } from '@jest/globals'
import { generateKeyPairSync } from 'node:crypto'
import {
  algorithmNames,
  algorithmOfKey,
  importPrivateKey,
  importPublicKey,
  isSignedBy,
  JwsError,
  signerOf,
  verifyJws,
} from '../../src/storage/jws.ts'
import { newSigner } from '../support/jwt.ts'

/** RFC 7638 §3.1. */
const rfc7638 = {
  kty: 'RSA',
  n: '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw',
  e: 'AQAB',
}

/** RFC 8037 Appendix A.2 to A.4. */
const rfc8037 = {
  jwk: { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' },
  thumbprint: 'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k',
}

describe('a public key', () => {
  it('has the thumbprint that RFC 7638 and RFC 8037 give', () => {
    expect(importPublicKey(rfc7638, 'PS256').thumbprint).toBe(
      'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs',
    )
    expect(importPublicKey(rfc8037.jwk, 'EdDSA').thumbprint).toBe(rfc8037.thumbprint)
  })

  it('is for one algorithm', () => {
    const ec = newSigner('ES256').publicJwk
    expect(() => importPublicKey(ec, 'PS256')).toThrow(JwsError)
    expect(() => importPublicKey(ec, 'EdDSA')).toThrow(JwsError)
    expect(() => importPublicKey({ ...ec, alg: 'ES384' }, 'ES256')).toThrow(JwsError)
    expect(() => importPublicKey({ ...ec, use: 'enc' }, 'ES256')).toThrow(JwsError)
    expect(() => importPublicKey({ ...ec, crv: 'P-384' }, 'ES256')).toThrow(JwsError)
    expect(() => importPublicKey({ ...ec, x: 7 }, 'ES256')).toThrow(JwsError)
  })

  it('of 1,024 bits, or too long to be verified at leisure, is none', () => {
    const n = (bytes: number) => Buffer.alloc(bytes, 0xff).toString('base64url')
    expect(() => importPublicKey({ ...rfc7638, n: n(128) }, 'PS256')).toThrow('2048 to 4096 bits')
    expect(() => importPublicKey({ ...rfc7638, n: n(1_024) }, 'PS256')).toThrow('2048 to 4096 bits')
  })

  it.each(['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'])(
    'with the private member %s is none',
    (name) => {
      expect(() => importPublicKey({ ...rfc7638, [name]: 'x' }, 'PS256')).toThrow('not public')
    },
  )
})

/** A compact JWS taken apart. */
function parts(jws: string) {
  const [header = '', payload = '', signature = ''] = jws.split('.')
  return {
    header: JSON.parse(Buffer.from(header, 'base64url').toString()) as unknown,
    input: Buffer.from(`${header}.${payload}`),
    signature: Buffer.from(signature, 'base64url'),
  }
}

describe.each(algorithmNames)('a signature by %s', (alg) => {
  const signer = newSigner(alg)
  const { input, signature } = parts(signer.sign({ header: { alg }, claims: {} }))
  const jwk = Object.fromEntries(
    Object.entries(signer.publicJwk).map(([name, value]) => [name, String(value)]),
  )

  it('is verified, now and in replay', async () => {
    expect(await isSignedBy({ input, signature }, importPublicKey(jwk, alg))).toBe(true)
    expect(verifyJws(jwk, alg, input, signature)).toBe(true)
    expect(verifyJws(jwk, alg, Buffer.from('x'), signature)).toBe(false)
  })

  it('is of no other algorithm', () => {
    for (const other of [...algorithmNames, 'RS256', 'none', 'toString'])
      expect(verifyJws(jwk, other, input, signature)).toBe(other === alg)
  })

  it('holds in replay whatever its key says of its use', () => {
    expect(verifyJws({ ...jwk, use: 'enc', alg: 'none' }, alg, input, signature)).toBe(true)
  })

  it('is made under a header that names it', async () => {
    const key = importPrivateKey(signer.privateJwk)
    expect(algorithmOfKey(key.publicJwk)).toBe(alg)
    const made = parts(signerOf(key, { typ: 'x' })({ a: 1 }))
    expect(made.header).toEqual({ alg, typ: 'x' })
    expect(await isSignedBy(made, importPublicKey(jwk, alg))).toBe(true)
  })
})

describe('a key of another kind', () => {
  const other = generateKeyPairSync('ec', { namedCurve: 'P-384' })
  const jwk = other.publicKey.export({ format: 'jwk' })

  it('has no algorithm, and signs nothing', () => {
    expect(() => algorithmOfKey(jwk)).toThrow(JwsError)
    expect(() => importPrivateKey(other.privateKey.export({ format: 'jwk' }))).toThrow(JwsError)
  })
})

it.each([
  ['1, by which anyone signs', Buffer.from([1]), false],
  ['3', Buffer.from([3]), false],
  ['65537', Buffer.from([1, 0, 1]), true],
  ['2^32 + 1', Buffer.from([1, 0, 0, 0, 1]), false],
])('of an RSA key with the exponent %s', (_, exponent, accepted) => {
  const { n } = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({
    format: 'jwk',
  })
  const jwk = { kty: 'RSA', n, e: exponent.toString('base64url') }
  if (accepted) expect(importPublicKey(jwk, 'PS256').algorithm).toBe('PS256')
  else expect(() => importPublicKey(jwk, 'PS256')).toThrow(JwsError)
})

it('a signature by an RSA key of 1,024 bits is none in replay', () => {
  const signer = newSigner('PS256', generateKeyPairSync('rsa', { modulusLength: 1024 }))
  const { input, signature } = parts(signer.sign({ header: {}, claims: {} }))
  const { n = '', e = '' } = signer.publicJwk
  expect(verifyJws({ kty: 'RSA', n, e }, 'PS256', input, signature)).toBe(false)
})
