import type { EntryFacts, Facet } from '../ledger/facts.ts'
import { inBank, type Database, type Tx } from './database.ts'

/** An entry and what it is found by. `at` is RFC 3339 UTC. */
export interface IndexedEntry extends EntryFacts {
  readonly n: number
  readonly at: string
}

/** How far a ledger is indexed, and is signed. */
export interface IndexProgress {
  readonly size: number
  readonly signed: number
  /** The time of the last entry that is indexed, RFC 3339; undefined before the first. */
  readonly at?: string
  /** How long signed entries have waited to be indexed while the index did not move, ms; 0 when none wait. */
  readonly lag_ms: number
  readonly clearing: boolean
}

/** Rows removed in one transaction while an index is cleared. */
const clear_rows = 20_000

/** How far a bank's ledger is indexed. */
export async function indexProgress(db: Database, bank: string): Promise<IndexProgress> {
  return inBank(db, bank, (tx) => readProgress(tx, bank))
}

async function readProgress(tx: Tx, bank: string): Promise<IndexProgress> {
  const { rows } = await tx.raw<{ rows: ProgressRow[] }>(
    `select p.size, s.signed, p.clearing, case when isfinite(p.at) then p.at end as at,
       case when coalesce(p.size, 0) >= s.signed then 0
         else greatest(0, floor(extract(epoch from clock_timestamp()
           - greatest(p.moved_at, (select e.at from entries e where e.bank_id = :bank and e.n = coalesce(p.size, 0)))) * 1000)) end as lag_ms
     from (select coalesce(max(size), 0) as signed from ledger_signed where bank_id = :bank) s
     left join audit_progress p on p.bank_id = :bank`,
    { bank },
  )
  const row = rows[0]
  return {
    size: Number(row?.size ?? 0),
    signed: Number(row?.signed ?? 0),
    ...(row?.at ? { at: row.at.toISOString() } : {}),
    lag_ms: Number(row?.lag_ms ?? 0),
    clearing: row?.clearing ?? false,
  }
}

interface ProgressRow {
  size: string | null
  signed: string
  at: Date | null
  lag_ms: string
  clearing: boolean | null
}

/** Whether this process was the one to index these entries, which begin where the index ended: else another one did. */
export async function insertIndexed(
  db: Database,
  bank: string,
  entries: readonly IndexedEntry[],
): Promise<boolean> {
  const [first, last] = [entries[0], entries.at(-1)]
  if (first === undefined || last === undefined) return true
  return inBank(db, bank, async (tx) => {
    if (!(await lockAt(tx, bank, first.n))) return false
    const facets = await facetIds(
      tx,
      bank,
      entries.map(({ facet }) => facet),
    )
    await insertEntries(tx, bank, entries, facets)
    await countHours(tx, bank, entries)
    await tx.raw(
      'update audit_progress set size = ?, at = ?, moved_at = clock_timestamp() where bank_id = ?',
      [last.n + 1, last.at, bank],
    )
    return true
  })
}

/** Waits for nobody: whoever finds the row locked, or elsewhere, leaves the work to the other. */
async function lockAt(tx: Tx, bank: string, size: number): Promise<boolean> {
  await tx.raw('insert into audit_progress (bank_id) values (?) on conflict do nothing', [bank])
  const { rowCount } = await tx.raw<{ rowCount: number }>(
    'select from audit_progress where bank_id = ? and size = ? and not clearing for update skip locked',
    [bank, size],
  )
  return rowCount === 1
}

const nameOf = (facet: Facet): string =>
  JSON.stringify([
    ...[facet.kind, facet.code, facet.recipient ?? null, facet.class ?? null],
    ...[facet.purpose ?? null, facet.clusters ?? [], facet.reason ?? null, facet.actor ?? null],
  ])

/** The ids of facets by their names, new ones included. */
async function facetIds(
  tx: Tx,
  bank: string,
  facets: readonly Facet[],
): Promise<ReadonlyMap<string, number>> {
  const wanted = [...new Map(facets.map((facet) => [nameOf(facet), facet])).keys()]
  const find = async () => {
    const { rows } = await tx.raw<{ rows: { facet: string; id: number }[] }>(
      'select facet, id from audit_facets where bank_id = ? and facet = any(?::text[])',
      [bank, wanted],
    )
    return new Map(rows.map(({ facet, id }) => [facet, id]))
  }
  const known = await find()
  const missing = wanted.filter((name) => !known.has(name))
  if (missing.length === 0) return known
  await tx.raw(
    `insert into audit_facets (bank_id, facet, kind, code, recipient, class, purpose, clusters, reason, actor)
     select ?, f.facet, f.parts ->> 0, f.parts ->> 1, f.parts ->> 2, f.parts ->> 3, f.parts ->> 4,
       array(select jsonb_array_elements_text(f.parts -> 5)), f.parts ->> 6, f.parts ->> 7
     from (select facet, facet::jsonb as parts from unnest(?::text[]) as g(facet)) f
     on conflict do nothing`,
    [bank, missing],
  )
  return find()
}

