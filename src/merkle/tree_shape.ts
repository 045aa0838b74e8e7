import { MerkleError, ProofError } from './errors.ts'
import { tilePath, tileWidth, widthAt } from './tiles.ts'
import type { Tile } from './tiles.ts'

/**
 * The shape of an RFC 6962 tree, which index and size alone decide, whatever its nodes are: hashes (`proof.ts`), or sums with
 * hashes (`sum_proof.ts`). `Join` makes a node of its children.
 */
export type Join<Node> = (left: Node, right: Node) => Node

/** The leaves from `start` up to but not including `end`. */
export interface Range {
  readonly start: number
  readonly end: number
}

/** The ranges whose nodes prove the leaf at `index`, its sibling first. */
export function inclusionPath(index: number, size: number): Range[] {
  checkSize(size)
  if (!isSize(index) || index >= size) throw new ProofError('the index is outside the tree')
  return descend(index, size, ({ start, end }) => end - start === 1).passed
}

/**
 * The ranges whose nodes prove that the tree of `to` extends that of `from`, in the order of RFC
 * 6962 §2.1.2.
 */
export function consistencyPath(from: number, to: number): Range[] {
  checkSize(from)
  checkSize(to)
  if (from > to) throw new ProofError('a tree does not extend a larger one')
  if (from === 0) return []
  const { reached, passed } = descend(from - 1, to, ({ end }) => end === from)
  return reached.start === 0 ? passed : [reached, ...passed]
}

/** The largest nodes that lie wholly inside or outside of `asked`, left to right: they are the whole tree of `size`. */
export function rangePath(asked: Range, size: number): Range[] {
  checkSize(size)
  const { start, end } = asked
  if (!isSize(start) || !isSize(end) || start >= end || end > size)
    throw new ProofError('the range is outside the tree')
  const cut = (node: Range): Range[] =>
    isInside(node, asked) || node.end <= start || node.start >= end
      ? [node]
      : halves(node).flatMap(cut)
  return cut({ start: 0, end: size })
}

/** Whether a node lies inside a range. */
export const isInside = (node: Range, range: Range): boolean =>
  node.start >= range.start && node.end <= range.end

/** The root that the leaf at `index` and the nodes of its inclusion path give. */
export function joinInclusion<Node>(
  join: Join<Node>,
  { leaf, index, size, proof }: { leaf: Node; index: number; size: number; proof: readonly Node[] },
): Node {
  let root = leaf
  for (const [{ end }, node] of pair(inclusionPath(index, size), proof))
    root = end <= index ? join(node, root) : join(root, node)
  return root
}

/** The roots of both trees that the nodes of a consistency path give; `whole` is the root of `from`, which is at least 1. */
export function joinConsistency<Node>(
  join: Join<Node>,
  { from, to, whole, proof }: { from: number; to: number; whole: Node; proof: readonly Node[] },
): { from: Node; to: Node } {
  let [smaller, larger] = [whole, whole]
  for (const [range, node] of pair(consistencyPath(from, to), proof)) {
    if (range.end === from) {
      // The smallest subtree of `to` that ends where `from` ends. When that is the whole of `from`, it is not sent.
      smaller = node
      larger = node
    } else if (range.end < from) {
      smaller = join(node, smaller)
      larger = join(node, larger)
    } else {
      larger = join(larger, node)
    }
  }
  return { from: smaller, to: larger }
}

/** The root that the nodes of a range path give, and those of them that lie inside the range. */
export function joinRange<Node>(
  join: Join<Node>,
  { asked, size, proof }: { asked: Range; size: number; proof: readonly Node[] },
): { root: Node; inside: readonly Node[] } {
  const nodes = pair(rangePath(asked, size), proof)
  const byRange = new Map(nodes.map(([range, node]) => [nameOf(range), node]))
  const nodeOf = (range: Range): Node => {
    const given = byRange.get(nameOf(range))
    if (given !== undefined) return given
    const [left, right] = halves(range)
    return join(nodeOf(left), nodeOf(right))
  }
  return {
    root: nodeOf({ start: 0, end: size }),
    inside: nodes.filter(([range]) => isInside(range, asked)).map(([, node]) => node),
  }
}

const nameOf = ({ start, end }: Range) => `${start}-${end}`

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
    const [left, right] = halves(reached)
    reached = leaf < left.end ? left : right
    passed.unshift(leaf < left.end ? right : left)
  }
  return { reached, passed }
}

/** Where RFC 6962 splits a node of two or more leaves. */
function halves({ start, end }: Range): [Range, Range] {
  const middle = start + powerBelow(end - start)
  return [
    { start, end: middle },
    { start: middle, end },
  ]
}

/** The largest power of two smaller than `count`, where RFC 6962 splits `count` >= 2 leaves. */
function powerBelow(count: number): number {
  let power = 1
  while (power * 2 < count) power *= 2
  return power
}

/** Pairs the ranges of a path with the nodes of a proof from outside. */
function pair<Node>(path: readonly Range[], proof: readonly Node[]): [Range, Node][] {
  if (proof.length !== path.length) throw new ProofError('the proof has the wrong length')
  return path.map((range, i) => [range, proof[i] as Node])
}

function isSize(size: number): boolean {
  return Number.isSafeInteger(size) && size >= 0
}

/** Throws `proof` unless a tree can have this many leaves. */
export function checkSize(size: number): void {
  if (!isSize(size)) throw new ProofError('a tree size is not a whole number from 0 to 2^53 - 1')
}

/**
 * Nodes of the tree of `size`, by their ranges, from its tiles: `readTile` gives the nodes of a tile. Reads each tile once, and
 * all of them at once.
 */
export async function nodesOf<Node extends Uint8Array>(
  join: Join<Node>,
  readTile: (tile: Tile) => Promise<readonly Node[]>,
  { ranges, size }: { ranges: readonly Range[]; size: number },
): Promise<Node[]> {
  const reads = new Map<string, Promise<readonly Node[]>>()
  const readOnce = (tile: Tile) => {
    const path = tilePath(tile)
    const read = reads.get(path) ?? readTile(tile)
    reads.set(path, read)
    return read
  }
  return Promise.all(
    ranges.map(async (range) => {
      const subtrees: Node[] = await Promise.all(
        perfectSubtrees(range).map((subtree) => perfectNode(join, readOnce, { subtree, size })),
      )
      return subtrees.reduceRight((right, left) => join(left, right))
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

/** A perfect subtree: one node of a tile, or 2, 4, … 128 neighbours in one. */
async function perfectNode<Node extends Uint8Array>(
  join: Join<Node>,
  readTile: (tile: Tile) => Promise<readonly Node[]>,
  { subtree: { start, end }, size }: { subtree: Range; size: number },
): Promise<Node> {
  let [level, first, count] = [0, start, end - start]
  for (; count >= tileWidth; level++) {
    first /= tileWidth
    count /= tileWidth
  }
  const index = Math.floor(first / tileWidth)
  const tile = { level, index, width: widthAt(size, { level, index }) }
  const nodes = await readTile(tile)
  if (nodes.length !== tile.width)
    throw new MerkleError('tile', `${tilePath(tile)} has the wrong length`)
  let row = nodes.slice(first % tileWidth, (first % tileWidth) + count)
  while (row.length > 1)
    row = Array.from({ length: row.length / 2 }, (_, i) =>
      join(row[2 * i] as Node, row[2 * i + 1] as Node),
    )
  return row[0] as Node
}
