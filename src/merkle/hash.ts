/** A SHA-256 value: 32 bytes, not changed after it is made. */
export type Hash = Uint8Array

export const hashBytes = 32

/**
 * SHA-256, injected so that this folder runs in Node and in the browser alike. `sha256` returns an
 * array of its own and does not keep `data`, which the caller writes over afterwards.
 */
export interface Hasher {
  sha256(data: Uint8Array): Hash
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
