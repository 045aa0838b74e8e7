import type { Client } from './clients.ts'
import type { Database } from './database.ts'

/**
 * Of what kind the client is whose access token for itself this is; undefined where the token does not stand: the client was disabled,
 * or the token revoked.
 */
export async function kindOfStanding(
  db: Database,
  { clientId, jti }: { clientId: string; jti: string },
): Promise<Client['kind'] | undefined> {
  const { rows } = await db.knex.raw<{ rows: { kind: Client['kind'] }[] }>(
    `select kind from clients where id = ? and disabled_at is null
       and not exists (select from revoked_client_tokens where jti = ?)`,
    [clientId, jti],
  )
  return rows[0]?.kind
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
