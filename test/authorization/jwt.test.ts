import { describe, expect, it } from '@jest/globals'
import { checkTimes, parseJwt } from '../../src/authorization/jwt.ts'
import { tokenKeysOf } from '../../src/authorization/keys.ts'
import { importPublicKey, isSignedBy, JwsError } from '../../src/storage/jws.ts'
import { newSigner } from '../support/jwt.ts'

/** RFC 9449 Figure 2, and the thumbprint that §6.1 gives for its key. */
const rfc9449 = {
  proof:
    'eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg',
  thumbprint: '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I',
}

describe('a signed JWT', () => {
  it('is verified by its key, as the proof of RFC 9449 is', async () => {
    const jwt = parseJwt(rfc9449.proof)
    const { jwk } = jwt.header() as { jwk: Record<string, string> }
    const key = importPublicKey(jwk, 'ES256')
    expect(key.thumbprint).toBe(rfc9449.thumbprint)
    expect(await isSignedBy(jwt, key)).toBe(true)
    expect(await isSignedBy({ ...jwt, input: Buffer.from('x') }, key)).toBe(false)
  })
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
    expect(() => parseJwt(text)).toThrow(JwsError)
  })

  it('has the spare bits of its last character set', () => {
    expect(rfc9449.proof.endsWith('g')).toBe(true)
    expect(() => parseJwt(`${rfc9449.proof.slice(0, -1)}h`)).toThrow(JwsError)
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
    expect(() => checkTimes(claims, now)).toThrow(JwsError)
  })
})

describe('token keys', () => {
  const [one, two] = [newSigner('ES256'), newSigner('ES256')]

  it('sign with the first and verify with all, which are published without private parts', () => {
    const keys = tokenKeysOf([one.privateJwk, two.publicJwk])
    const { kid } = parseJwt(keys.sign('at+jwt', {})).header()
    expect(kid).toBe(importPublicKey(one.publicJwk, 'ES256').thumbprint)
    expect(keys.find(kid)).toBeDefined()
    expect(keys.find(importPublicKey(two.publicJwk, 'ES256').thumbprint)).toBeDefined()
    expect(keys.find(undefined)).toBeUndefined()
    expect(keys.jwks.keys).toHaveLength(2)
    expect(JSON.stringify(keys.jwks)).not.toContain('"d"')
  })

  it('that cannot sign, are not P-256, or are named twice are refused at start', () => {
    expect(() => tokenKeysOf([])).toThrow()
    expect(() => tokenKeysOf([one.publicJwk])).toThrow()
    expect(() => tokenKeysOf([newSigner('PS256').privateJwk])).toThrow()
    expect(() => tokenKeysOf([one.privateJwk, one.publicJwk])).toThrow()
  })
})
