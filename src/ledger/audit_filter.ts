import type { EntryFacts, Facet } from './facts.ts'

/** What entries may be asked for by, in any combination; all of it must hold. Ranges hold their start and not their end. */
export interface AuditFilter {
  readonly consent?: string
  /** A UUID in lower case, of the recipient's request or of one that the bank saw. */
  readonly interaction?: string
  readonly kind?: string
  readonly code?: string
  readonly recipient?: string
  readonly class?: string
  readonly purpose?: string
  /** A data cluster, alone or among others. */
  readonly cluster?: string
  readonly reason?: string
  readonly actor?: string
  /** RFC 3339 in UTC with milliseconds. */
  readonly from?: string
  readonly to?: string
  readonly from_index?: number
  readonly to_index?: number
}

/** Members that say where in the ledger to look, and not for what: a filter of these alone leaves nothing out. */
const ranges: readonly string[] = ['from', 'to', 'from_index', 'to_index']

/** Members of a filter that are those of the facts which entries share. */
const shared = [
  'kind',
  'code',
  'recipient',
  'class',
  'purpose',
  'reason',
  'actor',
] as const satisfies readonly (keyof Facet)[]

/** Whether a filter asks for all entries of a range. */
export const isWhole = (filter: AuditFilter): boolean =>
  Object.entries(filter).every(([name, value]) => value === undefined || ranges.includes(name))

/** Whether an entry is one that a filter asks for, as far as the entry itself can tell. */
export function admits(
  filter: AuditFilter,
  { n, facts }: { n: number; facts: EntryFacts },
): boolean {
  const { consent, interaction, cluster, from, to, from_index: first, to_index: end } = filter
  const { facet, at = '' } = facts
  return (
    (consent === undefined || consent === facts.consent) &&
    (interaction === undefined || facts.interactions.includes(interaction)) &&
    (cluster === undefined || (facet.clusters ?? []).includes(cluster)) &&
    shared.every((name) => filter[name] === undefined || filter[name] === facet[name]) &&
    (from === undefined || at >= from) &&
    (to === undefined || at < to) &&
    (first === undefined || n >= first) &&
    (end === undefined || n < end)
  )
}
