import type { VerifyJws } from '../ledger/bank_jws.ts'
import type { Entry } from '../ledger/entry.ts'
import { replayEntry, startReplay, Violation, type Replay } from '../ledger/replay.ts'
import { countsOf } from '../ledger/totals.ts'
import { equalBytes, hashBytes, type Hash, type Hasher } from '../merkle/hash.ts'
import { tilePath, tileWidth, widthAt, type Tile } from '../merkle/tiles.ts'
import { appendSum, emptySumEdge, sumLeaf, sumRootText, type SumEdge } from '../merkle/sum_tree.ts'
import { append, emptyEdge, leafHash, rootOf } from '../merkle/tree.ts'
import { readEntries, readHashes, type LedgerSource } from './source.ts'

/** What the entries of a ledger amount to. */
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
}

/** How many bundles of 256 entries are read ahead: it hides the time that a server takes, and bounds the memory. */
const ahead_max = 4

/**
 * Reads the first `size` entries in order, hashes them into a tree, compares every tile with it, and replays every rule. The
 * memory it takes grows with the consents of the ledger and not with its entries. Throws `SourceError` when a file cannot be
 * read, and `MerkleError` when a bundle is malformed.
 */
export async function walkLedger(
  source: LedgerSource,
  { size, rootsAt }: { size: number; rootsAt: readonly number[] },
  { hasher, verifyJws }: { hasher: Hasher; verifyJws: VerifyJws },
): Promise<Walk> {
  const walk: Walk = {
    state: startReplay(),
    opened: undefined,
    refusals: new Map(),
    violation: undefined,
    wrongTile: undefined,
    roots: new Map(),
  }
  const edge = emptyEdge()
  const sums = emptySumEdge()
  const upper = upperTiles()
  const compare = (tile: Tile, computed: Uint8Array, served: Uint8Array) => {
    if (!equalBytes(computed, served)) walk.wrongTile ??= tilePath(tile)
  }
  if (rootsAt.includes(0)) walk.roots.set(0, rootOf(hasher, edge))
  for await (const { tile, entries, hashes } of bundles(source, size)) {
    const leaves = new Uint8Array(hashes.length)
    for (const [i, bytes] of entries.entries()) {
      const leaf = leafHash(hasher, bytes)
      const entry = replay(walk, { bytes, leaf, sums }, { hasher, verifyJws })
      if (entry?.kind === 'restore') walk.roots.set(edge.size, rootOf(hasher, edge))
      leaves.set(leaf, i * hashBytes)
      for (const { level, hash } of append(hasher, edge, leaf)) upper.add(level, hash)
      if (rootsAt.includes(edge.size)) walk.roots.set(edge.size, rootOf(hasher, edge))
    }
    compare(tile, leaves, hashes)
    for (const [full, computed] of upper.take({ atEnd: edge.size === size }))
      compare(full, computed, await readHashes(source, full))
  }
  return walk
}

function replay(
  walk: Walk,
  { bytes, leaf, sums }: { bytes: Uint8Array; leaf: Hash; sums: SumEdge },
  { hasher, verifyJws }: { hasher: Hasher; verifyJws: VerifyJws },
): Entry | undefined {
  if (walk.violation !== undefined) return undefined
  try {
    const entry = replayEntry(walk.state, bytes, verifyJws)
    walk.opened ??= entry.at
    if (entry.kind === 'epoch' && entry.body.sum !== sumRootText(hasher, sums))
      throw new Violation(entry.n, 'epoch', 'its sum tree is not that of the entries before it')
    const counts = countsOf(walk.state.genesis?.totals ?? [], entry)
    appendSum(hasher, sums, sumLeaf(hasher, counts, leaf))
    if (entry.kind !== 'refusal') return entry
    const { reason, count } = entry.body
    walk.refusals.set(reason, (walk.refusals.get(reason) ?? 0) + count)
    return entry
  } catch (error) {
    if (!(error instanceof Violation)) throw error
    walk.violation = error
    return undefined
  }
}

interface Read {
  readonly tile: Tile
  readonly entries: readonly Uint8Array[]
  /** The leaf hashes of these entries, as served. */
  readonly hashes: Uint8Array
}

/** The bundles of a ledger with their tiles of leaf hashes, in order, the next ones being read meanwhile. */
async function* bundles(source: LedgerSource, size: number): AsyncGenerator<Read> {
  const reading: Promise<Read>[] = []
  const count = Math.ceil(size / tileWidth)
  for (let index = 0; index < count + ahead_max; index++) {
    if (index < count) {
      const read = readBundle(source, { size, index })
      read.catch(() => undefined) // met when its turn comes, if it comes
      reading.push(read)
    }
    const next = index < ahead_max ? undefined : reading.shift()
    if (next !== undefined) yield await next
  }
}

async function readBundle(
  source: LedgerSource,
  { size, index }: { size: number; index: number },
): Promise<Read> {
  const tile = { level: 0, index, width: widthAt(size, { level: 0, index }) }
  const [entries, hashes] = await Promise.all([
    readEntries(source, { ...tile, level: 'entries' }),
    readHashes(source, tile),
  ])
  return { tile, entries, hashes }
}

/** The tiles above the leaf hashes, as they fill. */
function upperTiles() {
  const filling = new Map<number, { index: number; hashes: Hash[] }>()
  return {
    add(level: number, hash: Hash): void {
      const row = filling.get(level) ?? { index: 0, hashes: [] }
      row.hashes.push(hash)
      filling.set(level, row)
    },
    /** Takes out what is full, or at the end of the ledger all there is. */
    *take({ atEnd }: { atEnd: boolean }): Generator<[Tile, Uint8Array]> {
      for (const [level, { index, hashes }] of filling) {
        const width = hashes.length
        if (width === 0 || (width < tileWidth && !atEnd)) continue
        filling.set(level, { index: index + 1, hashes: [] })
        yield [{ level, index, width }, joined(hashes)]
      }
    },
  }
}

function joined(hashes: readonly Hash[]): Uint8Array {
  const bytes = new Uint8Array(hashes.length * hashBytes)
  hashes.forEach((hash, i) => bytes.set(hash, i * hashBytes))
  return bytes
}
