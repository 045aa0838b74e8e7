import { equalBytes, hashBytes, type Hash, type Hasher } from '../merkle/hash.ts'
import { appendSum, sumLeaf, sumRootText, type SumEdge } from '../merkle/sum_tree.ts'
import { tileWidth, widthAt, type Tile } from '../merkle/tiles.ts'
import { append, emptyEdge, leafHash, rootOf } from '../merkle/tree.ts'
import { entriesOf, readBundle, readHashes, type LedgerSource, type Read } from './source.ts'

/** A bundle of entries that was read, hashed, and held against the tile of its leaf hashes. */
export interface Hashed {
  readonly tile: Tile
  readonly read: Read
  /** The leaf hashes, end to end. */
  readonly leaves: Uint8Array
  /** The root over the leaves of a full bundle. */
  readonly root: Hash | undefined
  /** Whether the tile that was served holds these hashes. */
  readonly isServed: boolean
}

/** What entries in a row count, by which the sum tree grows. */
export interface Counted {
  /** For each entry, as many counts as there are sums. */
  readonly counts: Float64Array
  readonly sums: number
  /** The leaf hashes of the entries, end to end. */
  readonly leaves: Uint8Array
  /** The sum tree's roots that epochs name, by their place among the entries: each is that of the tree before it. */
  readonly epochs: readonly { readonly at: number; readonly sum: string }[]
}

/** How far the sum tree has grown, and the first epoch that names another root than the tree had. */
export interface Summed {
  readonly edge: SumEdge
  wrong: number | undefined
}

/**
 * The part of verifying a ledger that needs none of its rules: reading, hashing, the tiles, the sum tree. So it can be done by
 * other threads, while the rules are replayed in order.
 */
export interface Trees {
  /** The bundles in order. Throws what reading them does, when the turn comes of the bundle that could not be read. */
  readonly bundles: AsyncIterable<Hashed>
  /** Lets the sum tree grow. The arrays are given away. */
  count(counted: Counted): void
  /** The sum tree after all that was counted. */
  summed(): Promise<Summed>
  close(): Promise<void>
}

/** Begins at bundle `first` of a ledger of `size` entries, with the sum tree of the entries before it. */
export type OpenTrees = (
  source: LedgerSource,
  range: { readonly size: number; readonly first: number; readonly summed: Summed },
) => Trees

/** On this thread. */
export const treesHere =
  (hasher: Hasher): OpenTrees =>
  (source, { size, first, summed }) => ({
    bundles: inOrder({ size, first }, { ahead: source.ahead ?? 1 }, (index) =>
      hashBundle(hasher, source, { size, index }),
    ),
    count: (counted) => addCounted(hasher, summed, counted),
    summed: async () => summed,
    close: async () => undefined,
  })

/** Asks for each bundle of the ledger from `first` on, `ahead` of them before their turn. */
export async function* inOrder<T>(
  { size, first }: { size: number; first: number },
  { ahead }: { ahead: number },
  ask: (index: number) => Promise<T>,
): AsyncGenerator<T> {
  const asked: Promise<T>[] = []
  const end = Math.ceil(size / tileWidth)
  for (let index = first; index < end + ahead; index++) {
    if (index < end) {
      const answer = ask(index)
      answer.catch(() => undefined) // met when its turn comes, if it comes
      asked.push(answer)
    }
    const next = index < first + ahead ? undefined : asked.shift()
    if (next !== undefined) yield await next
  }
}

/** Reads and hashes one bundle. Throws `SourceError` when a file cannot be read, and `MerkleError` when one is malformed. */
export async function hashBundle(
  hasher: Hasher,
  source: LedgerSource,
  { size, index }: { size: number; index: number },
): Promise<Hashed> {
  const tile = { level: 0, index, width: widthAt(size, { level: 0, index }) }
  const [read, served] = await Promise.all([
    readBundle(source, { ...tile, level: 'entries' }),
    readHashes(source, tile),
  ])
  const leaves = new Uint8Array(served.length)
  const edge = emptyEdge()
  for (const [i, entry] of entriesOf(read).entries()) {
    const leaf = leafHash(hasher, entry)
    leaves.set(leaf, i * hashBytes)
    append(hasher, edge, leaf)
  }
  const root = tile.width === tileWidth ? rootOf(hasher, edge) : undefined
  return { tile, read, leaves, root, isServed: equalBytes(leaves, served) }
}

/** Lets a sum tree grow by entries, and holds it against the epochs among them. */
export function addCounted(
  hasher: Hasher,
  summed: Summed,
  { counts, sums, leaves, epochs }: Counted,
): void {
  const { edge } = summed
  const expected = new Map(epochs.map(({ at, sum }) => [at, sum]))
  const entries = counts.length / sums
  for (let i = 0; i < entries; i++) {
    const named = expected.get(i)
    if (named !== undefined && named !== sumRootText(hasher, edge)) summed.wrong ??= edge.size
    const leaf = leaves.subarray(i * hashBytes, (i + 1) * hashBytes)
    appendSum(hasher, edge, sumLeaf(hasher, counts.subarray(i * sums, (i + 1) * sums), leaf))
  }
}
