import type { Tx } from './database.ts'
import { hashOf } from './ids.ts'

/** Keeps a refresh token by its hash, bound to a client and a consent. */
export async function insertRefreshToken(
  tx: Tx,
  bank: string,
  issued: { token: string; clientId: string; consentId: string },
): Promise<void> {
  await tx.raw(
    'insert into refresh_tokens (bank_id, token_hash, client_id, consent_id) values (?, ?, ?, ?)',
    [bank, hashOf(issued.token), issued.clientId, issued.consentId],
  )
}

export async function findRefreshToken(
  tx: Tx,
  bank: string,
  token: string,
): Promise<{ clientId: string; consentId: string; ended: boolean } | undefined> {
  const { rows } = await tx.raw<{
    rows: { client_id: string; consent_id: string; ended: boolean }[]
  }>(
    `select client_id, consent_id, ended_at is not null as ended
     from refresh_tokens where bank_id = ? and token_hash = ?`,
    [bank, hashOf(token)],
  )
  const row = rows[0]
  return row && { clientId: row.client_id, consentId: row.consent_id, ended: row.ended }
}
