import { ed25519 } from '@noble/curves/ed25519.js'
import { p256 } from '@noble/curves/nist.js'
import { sha256, sha512 } from '@noble/hashes/sha2.js'
import type { VerifyJws } from '../../ledger/bank_jws.ts'
import { readJwsKey, signatureBytes } from '../../ledger/jws_key.ts'
import { isEd25519Key, littleEndian } from '../../merkle/ed25519.ts'
import { equalBytes, type Hasher } from '../../merkle/hash.ts'
import type { VerifyEd25519 } from '../../merkle/vkey.ts'
import { verifyPs256 } from './ps256.ts'

// For a page: nothing here waits, and nothing is secret, so that what runs in Node.js runs here unchanged. WebCrypto would do it
// with promises only.

/** SHA-256, as Node's. */
export const browserHasher: Hasher = { sha256: (data) => sha256(data) }

const { Point } = ed25519

/**
 * Ed25519 by the equation that OpenSSL checks, without a cofactor: R = [S]B − [k]A (RFC 8032 §5.1.7). The library's own
 * verification multiplies both sides by 8 and so accepts more, from whoever made a key for it.
 */
export const verifyEd25519: VerifyEd25519 = (publicKey, message, signature) => {
  if (!isEd25519Key(publicKey) || signature.length !== 64) return false
  const [r, s] = [signature.subarray(0, 32), littleEndian(signature.subarray(32))]
  const order = Point.Fn.ORDER
  if (s >= order) return false
  try {
    const a = Point.fromBytes(publicKey)
    const k = littleEndian(sha512(Uint8Array.from([...r, ...publicKey, ...message]))) % order
    const expected = Point.BASE.multiplyUnsafe(s).subtract(a.multiplyUnsafe(k))
    return equalBytes(expected.toBytes(), r)
  } catch {
    return false // not a point
  }
}

/** JWS signatures by ES256, PS256 and EdDSA, as Node's. */
export const verifyJws: VerifyJws = (jwk, alg, input, signature) => {
  const key = readJwsKey(jwk, alg)
  if (key === undefined || signature.length !== signatureBytes(key)) return false
  if (key.alg === 'EdDSA') return verifyEd25519(key.x, input, signature)
  if (key.alg === 'PS256') return verifyPs256(key, input, signature)
  try {
    return p256.verify(signature, input, Uint8Array.from([4, ...key.x, ...key.y]), { lowS: false })
  } catch {
    return false // not a point
  }
}
