import { consentOf, readEntry, type Entry } from '../ledger/entry.ts'
import type { SumProof } from '../ledger/summary.ts'
import { indexProgress } from '../storage/audit_index.ts'
import type { Broker } from './broker.ts'
import { entriesPage } from './entries_page.ts'
import { proveWholeEntry } from './prove_entry.ts'
import { proveEntrySum } from './prove_sums.ts'

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
    entries: found.map(({ leaf }) => readEntry(leaf)),
    ...(last === undefined ? {} : { older: last }),
    ...(size < signed ? { behind: size } : {}),
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
  const proven = await proveWholeEntry(broker, { bank, index })
  return proven !== undefined && consentOf(proven.entry) === consent ? proven.proof : undefined
}

/** The proof that such an entry is counted in the totals of the newest epoch; undefined, too, where no epoch covers it yet. */
export async function proveSumOfConsent(
  broker: Broker,
  bank: string,
  one: OfConsent,
): Promise<SumProof | undefined> {
  const isIts = (await proveOfConsent(broker, bank, one)) !== undefined
  return isIts ? proveEntrySum(broker, bank, one.index) : undefined
}
