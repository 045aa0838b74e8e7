import type { AuditFilter } from '../ledger/audit_filter.ts'
import { inBank, type Database, type Tx } from './database.ts'

/** Members of a filter that combinations of facts are found by. */
const ofFacets = {
  kind: 'kind = :kind',
  code: 'code = :code',
  recipient: 'recipient = :recipient',
  class: 'class = :class',
  purpose: 'purpose = :purpose',
  cluster: ':cluster = any(clusters)',
  reason: 'reason = :reason',
  actor: 'actor = :actor',
} as const

/** The index is being made anew, and does not yet reach as far as is asked. */
export class IndexBehind extends Error {
  override readonly name = 'IndexBehind'
}

export type Order = 'asc' | 'desc'

/** Which entries, of the first `size`, in which order, after which one, and how many at most. */
export interface Search {
  readonly filter: AuditFilter
  readonly size: number
  readonly order: Order
  readonly after?: number
  readonly limit: number
}

/**
 * The range of indexes [low, high) that a search is confined to, by index, by time, and by where it goes on. Throws `IndexBehind`
 * when the first `size` entries are not all indexed.
 */
async function boundsOf(
  tx: Tx,
  bank: string,
  { filter, size, order, after }: Omit<Search, 'limit'>,
): Promise<{ low: number; high: number }> {
  const { rows } = await tx.raw<{ rows: BoundsRow[] }>(
    `select (select p.size from audit_progress p where p.bank_id = :bank and p.size >= :size) as indexed,
       case when cast(:from as text) is not null then audit_first_at(:bank, cast(:from as timestamptz), :size) end as low,
       case when cast(:to as text) is not null then audit_first_at(:bank, cast(:to as timestamptz), :size) end as high`,
    { bank, size, from: filter.from ?? null, to: filter.to ?? null },
  )
  if (size > 0 && rows[0]?.indexed === null)
    throw new IndexBehind('what entries are found by is being made anew')
  const [low = 0, high = size] = [rows[0]?.low ?? undefined, rows[0]?.high ?? undefined].map(
    (bound) => (bound === undefined ? undefined : Number(bound)),
  )
  const goneTo = after === undefined ? {} : order === 'asc' ? { low: after + 1 } : { high: after }
  return {
    low: Math.max(low, filter.from_index ?? 0, goneTo.low ?? 0),
    high: Math.min(high, filter.to_index ?? size, size, goneTo.high ?? size),
  }
}

/** The same, by itself. */
export const readBounds = (
  db: Database,
  bank: string,
  search: Omit<Search, 'limit'>,
): Promise<{ low: number; high: number }> => inBank(db, bank, (tx) => boundsOf(tx, bank, search))

interface BoundsRow {
  indexed: string | null
  low: string | null
  high: string | null
}

/** The indexes of the entries that a search finds. Throws `IndexBehind`. */
export async function searchEntries(db: Database, bank: string, search: Search): Promise<number[]> {
  return inBank(db, bank, async (tx) => {
    const bounds = await boundsOf(tx, bank, search)
    if (bounds.low >= bounds.high) return []
    const facets = await facetsOf(tx, bank, search.filter)
    if (facets?.length === 0) return []
    const { sql, bindings } = searchStatement(bank, { ...search, ...bounds, facets })
    const { rows } = await tx.raw<{ rows: { n: string }[] }>(sql, bindings)
    return rows.map(({ n }) => Number(n))
  })
}

/** The combinations of facts that a filter admits; undefined when it admits all of them. */
export async function facetsOf(
  tx: Tx,
  bank: string,
  filter: AuditFilter,
): Promise<number[] | undefined> {
  const names = (Object.keys(ofFacets) as (keyof typeof ofFacets)[]).filter(
    (name) => filter[name] !== undefined,
  )
  if (names.length === 0) return undefined
  const { rows } = await tx.raw<{ rows: { id: number }[] }>(
    `select id from audit_facets where bank_id = :bank and ${names.map((name) => ofFacets[name]).join(' and ')}`,
    { bank, ...Object.fromEntries(names.map((name) => [name, filter[name]])) },
  )
  return rows.map(({ id }) => id)
}

/** More rows are not merged: so many combinations are common ones, which are found along the ledger itself. */
const merged_rows_max = 20_000

/**
 * The statement of a search. One for facts alone merges a short scan for each combination of them, so it takes as long in a
 * ledger of a million entries as in one of ten thousand, however rare or common what is asked for is.
 */
export function searchStatement(
  bank: string,
  search: Pick<Search, 'filter' | 'order' | 'limit'> & {
    readonly low: number
    readonly high: number
    readonly facets: readonly number[] | undefined
  },
): { sql: string; bindings: Record<string, string | number | readonly number[]> } {
  const { filter, order, limit, low, high, facets } = search
  const { consent, interaction } = filter
  const range = (of: string) =>
    `${of}.bank_id = :bank and ${of}.n >= :low and ${of}.n < :high order by ${of}.n ${order} limit :limit`
  const among = facets === undefined ? '' : 'e.facet = any(:facets::integer[]) and '
  const bindings = { bank, low, high, limit, ...(facets && { facets }) }
  if (interaction !== undefined)
    return {
      sql: `select i.n from audit_interactions i join audit_entries e on e.bank_id = i.bank_id and e.n = i.n
        where i.interaction = cast(:interaction as uuid) and ${consent === undefined ? '' : 'e.consent_id = :consent and '}${among}${range('i')}`,
      bindings: { ...bindings, interaction, ...(consent !== undefined && { consent }) },
    }
  if (consent !== undefined)
    return {
      sql: `select e.n from audit_entries e where e.consent_id = :consent and ${among}${range('e')}`,
      bindings: { ...bindings, consent },
    }
  if (facets !== undefined && facets.length * limit <= merged_rows_max)
    return {
      sql: `select found.n from unnest(:facets::integer[]) as f(id)
        cross join lateral (select e.n from audit_entries e where e.facet = f.id and ${range('e')}) found
        order by found.n ${order} limit :limit`,
      bindings,
    }
  return { sql: `select e.n from audit_entries e where ${among}${range('e')}`, bindings }
}

/** Whether an entry is found under a consent. */
export async function isIndexedUnder(
  db: Database,
  bank: string,
  { consent, n }: { consent: string; n: number },
): Promise<boolean> {
  return inBank(db, bank, async (tx) => {
    const { rows } = await tx.raw<{ rows: unknown[] }>(
      'select from audit_entries where bank_id = ? and n = ? and consent_id = ?',
      [bank, n, consent],
    )
    return rows.length > 0
  })
}
