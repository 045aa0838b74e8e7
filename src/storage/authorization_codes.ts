import type { Tx } from './database.ts'
import { hashOf } from './ids.ts'

/** What a code was issued for, and what its redeemer must show again. */
export interface CodeTerms {
  readonly clientId: string
  readonly redirectUri: string
  readonly codeChallenge: string
}

/** Keeps a code by its hash, for `lifetime_s` seconds of the database's clock. */
export async function insertCode(
  tx: Tx,
  bank: string,
  issued: CodeTerms & { code: string; consentId: string; dpopJkt?: string; lifetime_s: number },
): Promise<void> {
  await tx.raw(
    `insert into authorization_codes (bank_id, code_hash, client_id, consent_id, redirect_uri, code_challenge, dpop_jkt, expires_at)
     values (?, ?, ?, ?, ?, ?, ?, clock_timestamp() + make_interval(secs => ?))`,
    [
      bank,
      hashOf(issued.code),
      issued.clientId,
      issued.consentId,
      issued.redirectUri,
      issued.codeChallenge,
      issued.dpopJkt ?? null,
      issued.lifetime_s,
    ],
  )
}

/**
 * Redeems a code: the consent it stands for, once among however many try at the same time; undefined for every other and for
 * whoever does not show what the code was issued for. `jti` is the access token that it gives.
 */
export async function redeemCode(
  tx: Tx,
  bank: string,
  shown: CodeTerms & { code: string; jkt?: string; jti: string },
): Promise<string | undefined> {
  const { rows } = await tx.raw<{ rows: { consent_id: string }[] }>(
    `update authorization_codes set redeemed_at = clock_timestamp(), jti = ?
     where bank_id = ? and code_hash = ? and redeemed_at is null and expires_at > clock_timestamp()
       and client_id = ? and redirect_uri = ? and code_challenge = ? and (dpop_jkt is null or dpop_jkt = ?)
     returning consent_id`,
    [
      shown.jti,
      bank,
      hashOf(shown.code),
      shown.clientId,
      shown.redirectUri,
      shown.codeChallenge,
      shown.jkt ?? null,
    ],
  )
  return rows[0]?.consent_id
}

/** A code that could not be redeemed, to say why. `jti` is the access token that it gave when it was redeemed. */
export async function findCode(
  tx: Tx,
  bank: string,
  code: string,
): Promise<{ clientId: string; consentId: string; jti: string | undefined } | undefined> {
  const { rows } = await tx.raw<{
    rows: { client_id: string; consent_id: string; jti: string | null }[]
  }>(
    'select client_id, consent_id, jti from authorization_codes where bank_id = ? and code_hash = ?',
    [bank, hashOf(code)],
  )
  const row = rows[0]
  return row && { clientId: row.client_id, consentId: row.consent_id, jti: row.jti ?? undefined }
}
