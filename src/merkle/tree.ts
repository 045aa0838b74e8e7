import { MerkleError } from './errors.ts'
import { hashBytes } from './hash.ts'
import type { Hash, Hasher } from './hash.ts'

/**
 * A tree that can grow (RFC 6962 §2.1): its size, and the roots of the perfect subtrees it falls
 * into, largest first. There is one for each 1 in the binary form of `size`.
 */
export interface RightEdge {
  size: number
  hashes: Hash[]
}

/**
 * The root of the full subtree over the leaves [index * 256^level, (index + 1) * 256^level); a hash
 * of a tile when level >= 1.
 */
export interface Subtree {
  readonly level: number
  readonly index: number
  readonly hash: Hash
}

const leafPrefix = 0x00
const tileHeight = 8
const tileLeaves = 2 ** tileHeight
const nodePrefix = 0x01
const noSubtrees: readonly Subtree[] = []

// Hashing is synchronous and the hasher keeps nothing, so every node is laid out in the same 65
// bytes.
const node = new Uint8Array(1 + 2 * hashBytes)
node[0] = nodePrefix

// And every entry that a bundle can hold in these: its length has 16 bits.
const scratch = new Uint8Array(1 + 0xffff)

/** SHA-256(0x00 || entry). */
export function leafHash(hasher: Hasher, entry: Uint8Array): Hash {
  const leaf = entry.length < scratch.length ? scratch : new Uint8Array(1 + entry.length)
  leaf[0] = leafPrefix
  leaf.set(entry, 1)
  return hasher.sha256(leaf.subarray(0, 1 + entry.length))
}

/** SHA-256(0x01 || left || right). */
export function nodeHash(hasher: Hasher, left: Hash, right: Hash): Hash {
  if (left.length !== hashBytes || right.length !== hashBytes) {
    throw new MerkleError('tree', 'a hash is not 32 bytes')
  }
  node.set(left, 1)
  node.set(right, 1 + hashBytes)
  return hasher.sha256(node)
}

/** The root of the tree without leaves: SHA-256 of nothing. */
export function emptyRoot(hasher: Hasher): Hash {
  return hasher.sha256(new Uint8Array(0))
}

export function emptyEdge(): RightEdge {
  return { size: 0, hashes: [] }
}

/**
 * Appends one leaf, changing `edge` in place. Returns the full subtrees of 256, 256^2, … leaves
 * that this leaf completes, smallest first: what a store of tiles has to add, besides the leaf hash
 * itself.
 */
export function append(hasher: Hasher, edge: RightEdge, leaf: Hash): readonly Subtree[] {
  return add(hasher, edge, { hash: leaf, height: 0 })
}

/**
 * Appends 256 leaves at once, by the root over them, to a tree of a multiple of 256; what it returns
 * begins with that root. As if each were appended; throws `tree` for a tree of another size.
 */
export function appendTile(hasher: Hasher, edge: RightEdge, root: Hash): readonly Subtree[] {
  if (edge.size % tileLeaves !== 0) throw new MerkleError('tree', 'the tree ends within a tile')
  const tile = { level: 1, index: edge.size / tileLeaves, hash: root }
  return [tile, ...add(hasher, edge, { hash: root, height: tileHeight })]
}

function add(
  hasher: Hasher,
  edge: RightEdge,
  subtree: { hash: Hash; height: number },
): readonly Subtree[] {
  let { hash, height } = subtree
  if (hash.length !== hashBytes) throw new MerkleError('tree', 'a hash is not 32 bytes')
  const leaves = 2 ** height
  if (edge.size > Number.MAX_SAFE_INTEGER - leaves)
    throw new MerkleError('tree', 'the tree is full')
  let completed = noSubtrees
  // As in binary addition: each trailing 1 of the size is a subtree as large as the one carried,
  // and merges with it.
  for (let rest = edge.size / leaves; rest % 2 === 1; rest = (rest - 1) / 2) {
    const left = edge.hashes.pop()
    if (left === undefined) throw new MerkleError('tree', 'the right edge lacks a hash')
    hash = nodeHash(hasher, left, hash)
    height += 1
    if (height % tileHeight === 0) {
      completed = [...completed, { level: height / tileHeight, index: (rest - 1) / 2, hash }]
    }
  }
  edge.hashes.push(hash)
  edge.size += leaves
  return completed
}

/** The root of the tree: MTH of RFC 6962 §2.1. */
export function rootOf(hasher: Hasher, edge: Readonly<RightEdge>): Hash {
  if (edge.size === 0) return emptyRoot(hasher)
  return edge.hashes.reduceRight((root, left) => nodeHash(hasher, left, root))
}

/** The edge's hashes, end to end, largest subtree first. With the size they are the whole edge. */
export function edgeToBytes(edge: Readonly<RightEdge>): Uint8Array {
  const bytes = new Uint8Array(edge.hashes.length * hashBytes)
  edge.hashes.forEach((hash, i) => bytes.set(hash, i * hashBytes))
  return bytes
}

/**
 * Reads what `edgeToBytes` wrote for a tree of `size` leaves; keeps no part of `bytes`. Throws
 * `tree`.
 */
export function edgeFromBytes(size: number, bytes: Uint8Array): RightEdge {
  if (!Number.isSafeInteger(size) || size < 0) throw new MerkleError('tree', 'no such tree size')
  if (bytes.length !== countOnes(size) * hashBytes) {
    throw new MerkleError('tree', 'the right edge does not belong to a tree of this size')
  }
  return { size, hashes: splitHashes(bytes) }
}

/** Cuts a run of hashes into copies of each. */
export function splitHashes(bytes: Uint8Array): Hash[] {
  return Array.from({ length: bytes.length / hashBytes }, (_, i) =>
    Uint8Array.from(bytes.subarray(i * hashBytes, (i + 1) * hashBytes)),
  )
}

function countOnes(size: number): number {
  let ones = 0
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) ones += rest % 2
  return ones
}
