import { setTimeout as sleep } from 'node:timers/promises'
import { readEntry, type Entry, type Kind, type Reconciled } from '../ledger/entry.ts'
import { contradictionIn, type RangeReport, type Share } from '../ledger/range_report.ts'
import type { Summary } from '../ledger/summary.ts'
import { unproven } from '../ledger/unproven.ts'
import { countKinds, countReleases, lastOfApprovals } from '../storage/audit_counts.ts'
import { indexProgress } from '../storage/audit_index.ts'
import { searchEntries } from '../storage/audit_search.ts'
import { readLeaves } from '../storage/ledgers.ts'
import type { Broker } from './broker.ts'
import { enterAccess } from './enter_access.ts'
import { indexLedger } from './index_ledger.ts'
import { checkpointOver } from './prove_entry.ts'
import { summariseTime, type IndexRange, type TimeRange } from './summarise_ledger.ts'

/** A report cannot be made now, or not of so long a time; the message says why. */
export class NoReport extends Error {
  override readonly name = 'NoReport'
  readonly tooLarge: boolean

  constructor(why: string, { tooLarge = false } = {}) {
    super(why)
    this.tooLarge = tooLarge
  }
}

export const limits = {
  /** Refusals are counted from their entries, and others that a report lists are read: at most so many. */
  entries_read_max: 100_000,
  /** How long the index may take to come up to what is signed, ms, and how often that is tried. */
  index_ms_max: 2_000,
  index_retry_ms: 100,
} as const

/** Entries that are read at once: few, since the process that reads them answers requests too. */
const page_entries = 512

/**
 * A report of a time at a bank. That it is made is entered first, and signed, so that the ledger has an entry after the time, which
 * proves its end. Undefined before anything is signed. Throws `NoReport`, and what `enterAccess` throws.
 */
export async function reportRange(
  broker: Broker,
  bank: string,
  {
    time,
    auditor,
    read_max = limits.entries_read_max,
  }: {
    time: TimeRange
    auditor: string
    read_max?: number
  },
): Promise<RangeReport | undefined> {
  const { size } = await indexProgress(broker.db, bank)
  const access = await enterAccess(broker, bank, {
    ...{ actor: auditor, what: 'report', asked: { ...time }, size },
  })
  const signed = access.n === undefined ? undefined : await checkpointOver(broker, bank, access.n)
  const summary = await summariseTime(broker, bank, time, signed)
  if (summary === undefined) return undefined
  await indexUpTo(broker, bank, summary.to_index)
  const report: RangeReport = {
    ...{
      report: 1,
      bank,
      at: access.at,
      auditor,
      ...(access.n !== undefined && { access: access.n }),
    },
    summary,
    ...(await sharesOf(broker, bank, { summary, read_max })),
    unproven,
  }
  const contradiction = contradictionIn(report)
  if (contradiction !== undefined)
    throw new Error(`the report of ${bank} is wrong: ${contradiction}`)
  return report
}

/** Lets the index come up to these entries. */
async function indexUpTo(broker: Broker, bank: string, size: number): Promise<void> {
  for (let waited_ms = 0; ; waited_ms += limits.index_retry_ms) {
    await indexLedger(broker, bank)
    if ((await indexProgress(broker.db, bank)).size >= size) return
    if (waited_ms >= limits.index_ms_max) throw new NoReport('the index is behind the ledger')
    await sleep(limits.index_retry_ms)
  }
}

async function sharesOf(
  broker: Broker,
  bank: string,
  { summary, read_max }: { summary: Summary; read_max: number },
) {
  const range = { from: summary.from_index, to: summary.to_index }
  const refusals = new Map<string, Share>()
  await forEach(broker, bank, { kind: 'refusal', range, read_max }, ({ body }) => {
    const { client: recipient, class: named, reason: what, count } = body
    const name = JSON.stringify([recipient, named, what])
    const before = refusals.get(name)?.count ?? 0
    refusals.set(name, { recipient, class: named, what, count: before + count })
  })
  return {
    releases: await countReleases(broker.db, bank, range),
    refusals: [...refusals.values()].toSorted((a, b) => b.count - a.count),
    approvals: await approvalsAt(broker, bank, range.to),
    reconciliation: await reconciledIn(broker, bank, { range, read_max }),
    entries: await countKinds(broker.db, bank, {
      ...range,
      kinds: ['erasure', 'access', 'restore', 'key', 'policy'],
    }),
  }
}

/** The approvals that stand before an index. */
async function approvalsAt(
  { db }: Broker,
  bank: string,
  below: number,
): Promise<RangeReport['approvals']> {
  const at = await lastOfApprovals(db, bank, below)
  const leaves = await readLeaves(db, bank, { at })
  return leaves.map(readEntry).flatMap((entry) => {
    if (entry.kind !== 'recipient.approve') return []
    const { recipient, class: named, purposes, clusters } = entry.body
    return [{ recipient, class: named, purposes, clusters, index: entry.n }]
  })
}

async function reconciledIn(
  broker: Broker,
  bank: string,
  { range, read_max }: { range: IndexRange; read_max: number },
): Promise<RangeReport['reconciliation']> {
  const nothing = { released: 0, refused: 0, dropped: 0, offered: 0, unknown: 0, missing: 0 }
  const sums = { statements: 0, ...nothing }
  await forEach(broker, bank, { kind: 'reconcile', range, read_max }, ({ body }) => {
    sums.statements += 1
    for (const name of Object.keys(nothing) as (keyof Reconciled)[]) sums[name] += body[name]
  })
  return sums
}

/** Reads the entries of one kind in a range, in order. Throws `NoReport` where they are too many. */
async function forEach<K extends Kind>(
  { db }: Broker,
  bank: string,
  { kind, range, read_max }: { kind: K; range: IndexRange; read_max: number },
  see: (entry: Extract<Entry, { kind: K }>) => void,
): Promise<void> {
  const filter = { kind, from_index: range.from, to_index: range.to }
  const search = { filter, size: range.to, order: 'asc', limit: page_entries } as const
  for (let [read, after] = [0, range.from - 1]; ;) {
    const at = await searchEntries(db, bank, { ...search, after })
    read += at.length
    if (read > read_max)
      throw new NoReport(
        `there are more than ${read_max} entries of kind ${kind}: ask for less time`,
        {
          tooLarge: true,
        },
      )
    for (const leaf of await readLeaves(db, bank, { at }))
      see(readEntry(leaf) as Extract<Entry, { kind: K }>)
    if (at.length < page_entries) return
    after = at.at(-1) ?? range.to
  }
}
