import type { SumProof } from '../ledger/summary.ts'
import { countsOf } from '../ledger/totals.ts'
import { encodeBase64 } from '../merkle/encoding.ts'
import { proveSum, proveSumRange, type ReadSumTile } from '../merkle/sum_proof.ts'
import type { SumNode } from '../merkle/sum_tree.ts'
import type { SignedNote } from '../storage/cosignatures.ts'
import { newestEpoch, sumNames, sumTiles } from '../storage/ledgers.ts'
import { nodeHasher } from '../storage/node_crypto.ts'
import type { Broker } from './broker.ts'
import { proveWithEntry } from './prove_entry.ts'
import { servedCheckpoint } from './served_checkpoint.ts'
import { originOf, type IndexRange } from './summarise_ledger.ts'

/** That one entry is counted in the newest signed epoch, and what it counts. Undefined where no signed epoch covers it. */
export async function proveEntrySum(
  broker: Broker,
  bank: string,
  index: number,
): Promise<SumProof | undefined> {
  const covered = await coveredBy(broker, bank, index + 1)
  if (covered === undefined) return undefined
  const { signed, epoch, names, readTile } = covered
  const [nodes, { entry, proof }] = await Promise.all([
    proveSum(nodeHasher, readTile, { index, size: epoch }),
    proveWithEntry(broker, bank, { index, signed }),
  ])
  const found = { sums: countsOf(names, entry), nodes, entry: proof }
  return proofOf(broker, bank, { covered, range: { from: index, to: index + 1 }, ...found })
}

/** What the entries [from, to) add up to in the newest signed epoch. Undefined where no signed epoch covers them. */
export async function proveRangeSum(
  broker: Broker,
  bank: string,
  range: IndexRange,
): Promise<SumProof | undefined> {
  const covered = range.from < range.to ? await coveredBy(broker, bank, range.to) : undefined
  if (covered === undefined) return undefined
  const asked = { start: range.from, end: range.to }
  const found = await proveSumRange(nodeHasher, covered.readTile, {
    range: asked,
    size: covered.epoch,
  })
  return proofOf(broker, bank, { covered, range, ...found })
}

interface Covered {
  readonly signed: SignedNote
  /** The index of the epoch entry, and so how many entries it covers. */
  readonly epoch: number
  readonly names: readonly string[]
  readonly readTile: ReadSumTile
}

/** The newest signed epoch, if it covers this many entries. */
async function coveredBy(
  broker: Broker,
  bank: string,
  entries: number,
): Promise<Covered | undefined> {
  const found = await signedEpoch(broker, bank)
  if (found === undefined || found.epoch < entries) return undefined
  const names = await sumNames(broker.db, bank)
  return { ...found, names, readTile: sumTiles(broker.db, bank, names) }
}

/** How many entries the newest signed epoch counts: the first ones. */
export async function countedEntries(broker: Broker, bank: string): Promise<number> {
  return (await signedEpoch(broker, bank))?.epoch ?? 0
}

async function signedEpoch(
  broker: Broker,
  bank: string,
): Promise<Pick<Covered, 'signed' | 'epoch'> | undefined> {
  const signed = await servedCheckpoint(broker, bank)
  const epoch = signed && (await newestEpoch(broker.db, bank, signed.size))
  return signed && epoch && { signed, epoch: epoch.n }
}

async function proofOf(
  broker: Broker,
  bank: string,
  found: {
    covered: Covered
    range: IndexRange
    sums: readonly number[]
    nodes: readonly SumNode[]
    entry?: string
  },
): Promise<SumProof> {
  const { covered, range, sums, nodes, entry } = found
  const { signed, names, epoch } = covered
  const [genesis, epochProof] = await Promise.all(
    [0, epoch].map((index) => proveWithEntry(broker, bank, { index, signed })),
  )
  if (genesis === undefined || epochProof === undefined) throw new Error('a proof is missing')
  return {
    origin: await originOf(broker, bank),
    ...{ from_index: range.from, to_index: range.to, size: epoch },
    totals: Object.fromEntries(names.map((name, i) => [name, sums[i] ?? 0])),
    nodes: nodes.map(encodeBase64),
    proofs: { genesis: genesis.proof, epoch: epochProof.proof, ...(entry && { entry }) },
  }
}
