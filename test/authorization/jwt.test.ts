import { describe, expect, it } from '@jest/globals'
import {
  checkTimes,
  importPublicKey,
  isSignedBy,
  JwtError,
  parseJwt,
} from '../../src/authorization/jwt.ts'
import { openTokenKeys } from '../../src/authorization/keys.ts'
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

/** RFC 9449 Figure 2, and the thumbprint that §6.1 gives for its key. */
const rfc9449 = {
  proof:
    'eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg',
  thumbprint: '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I',
}

describe('a public key', () => {
  it('has the thumbprint that RFC 7638 and RFC 8037 give', () => {
    expect(importPublicKey(rfc7638, 'PS256').thumbprint).toBe(
      'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs',
    )
    expect(importPublicKey(rfc8037.jwk, 'EdDSA').thumbprint).toBe(rfc8037.thumbprint)
  })

  it('verifies the proof of RFC 9449', async () => {
    const jwt = parseJwt(rfc9449.proof)
    const { jwk } = jwt.header() as { jwk: Record<string, string> }
    const key = importPublicKey(jwk, 'ES256')
    expect(key.thumbprint).toBe(rfc9449.thumbprint)
    expect(await isSignedBy(jwt, key)).toBe(true)
    expect(await isSignedBy({ ...jwt, input: Buffer.from('x') }, key)).toBe(false)
  })

  it('is for one algorithm', () => {
    const ec = newSigner('ES256').publicJwk
    expect(() => importPublicKey(ec, 'PS256')).toThrow(JwtError)
    expect(() => importPublicKey(ec, 'EdDSA')).toThrow(JwtError)
    expect(() => importPublicKey({ ...ec, alg: 'ES384' }, 'ES256')).toThrow(JwtError)
    expect(() => importPublicKey({ ...ec, use: 'enc' }, 'ES256')).toThrow(JwtError)
    expect(() => importPublicKey({ ...ec, crv: 'P-384' }, 'ES256')).toThrow(JwtError)
    expect(() => importPublicKey({ ...ec, x: 7 as never }, 'ES256')).toThrow(JwtError)
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

describe('text that is no signed JWT', () => {
  const [header = '', claims = '', signature = ''] = rfc9449.proof.split('.')
  it.each([
    '',
    'a.b',
    'a.b.c',
    `${header}.${claims}.`,
    `${header}.${claims}`,
    `${rfc9449.proof}.${signature}`,
    `${rfc9449.proof}=`,
    ` ${rfc9449.proof}`,
    `${header}.W10.${signature}`,
    `${header}.bnVsbA.${signature}`,
    `${header}.IiI.${signature}`,
  ])('%p', (text) => {
    expect(() => parseJwt(text)).toThrow(JwtError)
  })

  it('has the spare bits of its last character set', () => {
    expect(rfc9449.proof.endsWith('g')).toBe(true)
    expect(() => parseJwt(`${rfc9449.proof.slice(0, -1)}h`)).toThrow(JwtError)
  })
})

describe('times', () => {
  const now = 1_000
  it.each([[{}], [{ iat: 1_010 }], [{ nbf: 1_010, exp: 1_001 }], [{ iat: 0 }]])(
    '%p hold',
    (claims) => {
      expect(() => checkTimes(claims, now)).not.toThrow()
    },
  )
  it.each([
    [{ iat: 1_011 }],
    [{ nbf: 1_011 }],
    [{ exp: 1_000 }],
    [{ exp: null }],
    [{ iat: '1' }],
    [{ nbf: [] }],
    [{ exp: '2000' }],
  ])('%p do not', (claims) => {
    expect(() => checkTimes(claims, now)).toThrow(JwtError)
  })
})

describe('token keys', () => {
  const [one, two] = [newSigner('ES256'), newSigner('ES256')]

  it('sign with the first and verify with all, which are published without private parts', () => {
    const keys = openTokenKeys([one.privateJwk, two.publicJwk])
    const { kid } = parseJwt(keys.sign('at+jwt', {})).header()
    expect(kid).toBe(importPublicKey(one.publicJwk, 'ES256').thumbprint)
    expect(keys.find(kid)).toBeDefined()
    expect(keys.find(importPublicKey(two.publicJwk, 'ES256').thumbprint)).toBeDefined()
    expect(keys.find(undefined)).toBeUndefined()
    expect(keys.jwks.keys).toHaveLength(2)
    expect(JSON.stringify(keys.jwks)).not.toContain('"d"')
  })

  it('that cannot sign, are not P-256, or are named twice are refused at start', () => {
    expect(() => openTokenKeys([])).toThrow()
    expect(() => openTokenKeys([one.publicJwk])).toThrow()
    expect(() => openTokenKeys([newSigner('PS256').privateJwk])).toThrow()
    expect(() => openTokenKeys([one.privateJwk, one.publicJwk])).toThrow()
  })
})
