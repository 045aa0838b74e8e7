import type { Tx } from './database.ts'

/** Revokes an access token by its `jti`, which `append` reads; kept until the token would have expired by itself. */
export async function revokeToken(
  tx: Tx,
  bank: string,
  { jti, lifetime_s }: { jti: string; lifetime_s: number },
): Promise<void> {
  await tx.raw(
    `insert into revoked_tokens (bank_id, jti, expires_at)
     values (?, ?, clock_timestamp() + make_interval(secs => ?)) on conflict do nothing`,
    [bank, jti, lifetime_s],
  )
}

export async function isRevoked(tx: Tx, bank: string, jti: string): Promise<boolean> {
  const { rows } = await tx.raw<{ rows: unknown[] }>(
    'select from revoked_tokens where bank_id = ? and jti = ?',
    [bank, jti],
  )
  return rows.length > 0
}
