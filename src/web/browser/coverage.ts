import type { ListedEntry } from './api.ts'

/** What a bank's signed statements, and what the ledger made of them, amount to over a range of time. */
export interface Coverage {
  readonly statements: number
  readonly reconciled: number
  readonly requests: number
  /** Stated, and never asked: one too many. */
  readonly unknown: number
  /** Released, and not stated: one too few. */
  readonly missing: number
  readonly dropped: number
  /** Spans of the range that no statement covers, in order. */
  readonly gaps: readonly { readonly from: string; readonly to: string }[]
  /** The entries that report a mismatch. */
  readonly mismatches: readonly number[]
}

const numberIn = ({ body }: ListedEntry, name: string): number => {
  const value = body[name]
  return typeof value === 'number' ? value : 0
}

const textIn = ({ body }: ListedEntry, name: string): string => {
  const value = body[name]
  return typeof value === 'string' ? value : ''
}

/** Adds up the `statement` and `reconcile` entries of a range. */
export function coverageOf(
  { statements, reconciles }: Readonly<Record<'statements' | 'reconciles', readonly ListedEntry[]>>,
  range: { readonly from: string; readonly to: string },
): Coverage {
  const sum = (name: string) =>
    reconciles.reduce((total, entry) => total + numberIn(entry, name), 0)
  return {
    statements: statements.length,
    reconciled: reconciles.length,
    requests: statements.reduce((total, entry) => total + numberIn(entry, 'count'), 0),
    unknown: sum('unknown'),
    missing: sum('missing'),
    dropped: sum('dropped'),
    gaps: gapsIn(
      statements.map((entry) => ({ from: textIn(entry, 'from'), to: textIn(entry, 'to') })),
      range,
    ),
    mismatches: reconciles
      .filter((entry) => numberIn(entry, 'unknown') + numberIn(entry, 'missing') > 0)
      .map(({ n }) => n),
  }
}

/** What of a range none of these spans covers. Times are RFC 3339 UTC with milliseconds, so text order is time order. */
export function gapsIn(
  spans: readonly { readonly from: string; readonly to: string }[],
  { from, to }: { readonly from: string; readonly to: string },
): { from: string; to: string }[] {
  const gaps: { from: string; to: string }[] = []
  let reached = from
  for (const span of spans.toSorted((a, b) => (a.from < b.from ? -1 : 1))) {
    if (span.from >= to) break
    if (span.from > reached) gaps.push({ from: reached, to: span.from })
    if (span.to > reached) reached = span.to
  }
  if (reached < to) gaps.push({ from: reached, to })
  return gaps
}
