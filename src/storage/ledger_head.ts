import type { Totals } from '../ledger/totals.ts'
import { sumEdgeToBytes, type SumEdge } from '../merkle/sum_tree.ts'
import { edgeToBytes, type RightEdge } from '../merkle/tree.ts'
import type { Tx } from './database.ts'

/** Where a ledger goes on from. */
export interface Head {
  readonly origin: string
  readonly vkey: string
  /** The time of its newest entry, RFC 3339. */
  readonly at: string
  readonly edge: RightEdge
  readonly sums: { readonly names: readonly string[]; readonly edge: SumEdge }
  readonly totals: Totals
  readonly closed: boolean
}

/** Begins a ledger in the database, with its lock held. False, and nothing done, when the bank has one already. */
export async function insertHead(tx: Tx, bank: string, head: Head): Promise<boolean> {
  await tx.raw('insert into ledger_locks (bank_id) values (?) on conflict do nothing', [bank])
  await tx.raw('select from ledger_locks where bank_id = ? for update', [bank])
  const { rowCount } = await tx.raw<{ rowCount: number }>(
    `insert into ledger_heads (bank_id, size, edge, sum_names, sum_edge, totals, at, origin, vkey, closed)
     values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     on conflict do nothing`,
    [
      bank,
      head.edge.size,
      Buffer.from(edgeToBytes(head.edge)),
      [...head.sums.names],
      Buffer.from(sumEdgeToBytes(head.sums.edge)),
      JSON.stringify(head.totals),
      head.at,
      head.origin,
      head.vkey,
      head.closed,
    ],
  )
  return rowCount === 1
}
