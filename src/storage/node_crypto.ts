import { createPrivateKey, createPublicKey, hash, sign, verify } from 'node:crypto'
import { isEd25519Key } from '../merkle/ed25519.ts'
import { hashBytes, type Hasher } from '../merkle/hash.ts'
import type { SignEd25519, VerifyEd25519 } from '../merkle/vkey.ts'

// What comes before the 32 bytes of an Ed25519 key in DER: SPKI for the public one, PKCS #8 for the
// seed (RFC 8410).
const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex')
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex')
const keyBytes = 32

/**
 * SHA-256 by OpenSSL. A digest that comes as a string and is copied costs less than half of one
 * that comes as a Buffer.
 */
export const nodeHasher: Hasher = {
  sha256(data) {
    const text = hash('sha256', data, 'binary')
    const digest = new Uint8Array(hashBytes)
    for (let i = 0; i < hashBytes; i++) digest[i] = text.charCodeAt(i)
    return digest
  },
}

export const verifyEd25519: VerifyEd25519 = (publicKey, message, signature) => {
  if (!isEd25519Key(publicKey)) return false
  const key = createPublicKey({
    key: Buffer.concat([spkiPrefix, publicKey]),
    format: 'der',
    type: 'spki',
  })
  return verify(null, message, key, signature)
}

/** The key pair of a 32-byte seed (RFC 8032 §5.1.5). */
export function ed25519FromSeed(seed: Uint8Array): { publicKey: Uint8Array; sign: SignEd25519 } {
  if (seed.length !== keyBytes) throw new RangeError('an Ed25519 seed has 32 bytes')
  const key = createPrivateKey({
    key: Buffer.concat([pkcs8Prefix, seed]),
    format: 'der',
    type: 'pkcs8',
  })
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' })
  return {
    publicKey: Uint8Array.from(spki.subarray(spkiPrefix.length)),
    sign: (message) => Uint8Array.from(sign(null, message, key)),
  }
}
