import { describe, expect, it } from '@jest/globals'
import { ed25519 } from '@noble/curves/ed25519.js'
import { sha512 } from '@noble/hashes/sha2.js'
import fc from 'fast-check'
import { generateKeyPairSync } from 'node:crypto'
import type { PublicJwk } from '../../../src/ledger/entry.ts'
import { littleEndian } from '../../../src/merkle/ed25519.ts'
import * as jws from '../../../src/storage/jws.ts'
import * as node from '../../../src/storage/node_crypto.ts'
import * as browser from '../../../src/web/browser/browser_crypto.ts'
import { newSigner, type Signer } from '../../support/jwt.ts'

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
const { Point } = ed25519
const order = Point.Fn.ORDER

const numberBytes = (number: bigint): Uint8Array =>
  Uint8Array.from({ length: 32 }, (_, i) => Number((number >> BigInt(8 * i)) & 0xffn))

/** The one answer of both, which must be one. */
function ed25519By(...args: Parameters<typeof node.verifyEd25519>): boolean {
  const found = node.verifyEd25519(...args)
  expect(browser.verifyEd25519(...args)).toBe(found)
  return found
}

function jwsBy(...args: Parameters<typeof jws.verifyJws>): boolean {
  const found = jws.verifyJws(...args)
  expect(browser.verifyJws(...args)).toBe(found)
  return found
}

/** Changes one bit of some bytes, cuts them short, or makes them longer. */
const spoilt = (of: Uint8Array) =>
  fc.oneof(
    fc.nat(of.length * 8 - 1).map((bit) => {
      const at = bit >> 3
      return of.with(at, (of[at] ?? 0) ^ (1 << (bit & 7)))
    }),
    fc.nat(of.length - 1).map((length) => of.subarray(0, length)),
    bytes(1).map((more) => Uint8Array.from([...of, ...more])),
    bytes(1).map((more) => Uint8Array.from([...more, ...of])),
    fc.constant(of.subarray(1)),
  )

it('SHA-256 in a page is that of Node.js', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (data) => {
      expect(browser.browserHasher.sha256(data)).toEqual(node.nodeHasher.sha256(data))
    }),
  )
})

describe('Ed25519 in a page says what Node.js says', () => {
  it('of signatures, of what is nearly one, and of any bytes', () => {
    fc.assert(
      fc.property(bytes(32), fc.uint8Array({ maxLength: 80 }), fc.gen(), (seed, message, gen) => {
        const { publicKey, sign } = node.ed25519FromSeed(seed)
        const signature = sign(message)
        expect(ed25519By(publicKey, message, signature)).toBe(true)
        expect(ed25519By(publicKey, message, gen(spoilt, signature))).toBe(false)
        ed25519By(gen(spoilt, publicKey), message, signature)
        ed25519By(
          gen(() => bytes(32)),
          message,
          gen(() => bytes(64)),
        )
      }),
      { numRuns: 30 },
    )
  })

  it('of a signature whose S is not reduced, which is none', () => {
    const { publicKey, sign } = node.ed25519FromSeed(new Uint8Array(32))
    const signature = sign(new Uint8Array())
    const s = littleEndian(signature.subarray(32)) + order
    const malleable = Uint8Array.from([...signature.subarray(0, 32), ...numberBytes(s)])
    expect(ed25519By(publicKey, new Uint8Array(), malleable)).toBe(false)
  })

  it('of keys and signatures that are off by a point of small order, whatever a key’s owner makes', () => {
    const torsion = Point.fromHex(
      'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
    )
    const times = fc.nat(7).map((n) => torsion.multiplyUnsafe(BigInt(n)))
    const scalar = bytes(32).map((some) => (littleEndian(some) % (order - 1n)) + 1n)
    const seen = new Set<boolean>()
    fc.assert(
      fc.property(
        ...([scalar, scalar, times, times, bytes(4)] as const),
        (a, r, keyOff, nonceOff, message) => {
          const key = Point.BASE.multiplyUnsafe(a).add(keyOff).toBytes()
          const nonce = Point.BASE.multiplyUnsafe(r).add(nonceOff).toBytes()
          const k = littleEndian(sha512(Uint8Array.from([...nonce, ...key, ...message]))) % order
          const signature = Uint8Array.from([...nonce, ...numberBytes((r + k * a) % order)])
          expect(ed25519.verify(signature, message, key, { zip215: false })).toBe(true)
          seen.add(ed25519By(key, message, signature))
        },
      ),
      { numRuns: 60 },
    )
    expect(seen.size).toBe(2)
  })

  it('of keys by which anyone signs, and of keys written otherwise: they are none', () => {
    const prime = 2n ** 255n - 19n
    const s = 7n
    const signature = Uint8Array.from([
      ...Point.BASE.multiplyUnsafe(s).toBytes(),
      ...numberBytes(s),
    ])
    const small = Array.from({ length: 8 }, (_, n) =>
      Point.fromHex('c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a')
        .multiplyUnsafe(BigInt(n))
        .toBytes(),
    )
    const long = Array.from({ length: 19 }, (_, n) => numberBytes(prime + BigInt(n)))
    for (const key of [...small, ...long])
      for (const signed of [key, key.with(31, (key[31] ?? 0) ^ 0x80)])
        for (const message of [0, 1, 2, 3, 4, 5, 6, 7].map((byte) => Uint8Array.of(byte)))
          expect(ed25519By(signed, message, signature)).toBe(false)
  })
})

