import { classNames } from '../consent/class.ts'
import type { Draft } from './entry.ts'

/**
 * Running counts, carried by every entry and including it: a versioned, pure function of the entries (version 1). So the
 * claim "N releases, 0 to advertising" at a size is one inclusion proof, and a false count is shown by two adjacent entries.
 */
export type Totals = Readonly<Record<string, number>>

/** The totals of version 1, in canonical order. A `policy` entry may append others, which start at zero. */
export const totalNames: readonly string[] = [
  'expiries',
  'grants',
  ...classNames.map((name) => `refusals_${name}`),
  ...classNames.map((name) => `releases_${name}`),
  'replaces',
  'revocations',
].toSorted()

export const noTotals: Totals = Object.fromEntries(totalNames.map((name) => [name, 0]))

/** Which total an entry raises, and by how much; undefined for an entry that raises none. */
export function delta(draft: Draft): { name: string; by: number } | undefined {
  switch (draft.kind) {
    case 'release':
      return { name: `releases_${draft.body.to}`, by: 1 }
    case 'refusal':
      return { name: `refusals_${draft.body.class}`, by: draft.body.count }
    case 'consent.grant':
      return { name: 'grants', by: 1 }
    case 'consent.replace':
      return { name: 'replaces', by: 1 }
    case 'consent.revoke':
      return { name: 'revocations', by: 1 }
    case 'consent.expire':
      return { name: 'expiries', by: 1 }
    default:
      return undefined
  }
}

/** What an entry counts, of each of these totals: the sums of its leaf in the sum tree. */
export function countsOf(names: readonly string[], draft: Draft): number[] {
  const counts = names.map(() => 0)
  const raised = delta(draft)
  const at = raised === undefined ? -1 : names.indexOf(raised.name)
  if (raised !== undefined && at >= 0) counts[at] = raised.by
  return counts
}

/** The totals after an entry, given those before it. */
export function addTotals(before: Totals, draft: Draft): Totals {
  const raised = delta(draft)
  if (raised === undefined) return before
  return { ...before, [raised.name]: (before[raised.name] ?? 0) + raised.by }
}
