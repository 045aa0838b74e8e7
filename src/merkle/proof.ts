import { MerkleError, ProofError } from './errors.ts'
import { equalBytes, hashBytes } from './hash.ts'
import type { Hash, Hasher } from './hash.ts'
import { tilePath } from './tiles.ts'
import type { Tile } from './tiles.ts'
import { emptyRoot, nodeHash, splitHashes } from './tree.ts'
import {
  checkSize,
  consistencyPath,
  inclusionPath,
  joinConsistency,
  joinInclusion,
  nodesOf,
} from './tree_shape.ts'
import type { Join, Range } from './tree_shape.ts'

/** A proof sent to others holds at most this many hashes (c2sp.org/tlog-proof, c2sp.org/tlog-witness). */
export const proofHashesMax = 63

/** A tree as a checkpoint states it. */
export interface TreeHead {
  readonly size: number
  readonly root: Hash
}

/**
 * Where tiles come from: a database, files, or a log over HTTP. `readTile` gives the tile's `width`
 * hashes end to end and rejects when it has them not. It is asked only for tiles of the tree size
 * in question, several at once. It is not trusted: from false tiles comes a proof that the checks
 * below refuse.
 */
export interface TileReader {
  readTile(tile: Tile): Promise<Uint8Array>
}

/**
 * The inclusion proof (RFC 6962 §2.1.1) of the entry at `index` in the tree of `size`. Throws
 * `proof` if there is none.
 */
export async function proveInclusion(
  hasher: Hasher,
  reader: TileReader,
  { index, size }: { readonly index: number; readonly size: number },
): Promise<Hash[]> {
  return hashesOf(hasher, reader, inclusionPath(index, size), size)
}

/**
 * The consistency proof (RFC 6962 §2.1.2) from the tree of `from` leaves to that of `to`. Throws
 * `proof` if there is none.
 */
export async function proveConsistency(
  hasher: Hasher,
  reader: TileReader,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<Hash[]> {
  return hashesOf(hasher, reader, consistencyPath(from, to), to)
}

/** The root of the tree of `size` leaves, from the tiles at its right edge. */
export async function rootFromTiles(
  hasher: Hasher,
  reader: TileReader,
  size: number,
): Promise<Hash> {
  checkSize(size)
  if (size === 0) return emptyRoot(hasher)
  const [root] = await hashesOf(hasher, reader, [{ start: 0, end: size }], size)
  return root as Hash
}

/**
 * Returns if `proof` shows that `leaf` is the leaf hash at `index` of `tree`; else throws `proof`.
 */
export function checkInclusion(
  hasher: Hasher,
  claim: {
    readonly leaf: Hash
    readonly index: number
    readonly tree: TreeHead
    readonly proof: readonly Hash[]
  },
): void {
  const { leaf, index, tree, proof } = claim
  for (const hash of [leaf, ...proof]) checkHash(hash)
  const root = joinInclusion(joinHashes(hasher), { leaf, index, size: tree.size, proof })
  if (!equalBytes(root, tree.root)) throw new ProofError('the leaf is not in the tree')
}

/** Returns if `proof` shows that the tree `to` extends the tree `from`; else throws `proof`. */
export function checkConsistency(
  hasher: Hasher,
  claim: { readonly from: TreeHead; readonly to: TreeHead; readonly proof: readonly Hash[] },
): void {
  const { from, to, proof } = claim
  for (const hash of [from.root, ...proof]) checkHash(hash)
  const sizes = { from: from.size, to: to.size }
  const roots = joinConsistency(joinHashes(hasher), { ...sizes, whole: from.root, proof })
  if (from.size === 0) {
    // Every tree extends the empty one, so of a larger one there is nothing to check.
    roots.from = emptyRoot(hasher)
    if (to.size > 0) roots.to = to.root
  }
  if (!equalBytes(roots.from, from.root) || !equalBytes(roots.to, to.root)) {
    throw new ProofError('one tree does not extend the other')
  }
}

const joinHashes =
  (hasher: Hasher): Join<Hash> =>
  (left, right) =>
    nodeHash(hasher, left, right)

function checkHash(hash: Hash): void {
  if (hash.length !== hashBytes) throw new ProofError('a hash is not 32 bytes')
}

/** The hashes (MTH) of ranges that are nodes of the tree of `size`. Reads each tile once, and all of them at once. */
export async function hashesOf(
  hasher: Hasher,
  reader: TileReader,
  ranges: readonly Range[],
  size: number,
): Promise<Hash[]> {
  const readTile = async (tile: Tile) => {
    const hashes = await reader.readTile(tile)
    if (hashes.length !== tile.width * hashBytes)
      throw new MerkleError('tile', `${tilePath(tile)} has the wrong length`)
    return splitHashes(hashes)
  }
  return nodesOf(joinHashes(hasher), readTile, { ranges, size })
}
