import { sha256 } from '@noble/hashes/sha2.js'
import { bigEndian } from '../../ledger/jws_key.ts'
import { equalBytes } from '../../merkle/hash.ts'

const hashBytes = 32
const saltBytes = 32
const trailer = 0xbc

/**
 * Whether `signature`, as long as `n`, is that of `message` by PS256 (RFC 7518 §3.5): RSASSA-PSS with SHA-256, MGF1 with SHA-256
 * and a salt of 32 bytes (RFC 8017 §8.1.2). With public values only, arithmetic that takes varying time gives nothing away.
 */
export function verifyPs256(
  { n, e }: { readonly n: Uint8Array; readonly e: Uint8Array },
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  const modulus = bigEndian(n)
  const s = bigEndian(signature)
  if (s >= modulus) return false
  const bits = modulus.toString(2).length - 1
  const length = Math.ceil(bits / 8)
  const encoded = power(s, bigEndian(e), modulus)
  return encoded < 1n << BigInt(length * 8) && isEncoded(bytesOf(encoded, length), bits, message)
}

/** EMSA-PSS-VERIFY (RFC 8017 §9.1.2), where `bits` are those that an encoded message may have. */
function isEncoded(encoded: Uint8Array, bits: number, message: Uint8Array): boolean {
  const split = encoded.length - hashBytes - 1
  const hash = encoded.subarray(split, split + hashBytes)
  const spare = 0xff >> (encoded.length * 8 - bits)
  const [first = 0] = encoded
  if (encoded.at(-1) !== trailer || (first & ~spare) !== 0) return false
  const mask = mgf1(hash, split)
  const block = encoded.subarray(0, split).map((byte, i) => byte ^ (mask[i] ?? 0))
  block[0] = (block[0] ?? 0) & spare
  const padding = block.subarray(0, split - saltBytes)
  if (padding.at(-1) !== 1 || !padding.subarray(0, -1).every((byte) => byte === 0)) return false
  const salt = block.subarray(split - saltBytes)
  return equalBytes(sha256(joined(new Uint8Array(8), sha256(message), salt)), hash)
}

/** RFC 8017 §B.2.1. */
function mgf1(seed: Uint8Array, length: number): Uint8Array {
  const blocks = Array.from({ length: Math.ceil(length / hashBytes) }, (_, i) =>
    sha256(joined(seed, bytesOf(BigInt(i), 4))),
  )
  return joined(...blocks).subarray(0, length)
}

function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n
  for (const bit of exponent.toString(2)) {
    result = (result * result) % modulus
    if (bit === '1') result = (result * base) % modulus
  }
  return result
}

const bytesOf = (number: bigint, length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => Number((number >> BigInt(8 * (length - 1 - i))) & 0xffn))

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]))
}
