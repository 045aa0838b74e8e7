/** p = 2^255 - 19, of RFC 8032 §5.1. */
const prime = 2n ** 255n - 19n

/** The y of the eight points whose order is 1, 2, 4 or 8: by such a key anyone signs. */
const smallOrder: readonly bigint[] = [
  0n,
  1n,
  prime - 1n,
  0x5fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n,
  0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n,
]

/**
 * Whether these may be the bytes of an Ed25519 key: the one encoding of a point (RFC 8032 §5.1.3) that is not of small order.
 * Over the others implementations differ, and what one verifier accepts and another refuses would be two ledgers. That there
 * is such a point is for the implementation to find.
 */
export function isEd25519Key(bytes: Uint8Array): boolean {
  if (bytes.length !== 32) return false
  const y = littleEndian(bytes) & (2n ** 255n - 1n)
  return y < prime && !smallOrder.includes(y)
}

/** The number that these bytes are, the least significant first. */
export const littleEndian = (bytes: Uint8Array): bigint =>
  bytes.reduceRight((number, byte) => (number << 8n) | BigInt(byte), 0n)
