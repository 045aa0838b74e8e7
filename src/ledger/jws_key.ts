import type { PublicJwk } from './entry.ts'

/** A key that verifies the signatures of one JWS algorithm, as its numbers: big-endian, save for Ed25519's own encoding. */
export type JwsKey =
  | { readonly alg: 'ES256'; readonly x: Uint8Array; readonly y: Uint8Array }
  | { readonly alg: 'PS256'; readonly n: Uint8Array; readonly e: Uint8Array }
  | { readonly alg: 'EdDSA'; readonly x: Uint8Array }

export const rsa_bits = { min: 2048, max: 4096 } as const

/** With an exponent of 1 anyone signs; by a long one, each verification takes milliseconds. */
export const rsa_exponent = { min: 65_537n, max: 2n ** 32n } as const

/**
 * Reads the key that a JWK holds for an algorithm, whatever else it says of itself; undefined if it holds none. Every number has
 * its one form (RFC 7518 §6.2, §6.3; RFC 8037 §2), so that no two verifiers read it differently.
 */
export function readJwsKey(jwk: PublicJwk, alg: string): JwsKey | undefined {
  const { kty, crv } = jwk
  const [x, y, n, e] = [jwk['x'], jwk['y'], jwk['n'], jwk['e']].map(bytesOf)
  if (alg === 'ES256' && kty === 'EC' && crv === 'P-256' && x?.length === 32 && y?.length === 32)
    return { alg, x, y }
  if (alg === 'EdDSA' && kty === 'OKP' && crv === 'Ed25519' && x?.length === 32) return { alg, x }
  if (alg === 'PS256' && kty === 'RSA' && n !== undefined && e !== undefined && isRsaKey(n, e))
    return { alg, n, e }
  return undefined
}

/** How long a signature by this key is, in bytes: no implementation takes another length for it. */
export const signatureBytes = (key: JwsKey): number => (key.alg === 'PS256' ? key.n.length : 64)

function isRsaKey(n: Uint8Array, e: Uint8Array): boolean {
  const [first = 0, exponent] = [n[0], bigEndian(e)]
  const bits = n.length * 8 - Math.clz32(first) + 24
  return (
    first !== 0 &&
    e[0] !== 0 &&
    bits >= rsa_bits.min &&
    bits <= rsa_bits.max &&
    exponent >= rsa_exponent.min &&
    exponent <= rsa_exponent.max &&
    isOdd(n) &&
    isOdd(e)
  )
}

const isOdd = (bytes: Uint8Array) => (bytes.at(-1) ?? 0) % 2 === 1

/** The number that these bytes are, the most significant first. */
export const bigEndian = (bytes: Uint8Array): bigint =>
  bytes.reduce((number, byte) => (number << 8n) | BigInt(byte), 0n)

/** Base64url without padding, in its one form (RFC 7515 §2). */
function bytesOf(text: string | undefined): Uint8Array | undefined {
  if (text === undefined || !/^[A-Za-z0-9_-]+$/.test(text) || text.length % 4 === 1)
    return undefined
  const base64 = text.replaceAll('-', '+').replaceAll('_', '/')
  const binary = atob(base64)
  if (btoa(binary).replaceAll('=', '') !== base64) return undefined
  return Uint8Array.from(binary, (character) => character.charCodeAt(0))
}
