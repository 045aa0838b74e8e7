import { consentOf, readEntry, type Entry } from '../ledger/entry.ts'
import { indexProgress } from '../storage/audit_index.ts'
import { searchEntries } from '../storage/audit_search.ts'
import { findLedger, readLeaves } from '../storage/ledgers.ts'
import type { Broker } from './broker.ts'
import { checkpointOver, proveWithEntry } from './prove_entry.ts'
import { proveEntrySum } from './prove_sums.ts'

/** Some of what the ledger says of one consent, newest first. `older` is the index before which there is more. */
export interface ConsentEntries {
  readonly entries: readonly Entry[]
  readonly older?: number
}

/**
 * At most `limit` entries about a consent, before an index where one is given: of those that are signed and indexed, which an entry is
 * some seconds after it was made. Throws `IndexBehind`, or `ArchiveUnavailable` for entries that were detached.
 */
export async function entriesOfConsent(
  { db }: Broker,
  bank: string,
  { consent, before, limit }: { consent: string; before: number | undefined; limit: number },
): Promise<ConsentEntries> {
  const { size } = await indexProgress(db, bank)
  const found = await searchEntries(db, bank, {
    ...{ filter: { consent }, size, order: 'desc', limit: limit + 1 },
    ...(before === undefined ? {} : { after: before }),
  })
  const ns = found.slice(0, limit)
  const leaves = await readLeaves(db, bank, { at: ns.toReversed() })
  const older = found.length > limit ? ns.at(-1) : undefined
  return {
    entries: leaves.map((leaf) => readEntry(leaf)).toReversed(),
    ...(older === undefined ? {} : { older }),
  }
}

/** One entry about a consent. */
interface OfConsent {
  readonly consent: string
  readonly index: number
}

/** The tlog-proof that carries an entry about a consent; undefined where the entry is about another, or about none. */
export async function proveOfConsent(
  broker: Broker,
  bank: string,
  { consent, index }: OfConsent,
): Promise<string | undefined> {
  if (!(await isOfConsent(broker, bank, { consent, index }))) return undefined
  const signed = await checkpointOver(broker, bank, index)
  return (await proveWithEntry(broker, bank, { index, signed })).proof
}

/** The proof that such an entry is counted in the totals of the newest epoch; undefined, too, where no epoch covers it yet. */
export async function proveSumOfConsent(broker: Broker, bank: string, one: OfConsent) {
  return (await isOfConsent(broker, bank, one)) ? proveEntrySum(broker, bank, one.index) : undefined
}

async function isOfConsent(
  { db }: Broker,
  bank: string,
  { consent, index }: OfConsent,
): Promise<boolean> {
  const ledger = await findLedger(db, bank)
  if (ledger === undefined || index >= ledger.size) return false
  const [leaf] = await readLeaves(db, bank, { from: index, to: index + 1 })
  return leaf !== undefined && consentOf(readEntry(leaf)) === consent
}
