import type { KeyOwner, Keys, KeyUse } from '../ledger/key.ts'
import { inBank, type Database } from './database.ts'

/** A row of `ledger_keys`, as the door and everyone else select it. */
export interface LedgerKeyRow {
  readonly owner: KeyOwner
  readonly key: string
  readonly use: KeyUse
}

export const ledgerKeysSql = 'select owner, key, use from ledger_keys where bank_id = $1'

/** The keys of these rows, by owner. */
export function keysOf(rows: readonly LedgerKeyRow[]): Record<KeyOwner, Map<string, KeyUse>> {
  const of = (owner: KeyOwner) =>
    new Map(rows.filter((row) => row.owner === owner).map(({ key, use }) => [key, use]))
  return { ledger: of('ledger'), tokens: of('tokens') }
}

/** The keys of one owner as they were entered in a bank's ledger. */
export async function findLedgerKeys(db: Database, bank: string, owner: KeyOwner): Promise<Keys> {
  return inBank(db, bank, async (tx) => {
    const { rows } = await tx.raw<{ rows: LedgerKeyRow[] }>(ledgerKeysSql.replace('$1', '?'), [
      bank,
    ])
    return keysOf(rows)[owner]
  })
}
