import type { VerifyJws } from '../ledger/bank_jws.ts'
import type { Entry } from '../ledger/entry.ts'
import { replayEntry, startReplay, Violation, type Replay } from '../ledger/replay.ts'
import { delta } from '../ledger/totals.ts'
import { equalBytes, hashBytes, type Hash, type Hasher } from '../merkle/hash.ts'
import { emptySumEdge } from '../merkle/sum_tree.ts'
import { tilePath, tileWidth, type Tile } from '../merkle/tiles.ts'
import { append, appendTile, emptyEdge, rootOf, type RightEdge } from '../merkle/tree.ts'
import { entriesOf, readHashes, type LedgerSource } from './source.ts'
import type { Counted, Hashed, OpenTrees, Summed, Trees } from './trees.ts'

/** What the entries of a ledger amount to, as far as they were read. */
export interface Walk {
  readonly state: Replay
  /** When the first entry was made. */
  opened: string | undefined
  readonly refusals: Map<string, number>
  /** The first entry that breaks a rule. Rules are not checked after it; the tree is. */
  violation: Violation | undefined
  /** The first tile whose hashes are not those of the entries. */
  wrongTile: string | undefined
  /** The root at each of the sizes asked for, and at each to which the ledger was restored. */
  readonly roots: Map<number, Hash>
  readonly edge: RightEdge
  /** The tiles above the leaf hashes that are not full yet, by level. */
  readonly upper: Map<number, { index: number; hashes: Hash[] }>
  summed: Summed
}

/** The walk before the first entry. */
export const startWalk = (): Walk => ({
  state: startReplay(),
  opened: undefined,
  refusals: new Map(),
  violation: undefined,
  wrongTile: undefined,
  roots: new Map(),
  edge: emptyEdge(),
  upper: new Map(),
  summed: { edge: emptySumEdge(), wrong: undefined },
})

/** Told after each full bundle: the walk can go on from here another time, once `settle` has brought the sums up to it. */
export type Watch = (walk: Walk, settle: () => Promise<void>) => void | Promise<void>

/**
 * Reads the entries after those already walked, up to `size`, in order; hashes them into a tree, compares every tile with it,
 * and replays every rule. The memory it takes grows with the consents of the ledger and not with its entries. Changes `walk` in
 * place. Throws `SourceError` when a file cannot be read, and `MerkleError` when a bundle is malformed.
 */
export async function walkLedger(
  source: LedgerSource,
  walk: Walk,
  { size, rootsAt }: { size: number; rootsAt: readonly number[] },
  { hasher, verifyJws, openTrees, watch }: Tools,
): Promise<void> {
  const { edge, roots } = walk
  const wanted = new Set(rootsAt)
  const within = rootsAt.filter((at) => at % tileWidth !== 0)
  const split = new Set(within.map((at) => Math.floor(at / tileWidth)))
  const noteRoot = () => {
    if (wanted.has(edge.size)) roots.set(edge.size, rootOf(hasher, edge))
  }
  noteRoot()
  const trees = openTrees(source, { size, first: edge.size / tileWidth, summed: walk.summed })
  const settle = () => takeSums(walk, trees)
  try {
    for await (const hashed of trees.bundles) {
      const replayed = replayBundle(walk, hashed, verifyJws)
      replayed?.restores.forEach((at) => wanted.add(at))
      const isSplit = split.has(hashed.tile.index) || (replayed?.restores.length ?? 0) > 0
      for (const growth of growthOf(hashed, isSplit)) {
        noteRoot()
        grow(hasher, walk, growth)
      }
      noteRoot()
      if (!hashed.isServed) walk.wrongTile ??= tilePath(hashed.tile)
      if (replayed !== undefined) trees.count(replayed.counted)
      for (const [tile, computed] of takeFull(walk, { atEnd: edge.size === size }))
        if (!equalBytes(computed, await readHashes(source, tile))) walk.wrongTile ??= tilePath(tile)
      if (hashed.tile.width === tileWidth) await watch?.(walk, settle)
    }
    await settle()
  } finally {
    await trees.close()
  }
}

