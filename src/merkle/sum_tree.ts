import { encodeBase64Url } from './encoding.ts'
import { MerkleError } from './errors.ts'
import { hashBytes } from './hash.ts'
import type { Hash, Hasher } from './hash.ts'

/**
 * A node of a sum tree: `k` sums and a hash, as `enc(s) || h` of 8k + 32 bytes, where `enc` writes each sum as a big-endian uint64
 * of at most 2^53 - 1. The tree has the shape and the leaves of an RFC 6962 tree, and adds up what each leaf counts:
 *
 *     leaf: s = what the entry counts   h = SHA-256(0x02 || enc(s) || RFC 6962 leaf hash)
 *     node: s = sL + sR                 h = SHA-256(0x03 || enc(sL) || hL || enc(sR) || hR)
 *
 * Each child's sum is committed to, and not their total alone: under a hash of the total, 1 + 0 could be shown to the one and
 * 0 + 1 to the other (Hu, Zhang, Guo, ePrint 2018/1139).
 */
export type SumNode = Uint8Array

/** A sum tree that can grow: the roots of the perfect subtrees that it falls into, largest first. */
export interface SumEdge {
  size: number
  nodes: SumNode[]
}

/** The root of the full subtree over the leaves [index * 256^level, (index + 1) * 256^level), level >= 1. */
export interface SumSubtree {
  readonly level: number
  readonly index: number
  readonly node: SumNode
}

/** A tree sums up at most this many things: as many as a ledger may have totals. */
export const sumsMax = 64

const leafPrefix = 0x02
const nodePrefix = 0x03
const sumBytes = 8
const high = 2 ** 32
const highMax = 2 ** 21
const noSubtrees: readonly SumSubtree[] = []

// Hashing is synchronous and the hasher keeps nothing, so all nodes are laid out in the same bytes.
const scratch = new Uint8Array(1 + 2 * (sumsMax * sumBytes + hashBytes))
const scratchView = new DataView(scratch.buffer)
const result = new Uint8Array(sumsMax * sumBytes + hashBytes)
const resultView = new DataView(result.buffer)

/** The leaf of an entry, by its RFC 6962 leaf hash. Throws `sum` for what is no list of 1 to 64 counts. */
export function sumLeaf(hasher: Hasher, sums: ArrayLike<number>, leaf: Hash): SumNode {
  const { length } = sums
  if (leaf.length !== hashBytes) throw new MerkleError('sum', 'a leaf hash is not 32 bytes')
  if (length < 1 || length > sumsMax) throw new MerkleError('sum', 'there are 1 to 64 sums')
  scratch[0] = leafPrefix
  for (let i = 0; i < length; i++) {
    const sum = sums[i] ?? NaN
    if (!Number.isSafeInteger(sum) || sum < 0)
      throw new MerkleError('sum', 'a sum is not a whole number from 0 to 2^53 - 1')
    write(resultView, i * sumBytes, sum)
  }
  const summed = length * sumBytes
  scratch.set(result.subarray(0, summed), 1)
  scratch.set(leaf, 1 + summed)
  return finished(hasher, { summed, hashed: 1 + summed + hashBytes })
}

/** The node above two. Throws `sum` when they do not sum up the same things, or a sum would exceed 2^53 - 1. */
export function sumNode(hasher: Hasher, left: SumNode, right: SumNode): SumNode {
  const summed = left.length - hashBytes
  if (left.length !== right.length || summed < sumBytes || summed > sumsMax * sumBytes)
    throw new MerkleError('sum', 'two nodes do not sum up the same things')
  scratch[0] = nodePrefix
  scratch.set(left, 1)
  scratch.set(right, 1 + left.length)
  for (let at = 0; at < summed; at += sumBytes) {
    const sum = read(scratchView, 1 + at) + read(scratchView, 1 + left.length + at)
    if (sum > Number.MAX_SAFE_INTEGER) throw new MerkleError('sum', 'a sum exceeds 2^53 - 1')
    write(resultView, at, sum)
  }
  return finished(hasher, { summed, hashed: 1 + 2 * left.length })
}

/** The node whose sums are laid out in `result`, and what it hashes in `scratch`. */
function finished(hasher: Hasher, { summed, hashed }: { summed: number; hashed: number }): SumNode {
  result.set(hasher.sha256(scratch.subarray(0, hashed)), summed)
  return kept(result.subarray(0, summed + hashBytes))
}

// An array of this length costs as much to allocate as to hash, so many nodes are cut from one.
let slab = new Uint8Array(0)
let taken = 0

