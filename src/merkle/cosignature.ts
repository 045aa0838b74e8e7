import { encodeUtf8 } from './encoding.ts'
import { MerkleError } from './errors.ts'
import type { Signer, Verifier } from './note.ts'
import { keyTypes } from './vkey.ts'
import type { SignEd25519, VerifyEd25519, Vkey } from './vkey.ts'

// timestamped_signature of c2sp.org/tlog-cosignature: uint64 seconds, then the Ed25519 signature.
const timestampBytes = 8
const timestampedBytes = timestampBytes + 64

/** The verifier of a witness's key (`cosignature/v1`). Throws `vkey` for a key of another type. */
export function cosignatureVerifier(vkey: Vkey, verifyEd25519: VerifyEd25519): Verifier {
  const { name, keyId, publicKey } = checkType(vkey)
  return {
    name,
    keyId,
    verify(text, signature) {
      const time = readTime(signature)
      if (time === undefined) return false
      return verifyEd25519(publicKey, message(time, text), signature.subarray(timestampBytes))
    },
  }
}

/**
 * The signer of a witness's key. `now` gives the time in seconds since the epoch. Only for a
 * witness that has checked the checkpoint against the last one it signed. Throws `vkey` for a key
 * of another type.
 */
export function cosignatureSigner(vkey: Vkey, sign: SignEd25519, now: () => number): Signer {
  const { name, keyId } = checkType(vkey)
  return {
    name,
    keyId,
    sign(text) {
      const time = Math.floor(now())
      const timestamped = new Uint8Array(timestampedBytes)
      new DataView(timestamped.buffer).setBigUint64(0, BigInt(time))
      timestamped.set(sign(message(time, text)), timestampBytes)
      return timestamped
    },
  }
}

/** When a cosignature that was verified was made, in seconds since the epoch. */
export function cosignatureTime(signature: Uint8Array): number {
  const time = readTime(signature)
  if (time === undefined) throw new MerkleError('signature', 'not a timestamped signature')
  return time
}

function checkType(vkey: Vkey): Vkey {
  if (vkey.type !== keyTypes.cosignature) throw new MerkleError('vkey', 'not the key of a witness')
  return vkey
}

/**
 * The timestamp, if these are the bytes of a timestamped signature from before the year 285
 * million.
 */
function readTime(signature: Uint8Array): number | undefined {
  if (signature.length !== timestampedBytes) return undefined
  const view = new DataView(signature.buffer, signature.byteOffset, signature.byteLength)
  const time = Number(view.getBigUint64(0))
  return Number.isSafeInteger(time) ? time : undefined
}

function message(time: number, text: Uint8Array): Uint8Array {
  const header = encodeUtf8(`cosignature/v1\ntime ${time}\n`)
  const bytes = new Uint8Array(header.length + text.length)
  bytes.set(header)
  bytes.set(text, header.length)
  return bytes
}
