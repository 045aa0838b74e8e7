import type { Class } from '../consent/class.ts'
import { CanonicalError } from './canonical.ts'
import type { Reconciled } from './entry.ts'
import { isJsonObject } from './json_object.ts'
import { readSummary, type Summary } from './summary.ts'

/** How often, of whom and for what. `what` is the purpose of releases, and the reason of refusals. */
export interface Share {
  readonly recipient: string
  readonly class: string
  readonly what: string
  readonly count: number
}

/**
 * What happened at a bank in a time, for an examiner: `GET /audit/{bank}/report`. The summary proves the totals; the shares divide
 * them, and are checked to add up to them.
 */
export interface RangeReport {
  readonly report: 1
  readonly bank: string
  /** When it was made, RFC 3339, and for whom. */
  readonly at: string
  readonly auditor: string
  /** The index of the `access` entry that says that it was made; absent in a ledger that is closed. */
  readonly access?: number
  readonly summary: Summary
  readonly releases: readonly Share[]
  readonly refusals: readonly Share[]
  /** The approvals in force at the end. */
  readonly approvals: readonly {
    readonly recipient: string
    readonly class: Class
    readonly purposes: readonly string[]
    readonly clusters: readonly string[]
    /** The entry that it is in. */
    readonly index: number
  }[]
  /** What became of the requests that the bank stated, of statements reconciled in this time. */
  readonly reconciliation: Reconciled & { readonly statements: number }
  /** How many entries there are of the kinds that no total counts. */
  readonly entries: Readonly<Record<'erasure' | 'access' | 'restore' | 'key' | 'policy', number>>
  readonly unproven: readonly string[]
}

/** What of a report can be checked. */
export type CheckedReport = Pick<RangeReport, 'summary' | 'releases' | 'refusals'>

/** Reads what can be checked of a report, by its form alone. Throws `CanonicalError`. */
export function readReport(value: unknown): CheckedReport {
  if (!isJsonObject(value)) throw new CanonicalError('not a report')
  return {
    summary: readSummary(value['summary']),
    releases: sharesOf(value['releases'], 'releases'),
    refusals: sharesOf(value['refusals'], 'refusals'),
  }
}

function sharesOf(value: unknown, name: string): Share[] {
  const wrong = () => new CanonicalError(`${name} is missing, or not what it should be`)
  if (!Array.isArray(value)) throw wrong()
  return value.map((share: unknown) => {
    if (!isJsonObject(share)) throw wrong()
    const { recipient, class: named, what, count } = share
    if (typeof recipient !== 'string' || typeof named !== 'string' || typeof what !== 'string')
      throw wrong()
    if (typeof count !== 'number' || !Number.isSafeInteger(count) || count < 1) throw wrong()
    return { recipient, class: named, what, count }
  })
}

/** What shares of each class add up to where that is another number than the total says; undefined where none is. */
export function contradictionIn({
  summary: { totals },
  ...shares
}: CheckedReport): string | undefined {
  for (const what of ['releases', 'refusals'] as const) {
    const sums = new Map<string, number>()
    for (const { class: named, count } of shares[what])
      sums.set(`${what}_${named}`, (sums.get(`${what}_${named}`) ?? 0) + count)
    for (const [name, total] of Object.entries(totals))
      if (name.startsWith(`${what}_`) && total !== (sums.get(name) ?? 0))
        return `its shares of ${name} add up to ${sums.get(name) ?? 0}, and the total is ${total}`
    for (const name of sums.keys())
      if (totals[name] === undefined) return `it has shares of ${name}, and no such total`
  }
  return undefined
}
