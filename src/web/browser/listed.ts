import { canonical, CanonicalError, type Json } from '../../ledger/canonical.ts'
import { encodeUtf8 } from '../../merkle/encoding.ts'
import { MerkleError } from '../../merkle/errors.ts'
import type { Hasher } from '../../merkle/hash.ts'
import {
  checkInclusion,
  proveInclusion,
  type TileReader,
  type TreeHead,
} from '../../merkle/proof.ts'
import { leafHash } from '../../merkle/tree.ts'
import type { ListedEntry } from './api.ts'
import type { Status } from './verification.ts'

/**
 * The bytes that a listed entry must have, if what the list says of it is so: an entry has exactly one form. So a list is checked
 * as it is shown, without asking for the bytes. Undefined for what has no canonical form.
 */
export function bytesOfListed({ n, at, kind, body, totals }: ListedEntry): Uint8Array | undefined {
  if (at === undefined) return undefined
  try {
    return encodeUtf8(canonical({ v: 1, n, at, kind, body, totals } as Json))
  } catch (error) {
    if (error instanceof CanonicalError) return undefined
    throw error
  }
}

/**
 * Whether each listed entry is, as listed, in a tree that was checked. The proofs are made here, from the ledger's tiles, which
 * are not trusted. An entry past the tree's size, or of a form that this page does not know, is not done.
 */
export function verifyListed(
  hasher: Hasher,
  { tree, tiles, entries }: { tree: TreeHead; tiles: TileReader; entries: readonly ListedEntry[] },
): Promise<ReadonlyMap<number, Status>> {
  const check = async (entry: ListedEntry): Promise<Status> => {
    const bytes = bytesOfListed(entry)
    if (bytes === undefined || entry.n >= tree.size) return 'not_done'
    const proof = await proveInclusion(hasher, tiles, { index: entry.n, size: tree.size })
    try {
      checkInclusion(hasher, { leaf: leafHash(hasher, bytes), index: entry.n, tree, proof })
      return 'passed'
    } catch (error) {
      if (error instanceof MerkleError) return 'failed'
      throw error
    }
  }
  return Promise.all(entries.map(async (entry) => [entry.n, await check(entry)] as const)).then(
    (checked) => new Map(checked),
  )
}
