import { consentOf, readEntry, type Entry } from '../ledger/entry.ts'
import type { SumProof } from '../ledger/summary.ts'
import { indexProgress } from '../storage/audit_index.ts'
import { isIndexedUnder } from '../storage/audit_search.ts'
import type { Broker } from './broker.ts'
import { entriesPage } from './entries_page.ts'
import { proveWithEntry } from './prove_entry.ts'
import { proveEntrySum } from './prove_sums.ts'
import { servedCheckpoint } from './served_checkpoint.ts'

/** Some of what the ledger says of one consent, newest first. */
export interface ConsentEntries {
  readonly entries: readonly Entry[]
  /** The index before which there are more. */
  readonly older?: number
  /** The index from which signed entries are not looked through yet. */
  readonly behind?: number
}

/**
 * At most `limit` entries about a consent, before an index where one is given, of those that are signed and indexed, as an entry is
 * some seconds after it was made. Throws as `entriesPage`.
 */
export async function entriesOfConsent(
  broker: Broker,
  bank: string,
  { consent, before, limit }: { consent: string; before: number | undefined; limit: number },
): Promise<ConsentEntries> {
  const { size, signed } = await indexProgress(broker.db, bank)
  const { found, last } = await entriesPage(broker, bank, {
    ...{ filter: { consent }, size, order: 'desc', limit },
    ...(before === undefined ? {} : { after: before }),
  })
  return {
    entries: found.map(({ leaf }) => aboutConsent(consent, readEntry(leaf))),
    ...(last === undefined ? {} : { older: last }),
    ...(size < signed ? { behind: size } : {}),
  }
}

/** The index is no proof: what the entry itself says decides. */
function aboutConsent(consent: string, entry: Entry): Entry {
  if (consentOf(entry) === consent) return entry
  throw new Error(`the index has entry ${entry.n} under another consent than it is about`)
}

/** One entry about a consent. */
interface OfConsent {
  readonly consent: string
  readonly index: number
}

/**
 * The tlog-proof that carries an entry about a consent, under the checkpoint that is served, so that it stands for good. Undefined
 * where the entry is about another or about none, or where no such checkpoint covers it yet.
 */
export async function proveOfConsent(
  broker: Broker,
  bank: string,
  { consent, index }: OfConsent,
): Promise<string | undefined> {
  if (!(await isIndexedUnder(broker.db, bank, { consent, n: index }))) return undefined
  const signed = await servedCheckpoint(broker, bank)
  if (signed === undefined || signed.size <= index) return undefined
  const { entry, proof } = await proveWithEntry(broker, bank, { index, signed })
  return aboutConsent(consent, entry) && proof
}

/** The proof that such an entry is counted in the totals of the newest epoch; undefined, too, where no epoch covers it yet. */
export async function proveSumOfConsent(
  broker: Broker,
  bank: string,
  { consent, index }: OfConsent,
): Promise<SumProof | undefined> {
  return (await isIndexedUnder(broker.db, bank, { consent, n: index }))
    ? proveEntrySum(broker, bank, index)
    : undefined
}
