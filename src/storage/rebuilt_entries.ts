import type { SumNode } from '../merkle/sum_tree.ts'
import type { Subtree } from '../merkle/tree.ts'
import { inBank, type Database } from './database.ts'

/** An entry as it is stored, with what it adds to the trees. */
export interface RebuiltEntry {
  readonly n: number
  readonly kind: string
  readonly at: string
  readonly consent: string | undefined
  readonly leaf: Uint8Array
  readonly hash: Uint8Array
  readonly raised: { readonly total: number; readonly by: number } | undefined
}

/** Stores entries of a ledger that has no head yet. Those that an interrupted attempt stored stay as they are. */
export async function insertRebuilt(
  db: Database,
  bank: string,
  {
    entries,
    subtrees,
  }: {
    entries: readonly RebuiltEntry[]
    subtrees: readonly (Subtree & { readonly sum: SumNode })[]
  },
): Promise<void> {
  const bytes = (one: Uint8Array) => Buffer.from(one)
  await inBank(db, bank, async (tx) => {
    await tx.raw(
      `with written as (
         select n, kind, at, consent_id, leaf, hash, total, raised_by
         from unnest(?::bigint[], ?::text[], ?::timestamptz[], ?::text[], ?::bytea[], ?::bytea[], ?::smallint[], ?::bigint[])
           as e(n, kind, at, consent_id, leaf, hash, total, raised_by)
       ), entered as (
         insert into entries (bank_id, n, kind, at, consent_id, leaf)
         select ?, n, kind, at, consent_id, leaf from written on conflict do nothing
       )
       insert into leaf_hashes (bank_id, n, hash, total, raised_by)
       select ?, n, hash, total, raised_by from written on conflict do nothing`,
      [
        entries.map(({ n }) => n),
        entries.map(({ kind }) => kind),
        entries.map(({ at }) => at),
        nullable(entries.map(({ consent }) => consent ?? null)),
        entries.map(({ leaf }) => bytes(leaf)),
        entries.map(({ hash }) => bytes(hash)),
        nullable(entries.map(({ raised }) => raised?.total ?? null)),
        nullable(entries.map(({ raised }) => raised?.by ?? null)),
        bank,
        bank,
      ],
    )
    await tx.raw(
      `insert into subtree_hashes (bank_id, level, i, hash, sum)
       select ?, level, i, hash, sum from unnest(?::smallint[], ?::bigint[], ?::bytea[], ?::bytea[]) as s(level, i, hash, sum)
       on conflict do nothing`,
      [
        bank,
        subtrees.map(({ level }) => level),
        subtrees.map(({ index }) => index),
        subtrees.map(({ hash }) => bytes(hash)),
        subtrees.map(({ sum }) => bytes(sum)),
      ],
    )
  })
}

/** Knex knows no arrays with nulls in them. */
const nullable = (values: readonly unknown[]) => values as string[]