function kept(node: Uint8Array): SumNode {
  if (taken + node.length > slab.length) {
    slab = new Uint8Array(64 * node.length)
    taken = 0
  }
  const copy = slab.subarray(taken, taken + node.length)
  copy.set(node)
  taken += node.length
  return copy
}

const read = (view: DataView, at: number) => view.getUint32(at) * high + view.getUint32(at + 4)

function write(view: DataView, at: number, sum: number): void {
  view.setUint32(at, (sum / high) >>> 0)
  view.setUint32(at + 4, sum >>> 0)
}

/** The sums of a node. */
export function sumsOf(node: SumNode): number[] {
  const view = new DataView(node.buffer, node.byteOffset)
  return Array.from({ length: (node.length - hashBytes) / sumBytes }, (_, i) =>
    read(view, i * sumBytes),
  )
}

/** The hash of a node. */
export const hashOfSum = (node: SumNode): Hash => node.subarray(node.length - hashBytes)

/** A node of these sums with this hash, whether or not there is a tree that has it. */
export function sumNodeOf(sums: readonly number[], hash: Hash): SumNode {
  const node = new Uint8Array(sums.length * sumBytes + hashBytes)
  const view = new DataView(node.buffer)
  sums.forEach((sum, i) => write(view, i * sumBytes, sum))
  node.set(hash, sums.length * sumBytes)
  return checkSumNode(node, sums.length)
}

/** Returns a node that came from outside if it has `k` sums, each at most 2^53 - 1; else throws `sum`. */
export function checkSumNode(node: Uint8Array, k: number): SumNode {
  if (node.length !== k * sumBytes + hashBytes)
    throw new MerkleError('sum', `a node does not have ${k} sums and a hash`)
  const view = new DataView(node.buffer, node.byteOffset)
  for (let i = 0; i < k; i++)
    if (view.getUint32(i * sumBytes) >= highMax)
      throw new MerkleError('sum', 'a sum exceeds 2^53 - 1')
  return node
}

export function emptySumEdge(): SumEdge {
  return { size: 0, nodes: [] }
}

/** Appends one leaf, changing `edge` in place. Returns the full subtrees of 256, 256^2, … leaves that it completes. */
export function appendSum(hasher: Hasher, edge: SumEdge, leaf: SumNode): readonly SumSubtree[] {
  let completed = noSubtrees
  let node = leaf
  let height = 0
  for (let rest = edge.size; rest % 2 === 1; rest = (rest - 1) / 2) {
    const left = edge.nodes.pop()
    if (left === undefined) throw new MerkleError('sum', 'the right edge lacks a node')
    node = sumNode(hasher, left, node)
    height += 1
    if (height % 8 === 0)
      completed = [...completed, { level: height / 8, index: (rest - 1) / 2, node }]
  }
  edge.nodes.push(node)
  edge.size += 1
  return completed
}

/** The root of the tree, which has at least one leaf. */
export function sumRoot(hasher: Hasher, edge: Readonly<SumEdge>): SumNode {
  if (edge.nodes.length === 0) throw new MerkleError('sum', 'a tree without leaves has no sums')
  return edge.nodes.reduceRight((root, left) => sumNode(hasher, left, root))
}

/** The hash of the root, base64url: what an `epoch` entry names. Throws `sum` for a tree without leaves. */
export const sumRootText = (hasher: Hasher, edge: Readonly<SumEdge>): string =>
  encodeBase64Url(hashOfSum(sumRoot(hasher, edge)))

/** The edge's nodes, end to end, largest subtree first. With the size they are the whole edge. */
export function sumEdgeToBytes(edge: Readonly<SumEdge>): Uint8Array {
  const width = edge.nodes[0]?.length ?? 0
  const bytes = new Uint8Array(edge.nodes.length * width)
  edge.nodes.forEach((node, i) => bytes.set(node, i * width))
  return bytes
}

/** Reads what `sumEdgeToBytes` wrote for a tree of `size` leaves and `k` sums; keeps no part of `bytes`. Throws `sum`. */
export function sumEdgeFromBytes(size: number, bytes: Uint8Array, k: number): SumEdge {
  const width = k * sumBytes + hashBytes
  let nodes = 0
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) nodes += rest % 2
  if (bytes.length !== nodes * width)
    throw new MerkleError('sum', 'the right edge does not belong to a tree of this size')
  return {
    size,
    nodes: Array.from({ length: nodes }, (_, i) =>
      Uint8Array.from(bytes.subarray(i * width, (i + 1) * width)),
    ),
  }
}
