import { sha256 } from './oracle.ts'

// The sum tree of transparency-log §4.3 as it is written, by recursion over lists, with nothing of src/merkle in it.

/** A leaf: what an entry counts, and its RFC 6962 leaf hash. */
export interface Counted {
  readonly sums: readonly number[]
  readonly leaf: Uint8Array
}

export interface Summed {
  readonly sums: readonly number[]
  readonly hash: Uint8Array
}

const enc = (sums: readonly number[]) => {
  const bytes = Buffer.alloc(8 * sums.length)
  sums.forEach((sum, i) => bytes.writeBigUInt64BE(BigInt(sum), 8 * i))
  return bytes
}

/** The node over these leaves. */
export function summed(leaves: readonly Counted[]): Summed {
  const [first, ...others] = leaves
  if (first === undefined) throw new Error('no leaves')
  if (others.length === 0)
    return { sums: first.sums, hash: sha256(Uint8Array.of(2), enc(first.sums), first.leaf) }
  let split = 1
  while (split * 2 < leaves.length) split *= 2
  const [left, right] = [summed(leaves.slice(0, split)), summed(leaves.slice(split))]
  return {
    sums: left.sums.map((sum, i) => sum + (right.sums[i] ?? NaN)),
    hash: sha256(Uint8Array.of(3), enc(left.sums), left.hash, enc(right.sums), right.hash),
  }
}

/** A node as it is written: enc(s) || h. */
export const bytesOf = ({ sums, hash }: Summed): Uint8Array =>
  Uint8Array.from(Buffer.concat([enc(sums), hash]))
