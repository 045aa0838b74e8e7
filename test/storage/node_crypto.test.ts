import { describe, expect, it } from '@jest/globals'
import { createHash } from 'node:crypto'
import { ed25519FromSeed, nodeHasher, verifyEd25519 } from '../../src/storage/node_crypto.ts'

const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex, 'hex'))

// RFC 8032 §7.1, test 2.
const seed = bytes('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb')
const publicKey = bytes('3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c')
const message = bytes('72')
const signature = bytes(
  '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da' +
    '085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
)

describe('nodeHasher', () => {
  it('is SHA-256, and gives an array of its own', () => {
    for (const length of [0, 1, 65, 600, 4_097]) {
      const data = new Uint8Array(length).fill(0xab)
      const digest = nodeHasher.sha256(data)
      expect(Buffer.from(digest)).toEqual(createHash('sha256').update(data).digest())
      expect(digest.buffer.byteLength).toBe(32)
    }
  })
})

describe('Ed25519', () => {
  it('gives the vector of RFC 8032', () => {
    const key = ed25519FromSeed(seed)
    expect(key.publicKey).toEqual(publicKey)
    expect(key.sign(message)).toEqual(signature)
    expect(verifyEd25519(publicKey, message, signature)).toBe(true)
  })

  it('verifies nothing else', () => {
    expect(verifyEd25519(publicKey, bytes('73'), signature)).toBe(false)
    expect(verifyEd25519(publicKey, message, signature.with(0, 0))).toBe(false)
    expect(verifyEd25519(publicKey.with(0, 0), message, signature)).toBe(false)
  })

  it('answers false, and does not throw, for bytes that are no key or no signature', () => {
    expect(verifyEd25519(new Uint8Array(0), message, signature)).toBe(false)
    expect(verifyEd25519(new Uint8Array(33), message, signature)).toBe(false)
    expect(verifyEd25519(new Uint8Array(32).fill(0xff), message, signature)).toBe(false)
    expect(verifyEd25519(publicKey, message, new Uint8Array(0))).toBe(false)
    expect(verifyEd25519(publicKey, message, signature.subarray(1))).toBe(false)
  })

  it('refuses a seed that is not 32 bytes', () => {
    expect(() => ed25519FromSeed(seed.subarray(1))).toThrow(RangeError)
  })
})
