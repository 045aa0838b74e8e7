import { edgeFromBytes, edgeToBytes, type RightEdge } from '../merkle/tree.ts'
import { inBank, type Database } from './database.ts'

/** The newest export of a ledger to an archive, how old it is, and how many entries are signed by now. */
export interface ExportProgress {
  readonly edge: RightEdge
  readonly age_ms: number
}

/** How far a bank's ledger was exported to a place; undefined when it never was. */
export async function newestExport(
  db: Database,
  bank: string,
  place: string,
): Promise<ExportProgress | undefined> {
  return inBank(db, bank, async (tx) => {
    const { rows } = await tx.raw<{ rows: { size: string; edge: Buffer; age_ms: string }[] }>(
      `select size, edge, floor(extract(epoch from clock_timestamp() - at) * 1000)::bigint as age_ms
       from exports where bank_id = ? and place = ? order by size desc limit 1`,
      [bank, place],
    )
    const row = rows[0]
    if (row === undefined) return undefined
    return { edge: edgeFromBytes(Number(row.size), row.edge), age_ms: Number(row.age_ms) }
  })
}

/** Notes an export that is complete. Several processes may have done the same one. */
export async function addExport(
  db: Database,
  bank: string,
  { place, edge }: { place: string; edge: RightEdge },
): Promise<void> {
  await inBank(db, bank, (tx) =>
    tx.raw(
      'insert into exports (bank_id, place, size, edge) values (?, ?, ?, ?) on conflict do nothing',
      [bank, place, edge.size, Buffer.from(edgeToBytes(edge))],
    ),
  )
}
