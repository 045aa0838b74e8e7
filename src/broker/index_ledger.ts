import { setTimeout as sleep } from 'node:timers/promises'
import { factsOf } from '../ledger/facts.ts'
import {
  clearSome,
  indexProgress,
  insertIndexed,
  type IndexedEntry,
} from '../storage/audit_index.ts'
import { readLeaves } from '../storage/ledgers.ts'
import type { Broker } from './broker.ts'

/** Entries indexed at once: few, since the process that reads them answers requests too. */
const batch_entries = 512

/** Signed entries that wait for so long while the index does not move are an alarm. */
export const index_lag_ms_max = 10_000

/** The index lags, and why is not known here: the entries are there, and are not found. */
export class IndexLags extends Error {
  override readonly name = 'IndexLags'
}

/**
 * Brings the index of a bank's ledger up to what is signed, and not past it. Any number of processes may do it at once: each
 * batch is one transaction that only one of them makes. Throws `IndexLags` when entries have waited too long while this went on, and
 * `EntriesLost`.
 */
export async function indexLedger(broker: Broker, bank: string): Promise<void> {
  const before = await indexProgress(broker.db, bank)
  if (before.clearing) while (!(await clearSome(broker.db, bank)));
  for (let at = before; at.size < at.signed;) {
    const began = performance.now()
    const batch = await readBatch(broker, bank, at)
    if (!(await insertIndexed(broker.db, bank, batch))) break
    at = { ...at, size: at.size + batch.length, at: batch.at(-1)?.at ?? '' }
    // As long as it has worked it leaves processor and database to others: it is behind, and nobody's release waits for it.
    if (at.size < at.signed) await sleep(performance.now() - began)
  }
  const { lag_ms, size, signed } = await indexProgress(broker.db, bank)
  if (lag_ms > index_lag_ms_max)
    throw new IndexLags(
      `${signed - size} signed entries wait to be indexed, and for ${lag_ms} ms nothing has happened`,
    )
}

async function readBatch(
  { db }: Broker,
  bank: string,
  { size, signed, at = epoch }: { size: number; signed: number; at?: string },
): Promise<IndexedEntry[]> {
  const to = Math.min(size + batch_entries, signed)
  const leaves = await readLeaves(db, bank, { from: size, to })
  let before = at
  return leaves.map((leaf, i) => {
    const facts = factsOf(leaf)
    // Times never go back along a ledger, and the search by time relies on it: one that does, or is none, counts as the one before.
    before = facts.at !== undefined && facts.at > before ? facts.at : before
    return { ...facts, n: size + i, at: before }
  })
}

const epoch = new Date(0).toISOString()
