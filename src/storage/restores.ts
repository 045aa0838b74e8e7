import { inBank, type Database, type Tx } from './database.ts'

/** How far the rebuilding of a bank's ledger has come, and what it is rebuilt to. */
export interface Restore {
  readonly phase: 'begun' | 'rebuilt' | 'finished'
  readonly size: number
  readonly note: string
}

/** The newest step of the rebuilding of a bank's ledger; undefined when it was never begun. */
export async function findRestore(db: Database, bank: string): Promise<Restore | undefined> {
  return inBank(db, bank, async (tx) => {
    const { rows } = await tx.raw<{ rows: (Omit<Restore, 'size'> & { size: string })[] }>(
      `select phase, size, note from restores where bank_id = ?
       order by phase = 'finished' desc, phase = 'rebuilt' desc, at desc limit 1`,
      [bank],
    )
    return rows[0] && { ...rows[0], size: Number(rows[0].size) }
  })
}

/** Notes a step. Noting it twice is noting it once. */
export async function addRestore(tx: Tx, bank: string, step: Restore): Promise<void> {
  await tx.raw(
    'insert into restores (bank_id, phase, size, note) values (?, ?, ?, ?) on conflict do nothing',
    [bank, step.phase, step.size, step.note],
  )
}

/** Where a bank has rows of its own: the tables that must be empty before a ledger is rebuilt. */
export async function occupiedTables(db: Database, bank: string): Promise<string[]> {
  return inBank(db, bank, async (tx) => {
    const found: string[] = []
    for (const table of ['ledger_heads', 'entries', 'consents', 'links', 'link_keys'] as const) {
      const { rows } = await tx.raw<{ rows: unknown[] }>(
        `select from ${table} where bank_id = ? limit 1`,
        [bank],
      )
      if (rows.length > 0) found.push(table)
    }
    return found
  })
}