interface Tools {
  readonly hasher: Hasher
  readonly verifyJws: VerifyJws
  readonly openTrees: OpenTrees
  readonly watch?: Watch | undefined
}

/**
 * The sum tree is checked beside the other rules, and so a wrong epoch may be found after a violation. It comes before it all the same:
 * only entries that broke no rule were counted.
 */
async function takeSums(walk: Walk, trees: Trees): Promise<void> {
  walk.summed = await trees.summed()
  const { wrong } = walk.summed
  const detail = 'its sum tree is not that of the entries before it'
  if (wrong !== undefined) walk.violation = new Violation(wrong, 'epoch', detail)
}

type Growth = { readonly root: Hash } | { readonly leaf: Hash }

/** A full bundle at once, by its root, unless a root within it is asked for. */
function* growthOf({ root, leaves }: Hashed, isSplit: boolean): Generator<Growth> {
  if (root !== undefined && !isSplit) yield { root }
  else
    for (let at = 0; at < leaves.length; at += hashBytes)
      yield { leaf: leaves.slice(at, at + hashBytes) }
}

function grow(hasher: Hasher, { edge, upper }: Walk, growth: Growth): void {
  const completed =
    'root' in growth ? appendTile(hasher, edge, growth.root) : append(hasher, edge, growth.leaf)
  for (const { level, hash } of completed) {
    const row = upper.get(level) ?? { index: 0, hashes: [] }
    row.hashes.push(hash)
    upper.set(level, row)
  }
}

/** Takes out the tiles above the leaves that are full, or at the end of the ledger all there are. */
function* takeFull({ upper }: Walk, { atEnd }: { atEnd: boolean }): Generator<[Tile, Uint8Array]> {
  for (const [level, { index, hashes }] of upper) {
    const width = hashes.length
    if (width === 0 || (width < tileWidth && !atEnd)) continue
    if (width === tileWidth) upper.set(level, { index: index + 1, hashes: [] })
    yield [{ level, index, width }, joined(hashes)]
  }
}

function joined(hashes: readonly Hash[]): Uint8Array {
  const bytes = new Uint8Array(hashes.length * hashBytes)
  hashes.forEach((hash, i) => bytes.set(hash, i * hashBytes))
  return bytes
}

interface Replayed {
  /** For the sum tree. */
  readonly counted: Counted
  /** The sizes that `restore` entries say the ledger was restored to. */
  readonly restores: readonly number[]
}

/** Replays the entries of a bundle up to the first that breaks a rule. */
function replayBundle(
  walk: Walk,
  { read, leaves }: Hashed,
  verifyJws: VerifyJws,
): Replayed | undefined {
  if (walk.violation !== undefined) return undefined
  const { state } = walk
  const entries = entriesOf(read)
  const epochs: { at: number; sum: string }[] = []
  const restores: number[] = []
  let counts = new Float64Array(0)
  let names: readonly string[] = []
  let replayed = 0
  for (const bytes of entries) {
    const entry = replay(walk, bytes, verifyJws)
    if (entry === undefined) break
    if (counts.length === 0) {
      names = state.genesis?.totals ?? []
      counts = new Float64Array(entries.length * names.length)
    }
    const raised = delta(entry)
    const at = raised === undefined ? -1 : names.indexOf(raised.name)
    if (raised !== undefined && at >= 0) counts[replayed * names.length + at] = raised.by
    if (entry.kind === 'restore') restores.push(entry.n)
    if (entry.kind === 'epoch') epochs.push({ at: replayed, sum: entry.body.sum })
    replayed += 1
  }
  const sums = names.length
  const counted = { counts: counts.subarray(0, replayed * sums), sums, leaves, epochs }
  return { counted, restores }
}

function replay(walk: Walk, bytes: Uint8Array, verifyJws: VerifyJws): Entry | undefined {
  try {
    const entry = replayEntry(walk.state, bytes, verifyJws)
    walk.opened ??= entry.at
    if (entry.kind === 'refusal') {
      const { reason, count } = entry.body
      walk.refusals.set(reason, (walk.refusals.get(reason) ?? 0) + count)
    }
    return entry
  } catch (error) {
    if (!(error instanceof Violation)) throw error
    walk.violation = error
    return undefined
  }
}
