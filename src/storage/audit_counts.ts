import { facetsOf } from './audit_search.ts'
import { inBank, type Database } from './database.ts'

/** The entries [from, to), as far as they are indexed. */
interface Range {
  readonly from: number
  readonly to: number
}

/** How many releases there are in a range, by what they share. */
export async function countReleases(
  db: Database,
  bank: string,
  { from, to }: Range,
): Promise<{ recipient: string; class: string; what: string; count: number }[]> {
  return inBank(db, bank, async (tx) => {
    const facets = await facetsOf(tx, bank, { kind: 'release' })
    const { rows } = await tx.raw<{
      rows: { recipient: string; class: string; what: string; count: string }[]
    }>(
      `select f.recipient, f.class, f.purpose as what, sum(c.count) as count
       from unnest(cast(:facets as integer[])) as wanted(id)
       cross join lateral (
         select count(*) as count from audit_entries e
         where e.bank_id = :bank and e.facet = wanted.id and e.n >= :from and e.n < :to
       ) c
       join audit_facets f on f.bank_id = :bank and f.id = wanted.id
       where c.count > 0 group by 1, 2, 3 order by 4 desc, 1, 2, 3`,
      { bank, from, to, facets: facets ?? [] },
    )
    return rows.map((row) => ({ ...row, count: Number(row.count) }))
  })
}

/** How many entries of each of some kinds there are in a range. */
export async function countKinds<Kind extends string>(
  db: Database,
  bank: string,
  { kinds, from, to }: Range & { kinds: readonly Kind[] },
): Promise<Readonly<Record<Kind, number>>> {
  return inBank(db, bank, async (tx) => {
    const { rows } = await tx.raw<{ rows: { kind: string; count: string }[] }>(
      `select f.kind, sum(c.count) as count from audit_facets f
       cross join lateral (
         select count(*) as count from audit_entries e
         where e.bank_id = :bank and e.facet = f.id and e.n >= :from and e.n < :to
       ) c
       where f.bank_id = :bank and f.kind = any(cast(:kinds as text[])) group by 1`,
      { bank, from, to, kinds: [...kinds] },
    )
    const found = new Map(rows.map(({ kind, count }) => [kind, Number(count)]))
    return Object.fromEntries(kinds.map((kind) => [kind, found.get(kind) ?? 0])) as Record<
      Kind,
      number
    >
  })
}

/** For each recipient, the last entry below an index that approves or suspends it. */
export async function lastOfApprovals(
  db: Database,
  bank: string,
  below: number,
): Promise<number[]> {
  return inBank(db, bank, async (tx) => {
    const { rows } = await tx.raw<{ rows: { n: string }[] }>(
      `select max(last.n) as n from audit_facets f
       cross join lateral (
         select e.n from audit_entries e where e.bank_id = :bank and e.facet = f.id and e.n < :below order by e.n desc limit 1
       ) last
       where f.bank_id = :bank and f.kind in ('recipient.approve', 'recipient.suspend') group by f.recipient order by 1`,
      { bank, below },
    )
    return rows.map(({ n }) => Number(n))
  })
}
