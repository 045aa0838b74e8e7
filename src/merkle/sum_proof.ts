import { ProofError } from './errors.ts'
import { equalBytes } from './hash.ts'
import type { Hasher } from './hash.ts'
import { checkSumNode, sumNode, sumsOf } from './sum_tree.ts'
import type { SumNode } from './sum_tree.ts'
import type { Tile } from './tiles.ts'
import {
  consistencyPath,
  inclusionPath,
  isInside,
  joinConsistency,
  joinInclusion,
  joinRange,
  nodesOf,
  rangePath,
} from './tree_shape.ts'
import type { Join, Range } from './tree_shape.ts'

/** A sum tree as an `epoch` entry states it: its size, and its root with the sums. */
export interface SumHead {
  readonly size: number
  readonly root: SumNode
}

/** Gives the nodes of a tile of a sum tree. It is not trusted: from false nodes comes a proof that the checks below refuse. */
export type ReadSumTile = (tile: Tile) => Promise<readonly SumNode[]>

/** The siblings from the leaf at `index` up to the root of the sum tree of `size`. Throws `proof` if there are none. */
export async function proveSum(
  hasher: Hasher,
  readTile: ReadSumTile,
  { index, size }: { index: number; size: number },
): Promise<SumNode[]> {
  return nodesOf(joinSums(hasher), readTile, { ranges: inclusionPath(index, size), size })
}

/** What the leaves of `range` add up to, and the nodes that prove it in the sum tree of `size`. Throws `proof` if there are none. */
export async function proveSumRange(
  hasher: Hasher,
  readTile: ReadSumTile,
  { range, size }: { range: Range; size: number },
): Promise<{ sums: number[]; nodes: SumNode[] }> {
  const ranges = rangePath(range, size)
  const nodes = await nodesOf(joinSums(hasher), readTile, { ranges, size })
  return { sums: addUp(nodes.filter((_, i) => isInside(ranges[i] ?? range, range))), nodes }
}

/** The nodes that prove that the sum tree of `to` extends that of `from` >= 1. Throws `proof` if there are none. */
export async function proveSumConsistency(
  hasher: Hasher,
  readTile: ReadSumTile,
  { from, to }: { from: number; to: number },
): Promise<SumNode[]> {
  return nodesOf(joinSums(hasher), readTile, { ranges: consistencyPath(from, to), size: to })
}

/** Returns if `proof` shows that `leaf` is the leaf at `index` of `tree`; else throws `proof` or `sum`. */
export function checkSum(
  hasher: Hasher,
  claim: { leaf: SumNode; index: number; tree: SumHead; proof: readonly SumNode[] },
): void {
  const { leaf, index, tree, proof } = claim
  checkAll([leaf, ...proof], tree)
  const root = joinInclusion(joinSums(hasher), { leaf, index, size: tree.size, proof })
  if (!equalBytes(root, tree.root)) throw new ProofError('the leaf is not in the sum tree')
}

/** What the leaves of `range` add up to, if `proof` shows that they are those of `tree`; else throws `proof` or `sum`. */
export function checkSumRange(
  hasher: Hasher,
  claim: { range: Range; tree: SumHead; proof: readonly SumNode[] },
): number[] {
  const { range, tree, proof } = claim
  checkAll(proof, tree)
  const joined = joinRange(joinSums(hasher), { asked: range, size: tree.size, proof })
  if (!equalBytes(joined.root, tree.root)) throw new ProofError('the range is not of the sum tree')
  return addUp(joined.inside)
}

/** What nodes side by side add up to. */
const addUp = (nodes: readonly SumNode[]): number[] =>
  nodes.map(sumsOf).reduce((all, sums) => all.map((sum, i) => sum + (sums[i] ?? 0)))

/** Returns if `proof` shows that the sum tree `to` extends `from`, which has a leaf; else throws `proof` or `sum`. */
export function checkSumConsistency(
  hasher: Hasher,
  claim: { from: SumHead; to: SumHead; proof: readonly SumNode[] },
): void {
  const { from, to, proof } = claim
  if (from.size === 0) throw new ProofError('a sum tree without leaves has no root')
  checkAll([from.root, ...proof], to)
  const sizes = { from: from.size, to: to.size }
  const roots = joinConsistency(joinSums(hasher), { ...sizes, whole: from.root, proof })
  if (!equalBytes(roots.from, from.root) || !equalBytes(roots.to, to.root))
    throw new ProofError('one sum tree does not extend the other')
}

const joinSums =
  (hasher: Hasher): Join<SumNode> =>
  (left, right) =>
    sumNode(hasher, left, right)

function checkAll(nodes: readonly SumNode[], { root }: SumHead): void {
  const k = sumsOf(root).length
  for (const node of [...nodes, root]) checkSumNode(node, k)
}
