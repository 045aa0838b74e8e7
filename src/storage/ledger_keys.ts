import type { KeyOwner, Keys, KeyUse } from '../ledger/key.ts'
import { inBank, runNumbered, type Database, type Tx } from './database.ts'

/** The columns of `LedgerKeyRow`. */
export const ledgerKeyColumns = 'owner, key, use'

/** A key that was entered in a ledger, as every reader selects it. */
export interface LedgerKeyRow {
  readonly owner: KeyOwner
  readonly key: string
  readonly use: KeyUse
}

/** The keys of these rows, by owner. */
export function keysOf(rows: readonly LedgerKeyRow[]): Record<KeyOwner, Map<string, KeyUse>> {
  const of = (owner: KeyOwner) =>
    new Map(rows.filter((row) => row.owner === owner).map(({ key, use }) => [key, use]))
  return { ledger: of('ledger'), tokens: of('tokens') }
}

/** Saves what a key is for from now on. The values are the bank, the owner, the key and its use. */
export const saveKeySql = `
  insert into ledger_keys (bank_id, owner, key, use) values ($1, $2, $3, $4)
  on conflict (bank_id, owner, key) do update set use = excluded.use`

/** Saves a key without the door: where a ledger begins, or is rebuilt. */
export async function saveKey(
  tx: Tx,
  bank: string,
  { owner, key, use }: LedgerKeyRow,
): Promise<void> {
  await runNumbered(tx, saveKeySql, [bank, owner, key, use])
}

/** The keys of one owner as they were entered in a bank's ledger. */
export async function findLedgerKeys(db: Database, bank: string, owner: KeyOwner): Promise<Keys> {
  return inBank(db, bank, async (tx) => {
    const { rows } = await tx.raw<{ rows: LedgerKeyRow[] }>(
      `select ${ledgerKeyColumns} from ledger_keys where bank_id = ?`,
      [bank],
    )
    return keysOf(rows)[owner]
  })
}