async function insertEntries(
  tx: Tx,
  bank: string,
  entries: readonly IndexedEntry[],
  facets: ReadonlyMap<string, number>,
): Promise<void> {
  const facetOf = ({ facet }: IndexedEntry) => facets.get(nameOf(facet)) ?? null
  const uses = entries.flatMap(({ n, interactions }) =>
    [...new Set(interactions)].map((interaction) => ({ n, interaction })),
  )
  await tx.raw(
    `with entered as (
       insert into audit_entries (bank_id, n, at, facet, consent_id)
       select :bank, n, at, facet, consent_id
       from unnest(cast(:ns as bigint[]), cast(:ats as timestamptz[]), cast(:facets as integer[]), cast(:consents as text[]))
         as e(n, at, facet, consent_id)
     )
     insert into audit_interactions (bank_id, interaction, n)
     select :bank, interaction, n from unnest(cast(:interactions as uuid[]), cast(:uses as bigint[])) as i(interaction, n)`,
    {
      bank,
      ns: entries.map(({ n }) => n),
      ats: entries.map(({ at }) => at),
      facets: entries.map(facetOf),
      consents: entries.map(({ consent }) => consent ?? null),
      interactions: uses.map(({ interaction }) => interaction),
      uses: uses.map(({ n }) => n),
    },
  )
}

/** Adds releases and refusals to the counts of their hour. */
async function countHours(tx: Tx, bank: string, entries: readonly IndexedEntry[]): Promise<void> {
  const counts = new Map<string, number>()
  for (const { at, facet, count } of entries) {
    const { kind, class: ofClass = '', purpose = '', recipient = '', reason = '' } = facet
    if (kind !== 'release' && kind !== 'refusal') continue
    const row = JSON.stringify([
      `${at.slice(0, 13)}:00:00Z`,
      kind,
      ofClass,
      purpose,
      recipient,
      reason,
    ])
    counts.set(row, (counts.get(row) ?? 0) + count)
  }
  if (counts.size === 0) return
  await tx.raw(
    `insert into audit_hours as h (bank_id, hour, direction, class, purpose, recipient, reason, count)
     select ?, cast(r.parts ->> 0 as timestamptz), r.parts ->> 1, r.parts ->> 2, r.parts ->> 3, r.parts ->> 4, r.parts ->> 5, r.count
     from (select row::jsonb as parts, count from unnest(?::text[], ?::bigint[]) as g(row, count)) r
     on conflict (bank_id, hour, direction, class, purpose, recipient, reason) do update set count = h.count + excluded.count`,
    [bank, [...counts.keys()], [...counts.values()]],
  )
}

/** Begins the index anew: it counts as empty from now on, is cleared by `clearSome`, and then grows again. */
export async function restartIndex(db: Database, bank: string): Promise<void> {
  await inBank(db, bank, (tx) =>
    tx.raw(
      `insert into audit_progress (bank_id, clearing) values (?, true)
       on conflict (bank_id) do update set size = 0, at = '-infinity', moved_at = clock_timestamp(), clearing = true`,
      [bank],
    ),
  )
}

/** Removes some rows of an index that is being cleared. True when nothing is left, and it can grow again. */
export async function clearSome(db: Database, bank: string): Promise<boolean> {
  return inBank(db, bank, async (tx) => {
    const locked = await tx.raw<{ rowCount: number }>(
      'select from audit_progress where bank_id = ? and clearing for update skip locked',
      [bank],
    )
    if (locked.rowCount !== 1) return true
    let left = clear_rows
    for (const table of ['audit_entries', 'audit_interactions', 'audit_hours', 'audit_facets']) {
      const { rowCount } = await tx.raw<{ rowCount: number }>(
        `delete from ${table} where bank_id = ? and ctid = any(array(select ctid from ${table} where bank_id = ? limit ?))`,
        [bank, bank, left],
      )
      left -= rowCount
      if (left === 0) break
    }
    await tx.raw(
      'update audit_progress set clearing = ?, moved_at = clock_timestamp() where bank_id = ?',
      [left === 0, bank],
    )
    return left > 0
  })
}
