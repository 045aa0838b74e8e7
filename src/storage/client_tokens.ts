import type { Database } from './database.ts'

/** Whether an access token of a client for itself stands: the client is enabled, and the token was not revoked. */
export async function clientTokenStands(
  db: Database,
  { clientId, jti }: { clientId: string; jti: string },
): Promise<boolean> {
  const { rows } = await db.knex.raw<{ rows: unknown[] }>(
    `select from clients where id = ? and disabled_at is null
       and not exists (select from revoked_client_tokens where jti = ?)`,
    [clientId, jti],
  )
  return rows.length > 0
}

/** Revokes one, in effect when this returns, and kept for `kept_s` seconds, after which it would have expired by itself. */
export async function revokeClientToken(
  db: Database,
  { jti, kept_s }: { jti: string; kept_s: number },
): Promise<void> {
  await db.knex.raw(
    `insert into revoked_client_tokens (jti, expires_at)
     values (?, clock_timestamp() + make_interval(secs => ?)) on conflict do nothing`,
    [jti, kept_s],
  )
}
