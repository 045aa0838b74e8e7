import type { Tx } from './database.ts'
import { revocableNames } from './token_ids.ts'

/** Whether an access token that opens a consent was revoked. For where nothing is released: a release asks under the lock. */
export async function isRevoked(tx: Tx, bank: string, jti: string): Promise<boolean> {
  const { rows } = await tx.raw<{ rows: unknown[] }>(
    'select from revoked_tokens where bank_id = ? and jti = any(?::text[])',
    [bank, revocableNames(jti)],
  )
  return rows.length > 0
}
