import { ProofError } from './errors.ts'
import { hashBytes } from './hash.ts'
import type { Hash, Hasher } from './hash.ts'
import { hashesOf, type TileReader } from './proof.ts'
import { emptyRoot, nodeHash } from './tree.ts'
import { checkSize, type Range } from './tree_shape.ts'

/**
 * One proof for many leaves of a tree: the hashes of the largest subtrees that hold none of them, from left to right. For one
 * leaf these are the hashes of its inclusion proof (RFC 6962 §2.1.1); for all leaves of a range they are at most two for each
 * level of the tree, and show that nothing of the range was left out. Both sides go through it once, from left to right, and keep
 * one path of the tree.
 */

/** So many hashes are read at once: of at most as many tiles. */
const hashes_at_once = 64

/**
 * The proof that the leaves at `indices` are in the tree of `size`. The indices ascend. Throws `proof` for those that do not, or lie
 * outside.
 */
export async function* proveBatch(
  hasher: Hasher,
  reader: TileReader,
  {
    indices,
    size,
  }: { readonly indices: AsyncIterable<number> | Iterable<number>; readonly size: number },
): AsyncGenerator<Hash> {
  let ranges: Range[] = []
  for await (const range of rangesBeside(indices, size)) {
    ranges.push(range)
    if (ranges.length < hashes_at_once) continue
    yield* await hashesOf(hasher, reader, ranges, size)
    ranges = []
  }
  yield* await hashesOf(hasher, reader, ranges, size)
}

/** The nodes whose hashes are the proof. */
async function* rangesBeside(
  indices: AsyncIterable<number> | Iterable<number>,
  size: number,
): AsyncGenerator<Range> {
  checkSize(size)
  let next = 0
  for await (const index of indices) {
    checkIndex(index, { next, size })
    yield* rangesBetween(next, index)
    next = index + 1
  }
  yield* rangesAfter(next, size)
}

/** Folds leaves and the proof for them into the root of the tree. */
export interface BatchFold {
  /** Takes the next leaf. Throws `proof` for one that is not after the one before, or outside the tree. */
  add(index: number, leaf: Hash): void
  /** The root that leaves and proof give. Throws `proof` when hashes are left over. */
  root(): Hash
}

/**
 * A fold of a tree of `size`, which takes the hashes of the proof from `nextHash`: undefined when there are no more. Throws `proof`
 * when there are too few, or one is not 32 bytes.
 */
export function foldBatch(
  hasher: Hasher,
  { size, nextHash }: { readonly size: number; readonly nextHash: () => Hash | undefined },
): BatchFold {
  checkSize(size)
  const edge: { hash: Hash; leaves: number }[] = []
  let next = 0
  const take = (): Hash => {
    const hash = nextHash()
    if (hash?.length !== hashBytes) throw new ProofError('the proof lacks a hash')
    return hash
  }
  // As in binary addition: two perfect subtrees of the same size, one beside the other, are one.
  const push = (hash: Hash, leaves: number) => {
    let joined = { hash, leaves }
    for (let last = edge.at(-1); last?.leaves === joined.leaves; last = edge.at(-1)) {
      joined = { hash: nodeHash(hasher, last.hash, joined.hash), leaves: joined.leaves * 2 }
      edge.pop()
    }
    edge.push(joined)
  }
  return {
    add(index, leaf) {
      checkIndex(index, { next, size })
      for (const { start, end } of rangesBetween(next, index)) push(take(), end - start)
      push(leaf, 1)
      next = index + 1
    },
    root() {
      let rest: Hash | undefined
      for (const range of rangesAfter(next, size))
        if (isPerfect(range)) push(take(), range.end - range.start)
        else rest = take()
      if (nextHash() !== undefined) throw new ProofError('the proof has hashes left over')
      const hashes = [...edge.map(({ hash }) => hash), ...(rest === undefined ? [] : [rest])]
      if (hashes.length === 0) return emptyRoot(hasher)
      return hashes.reduceRight((root, left) => nodeHash(hasher, left, root))
    },
  }
}

function checkIndex(index: number, { next, size }: { next: number; size: number }): void {
  if (!Number.isSafeInteger(index) || index < next || index >= size)
    throw new ProofError('an index is not after the one before it, or outside the tree')
}

/** The largest perfect nodes that the leaves from `start` to before `end` fall into, where leaves are taken at both sides. */
function* rangesBetween(start: number, end: number): Generator<Range> {
  for (let at = start; at < end;) {
    let width = 1
    while (at % (width * 2) === 0 && at + width * 2 <= end) width *= 2
    yield { start: at, end: at + width }
    at += width
  }
}

/** The largest nodes that the leaves from `start` on fall into: the last one ends with the tree, and may be no perfect one. */
function* rangesAfter(start: number, size: number): Generator<Range> {
  for (let at = start; at < size;) {
    if (at === 0) return yield { start: 0, end: size }
    let width = 1
    while (at % (width * 2) === 0) width *= 2
    yield { start: at, end: Math.min(at + width, size) }
    at += width
  }
}

const isPerfect = ({ start, end }: Range): boolean => {
  const width = end - start
  return 2 ** Math.round(Math.log2(width)) === width
}
