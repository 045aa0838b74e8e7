import { MerkleError, ProofError } from './errors.ts'
import { equalBytes, hashBytes } from './hash.ts'
import type { Hash, Hasher } from './hash.ts'
import { tilePath, tileWidth, widthAt } from './tiles.ts'
import type { Tile } from './tiles.ts'
import { append, emptyEdge, emptyRoot, nodeHash, rootOf, splitHashes } from './tree.ts'

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

/** The leaves from `start` up to but not including `end`. */
interface Range {
  readonly start: number
  readonly end: number
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
  const [root] = await hashesOf(hasher, reader, [{ start: 0, end: size }], size)
  return root ?? emptyRoot(hasher)
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
  let root = checkHash(leaf)
  for (const { range, hash } of pair(inclusionPath(index, tree.size), proof)) {
    root = range.end <= index ? nodeHash(hasher, hash, root) : nodeHash(hasher, root, hash)
  }
  if (!equalBytes(root, tree.root)) throw new ProofError('the leaf is not in the tree')
}

/** Returns if `proof` shows that the tree `to` extends the tree `from`; else throws `proof`. */
export function checkConsistency(
  hasher: Hasher,
  claim: { readonly from: TreeHead; readonly to: TreeHead; readonly proof: readonly Hash[] },
): void {
  const { from, to, proof } = claim
  let [fromRoot, toRoot] = [checkHash(from.root), checkHash(from.root)]
  for (const { range, hash } of pair(consistencyPath(from.size, to.size), proof)) {
    if (range.end === from.size) {
      // The smallest subtree of `to` that ends where `from` ends. When that is the whole of `from`,
      // it is not sent.
      fromRoot = hash
      toRoot = hash
    } else if (range.end < from.size) {
      fromRoot = nodeHash(hasher, hash, fromRoot)
      toRoot = nodeHash(hasher, hash, toRoot)
    } else {
      toRoot = nodeHash(hasher, toRoot, hash)
    }
  }
  if (from.size === 0) {
    // Every tree extends the empty one, so of a larger one there is nothing to check.
    fromRoot = emptyRoot(hasher)
    if (to.size > 0) toRoot = to.root
  }
  if (!equalBytes(fromRoot, from.root) || !equalBytes(toRoot, to.root)) {
    throw new ProofError('one tree does not extend the other')
  }
}

/** The ranges whose hashes prove the leaf at `index`, its sibling first. */
function inclusionPath(index: number, size: number): Range[] {
  checkSize(size)
  if (!isSize(index) || index >= size) throw new ProofError('the index is outside the tree')
  return descend(index, size, ({ start, end }) => end - start === 1).passed
}

/**
 * The ranges whose hashes prove that the tree of `to` extends that of `from`, in the order of RFC
 * 6962 §2.1.2.
 */
function consistencyPath(from: number, to: number): Range[] {
  checkSize(from)
  checkSize(to)
  if (from > to) throw new ProofError('a tree does not extend a larger one')
  if (from === 0) return []
  const { reached, passed } = descend(from - 1, to, ({ end }) => end === from)
  return reached.start === 0 ? passed : [reached, ...passed]
}

/**
 * Goes down from the root towards `leaf` until `isGoal`; `passed` are the siblings on the way, from
 * the goal up.
 */
function descend(
  leaf: number,
  size: number,
  isGoal: (range: Range) => boolean,
): { reached: Range; passed: Range[] } {
  let reached: Range = { start: 0, end: size }
  const passed: Range[] = []
  while (!isGoal(reached)) {
    const { start, end } = reached
    const middle = start + powerBelow(end - start)
    const [left, right] = [
      { start, end: middle },
      { start: middle, end },
    ]
    reached = leaf < middle ? left : right
    passed.unshift(leaf < middle ? right : left)
  }
  return { reached, passed }
}

/** The largest power of two smaller than `count`, where RFC 6962 splits `count` >= 2 leaves. */
function powerBelow(count: number): number {
  let power = 1
  while (power * 2 < count) power *= 2
  return power
}

/** Pairs the ranges of a path with the hashes of a proof from outside. */
function pair(path: readonly Range[], proof: readonly Hash[]): { range: Range; hash: Hash }[] {
  if (proof.length !== path.length) throw new ProofError('the proof has the wrong length')
  return path.map((range, i) => ({ range, hash: checkHash(proof[i]) }))
}

function checkHash(hash: Hash | undefined): Hash {
  if (hash?.length !== hashBytes) throw new ProofError('a hash is not 32 bytes')
  return hash
}

function isSize(size: number): boolean {
  return Number.isSafeInteger(size) && size >= 0
}

function checkSize(size: number): void {
  if (!isSize(size)) throw new ProofError('a tree size is not a whole number from 0 to 2^53 - 1')
}

/**
 * The hashes (MTH) of ranges that are nodes of the tree of `size`. Reads each tile once, and all of
 * them at once.
 */
async function hashesOf(
  hasher: Hasher,
  reader: TileReader,
  ranges: readonly Range[],
  size: number,
): Promise<Hash[]> {
  const reads = new Map<string, Promise<Uint8Array>>()
  const readOnce: TileReader = {
    async readTile(tile) {
      const path = tilePath(tile)
      const read = reads.get(path) ?? reader.readTile(tile)
      reads.set(path, read)
      return read
    },
  }
  return Promise.all(
    ranges.map(async (range) => {
      const subtrees = perfectSubtrees(range)
      const hashes = await Promise.all(
        subtrees.map((subtree) => perfectHash(hasher, readOnce, subtree, size)),
      )
      return rootOf(hasher, { size: range.end - range.start, hashes })
    }),
  )
}

/** The perfect subtrees that a node of the tree falls into, largest first. */
function perfectSubtrees({ start, end }: Range): Range[] {
  const subtrees: Range[] = []
  let rest = start
  while (rest < end) {
    const next = rest + powerBelow(end - rest + 1)
    subtrees.push({ start: rest, end: next })
    rest = next
  }
  return subtrees
}

/** The hash of a perfect subtree: of one hash of a tile, or of 2, 4, … 128 neighbours in one. */
async function perfectHash(
  hasher: Hasher,
  reader: TileReader,
  { start, end }: Range,
  size: number,
): Promise<Hash> {
  let [level, first, count] = [0, start, end - start]
  for (; count >= tileWidth; level++) {
    first /= tileWidth
    count /= tileWidth
  }
  const index = Math.floor(first / tileWidth)
  const width = widthAt(size, { level, index })
  const hashes = await reader.readTile({ level, index, width })
  if (hashes.length !== width * hashBytes) {
    throw new MerkleError('tile', `${tilePath({ level, index, width })} has the wrong length`)
  }
  const offset = (first % tileWidth) * hashBytes
  const edge = emptyEdge()
  for (const hash of splitHashes(hashes.subarray(offset, offset + count * hashBytes))) {
    append(hasher, edge, hash)
  }
  return rootOf(hasher, edge)
}
