import type { Summary } from '../ledger/summary.ts'
import type { Totals } from '../ledger/totals.ts'
import type { SignedNote } from '../storage/cosignatures.ts'
import { epochFrom, findLedger, firstEntryFrom, newestEpoch } from '../storage/ledgers.ts'
import type { Broker } from './broker.ts'
import { proveWithEntry, type ProvenEntry } from './prove_entry.ts'
import { servedCheckpoint } from './served_checkpoint.ts'

/** The entries [from, to). */
export interface IndexRange {
  readonly from: number
  readonly to: number
}

/** The times [from, to), RFC 3339 UTC with milliseconds. */
export interface TimeRange {
  readonly from: string
  readonly to: string
}

/**
 * The public totals of a ledger: up to its newest signed epoch; or around a time, from the last epoch before it to the first after
 * it, or to the newest. Undefined where no epoch is signed, or none after the time began.
 */
export async function summariseEpochs(
  broker: Broker,
  bank: string,
  time?: TimeRange,
): Promise<Summary | undefined> {
  const { db } = broker
  const signed = await servedCheckpoint(broker, bank)
  if (signed === undefined) return undefined
  const asked =
    time === undefined
      ? { from: 0, to: signed.size }
      : await indicesOf(broker, bank, { time, signed })
  const before = time && (await newestEpoch(db, bank, asked.from))
  const reached = time && (await epochFrom(db, bank, { from: asked.to, size: signed.size }))
  const last = reached ?? (await newestEpoch(db, bank, signed.size))
  if (last === undefined || last.n === before?.n) return undefined
  return summaryOf(broker, bank, {
    ...{ signed, basis: 'epochs', range: { from: (before?.n ?? -1) + 1, to: last.n + 1 } },
    ...(time && { time, open_end: reached === undefined }),
  })
}

/** What the entries [from, to) amount to, for whoever may read them. Undefined where they are not all signed. */
export async function summariseEntries(
  broker: Broker,
  bank: string,
  range: IndexRange,
): Promise<Summary | undefined> {
  const signed = await servedCheckpoint(broker, bank)
  if (signed === undefined || range.from > range.to || range.to > signed.size) return undefined
  if (range.to === 0) return undefined
  return summaryOf(broker, bank, { signed, basis: 'entries', range })
}

/**
 * What the signed entries of a time amount to, and that it is all of them, for whoever may read them: under this checkpoint, or the
 * one that is served. Undefined before any is signed.
 */
export async function summariseTime(
  broker: Broker,
  bank: string,
  time: TimeRange,
  under?: SignedNote,
): Promise<Summary | undefined> {
  const signed = under ?? (await servedCheckpoint(broker, bank))
  if (signed === undefined) return undefined
  const range = await indicesOf(broker, bank, { time, signed })
  const open_end = range.to === signed.size
  return summaryOf(broker, bank, { signed, basis: 'entries', range, time, open_end })
}

/** The indices of the entries of a time: no entry is earlier than the one before it. */
async function indicesOf(
  { db }: Broker,
  bank: string,
  { time, signed: { size } }: { time: TimeRange; signed: SignedNote },
): Promise<IndexRange> {
  return {
    from: await firstEntryFrom(db, bank, { at: time.from, size }),
    to: await firstEntryFrom(db, bank, { at: time.to, size }),
  }
}

async function summaryOf(
  broker: Broker,
  bank: string,
  found: {
    signed: SignedNote
    basis: Summary['basis']
    range: IndexRange
    time?: TimeRange
    open_end?: boolean
  },
): Promise<Summary> {
  const { signed, basis, range, time, open_end = false } = found
  const { from, to } = range
  const neighbours = time !== undefined && basis === 'entries'
  const prove = (wanted: boolean, index: number) =>
    wanted ? proveWithEntry(broker, bank, { index, signed }) : undefined
  const [before, first, last, after] = await Promise.all([
    prove(from > 0, from - 1),
    prove(neighbours && from < to, from),
    prove(from < to, to - 1),
    prove(neighbours && to < signed.size, to),
  ])
  return {
    origin: await originOf(broker, bank),
    ...{ basis, from_index: from, to_index: to, ...time, open_end },
    totals: difference(last ?? before ?? after, from < to ? before : (last ?? before ?? after)),
    proofs: {
      ...(before && { before: before.proof }),
      ...(first && { first: first.proof }),
      ...(last && { last: last.proof }),
      ...(after && { after: after.proof }),
    },
  }
}

/** The origin of a bank's open ledger. */
export async function originOf({ db }: Broker, bank: string): Promise<string> {
  const ledger = await findLedger(db, bank)
  if (ledger === undefined) throw new Error(`no ledger is open for ${bank}`)
  return ledger.origin
}

const difference = (end: ProvenEntry | undefined, start: ProvenEntry | undefined): Totals =>
  Object.fromEntries(
    Object.entries(end?.entry.totals ?? {}).map(([name, total]) => [
      name,
      total - (start?.entry.totals[name] ?? 0),
    ]),
  )