const jwkOf = ({ publicJwk }: Signer): PublicJwk =>
  Object.fromEntries(Object.entries(publicJwk).map(([name, value]) => [name, String(value)]))

function signedBy(signer: Signer) {
  const [header, payload, signature = ''] = signer.sign({ header: {}, claims: {} }).split('.')
  return {
    input: Uint8Array.from(Buffer.from(`${header}.${payload}`)),
    signature: Uint8Array.from(Buffer.from(signature, 'base64url')),
  }
}

describe.each(jws.algorithmNames)('JWS by %s in a page says what Node.js says', (alg) => {
  const signers = Array.from({ length: 3 }, () => newSigner(alg))
  if (alg === 'PS256')
    for (const modulusLength of [2047, 2049, 2056, 3071, 4097])
      signers.push(newSigner(alg, generateKeyPairSync('rsa', { modulusLength })))

  it('of signatures, of what is nearly one, and of other inputs', () => {
    fc.assert(
      fc.property(fc.constantFrom(...signers), fc.gen(), (signer, gen) => {
        const jwk = jwkOf(signer)
        const { input, signature } = signedBy(signer)
        const bits = signer.publicJwk.n === undefined ? 2048 : bitsOf(signer.publicJwk.n)
        expect(jwsBy(jwk, alg, input, signature)).toBe(bits >= 2048 && bits <= 4096)
        const other = gen(spoilt, signature)
        expect(jwsBy(jwk, alg, input, other)).toBe(false)
        expect(jwsBy(jwk, alg, gen(spoilt, input), signature)).toBe(false)
        jwsBy(
          jwk,
          alg,
          input,
          gen(() => bytes(signature.length)),
        )
      }),
      { numRuns: 40 },
    )
  })

  it('of keys with a member spoilt, missing, or written otherwise', () => {
    const text = fc.oneof(fc.base64String({ maxLength: 60 }), fc.string({ maxLength: 50 }))
    fc.assert(
      fc.property(
        ...([
          fc.constantFrom(...signers),
          fc.constantFrom('kty', 'crv', 'x', 'y', 'n', 'e'),
        ] as const),
        ...([fc.nat(), text, fc.nat(4)] as const),
        (signer, name, at, some, how) => {
          const { [name]: before = '', ...others } = jwkOf(signer)
          const { input, signature } = signedBy(signer)
          const i = before.length === 0 ? 0 : at % before.length
          const written = [
            some,
            `${before.slice(0, i)}${some.slice(0, 1)}${before.slice(i + 1)}`,
            `${before}=`,
            `AAAA${before}`,
          ][how]
          jwsBy(
            written === undefined ? others : { ...others, [name]: written },
            alg,
            input,
            signature,
          )
        },
      ),
      { numRuns: 60 },
    )
  })
})

const bitsOf = (n: string) =>
  BigInt(`0x${Buffer.from(n, 'base64url').toString('hex')}`).toString(2).length

describe('JWS in a page', () => {
  it('takes both of the two signatures that ES256 has, as Node.js does', () => {
    const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
    const signer = newSigner('ES256')
    const { input, signature } = signedBy(signer)
    const s = BigInt(`0x${Buffer.from(signature.subarray(32)).toString('hex')}`)
    const other = Buffer.from((order - s).toString(16).padStart(64, '0'), 'hex')
    const signatures = [signature, Uint8Array.from([...signature.subarray(0, 32), ...other])]
    for (const one of signatures) expect(jwsBy(jwkOf(signer), 'ES256', input, one)).toBe(true)
    for (const [r, t] of [
      [0n, 1n],
      [1n, 0n],
      [order, 1n],
      [1n, order],
    ] as const) {
      const hex = [r, t].map((number) => number.toString(16).padStart(64, '0')).join('')
      const none = Uint8Array.from(Buffer.from(hex, 'hex'))
      expect(jwsBy(jwkOf(signer), 'ES256', input, none)).toBe(false)
    }
  })

  it('takes no signature by PS256 that has lost a leading zero, which OpenSSL would take', () => {
    const signer = newSigner('PS256')
    let signed = signedBy(signer)
    while (signed.signature[0] !== 0) signed = signedBy(signer)
    const { input, signature } = signed
    expect(jwsBy(jwkOf(signer), 'PS256', input, signature)).toBe(true)
    expect(jwsBy(jwkOf(signer), 'PS256', input, signature.subarray(1))).toBe(false)
  })

  it.each([1, 3, 65_538, 2 ** 32 + 1])('takes no RSA key with the exponent %i', (exponent) => {
    const signer = newSigner('PS256')
    const { input, signature } = signedBy(signer)
    const hex = exponent.toString(16)
    const e = Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex').toString(
      'base64url',
    )
    expect(jwsBy({ ...jwkOf(signer), e }, 'PS256', input, signature)).toBe(false)
  })
})
