import { classNames, type Class } from '../consent/class.ts'

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

/** The part of an entry that the totals depend on. */
export type Counted =
  | { kind: 'release'; body: { to: Class } }
  | { kind: 'refusal'; body: { class: Class; count: number } }
  | { kind: string; body: object }

const countOf: Readonly<Record<string, string>> = {
  'consent.grant': 'grants',
  'consent.replace': 'replaces',
  'consent.revoke': 'revocations',
  'consent.expire': 'expiries',
}

/** Which total an entry raises, and by how much; undefined for an entry that raises none. */
export function delta(entry: Counted): { name: string; by: number } | undefined {
  if (entry.kind === 'release' && 'to' in entry.body)
    return { name: `releases_${entry.body.to}`, by: 1 }
  if (entry.kind === 'refusal' && 'count' in entry.body)
    return { name: `refusals_${entry.body.class}`, by: entry.body.count }
  const name = countOf[entry.kind]
  return name === undefined ? undefined : { name, by: 1 }
}

/** The totals after an entry, given those before it. */
export function addTotals(before: Totals, entry: Counted): Totals {
  const raised = delta(entry)
  if (raised === undefined) return before
  return { ...before, [raised.name]: (before[raised.name] ?? 0) + raised.by }
}
