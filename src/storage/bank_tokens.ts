import type { Tx } from './database.ts'

/** A bank's tokens for one consent as they are kept: sealed under the link's key. */
export interface StoredBankToken {
  readonly id: string
  readonly sealed: Buffer
  /** When the access token ends; milliseconds since the epoch. */
  readonly expires: number
}

/** Where a bank's tokens are. Those of another link are not found. */
export interface BankTokenPlace {
  readonly bank: string
  readonly id: string
  readonly linkId: string
}

/** Keeps tokens. Those that are kept under this id already stay: `live`, or `ended`, which they are too where another link has them. */
export async function insertBankToken(
  tx: Tx,
  { bank, id, linkId }: BankTokenPlace,
  { sealed, expires }: Omit<StoredBankToken, 'id'>,
): Promise<'made' | 'live' | 'ended'> {
  const made = await tx.raw<{ rowCount: number }>(
    `insert into bank_tokens (bank_id, id, link_id, sealed, expires_at) values (?, ?, ?, ?, ?)
     on conflict do nothing`,
    [bank, id, linkId, sealed, new Date(expires)],
  )
  if (made.rowCount === 1) return 'made'
  const live = await tx.raw<{ rowCount: number }>(
    'select from bank_tokens where bank_id = ? and id = ? and link_id = ? and ended_at is null',
    [bank, id, linkId],
  )
  return live.rowCount === 1 ? 'live' : 'ended'
}

/** The tokens as they are now, with their row locked until the transaction ends; undefined once they have ended. */
export async function lockBankToken(
  tx: Tx,
  { bank, id, linkId }: BankTokenPlace,
): Promise<StoredBankToken | undefined> {
  const { rows } = await tx.raw<{ rows: { sealed: Buffer; expires_at: Date }[] }>(
    `select sealed, expires_at from bank_tokens
     where bank_id = ? and id = ? and link_id = ? and ended_at is null for update`,
    [bank, id, linkId],
  )
  const row = rows[0]
  return row && { id, sealed: row.sealed, expires: row.expires_at.getTime() }
}

/** Keeps renewed tokens. The row must be locked. */
export async function replaceBankToken(
  tx: Tx,
  { bank, id, linkId }: BankTokenPlace,
  { sealed, expires }: Omit<StoredBankToken, 'id'>,
): Promise<void> {
  await tx.raw(
    `update bank_tokens set sealed = ?, expires_at = ? where bank_id = ? and id = ? and link_id = ?`,
    [sealed, new Date(expires), bank, id, linkId],
  )
}

/** Tokens that have yet to be ended at the bank, with their link's key; undefined when nothing can or must be. */
export async function findBankToken(
  tx: Tx,
  { bank, id }: { bank: string; id: string },
): Promise<(StoredBankToken & { linkId: string; keySealed: Buffer }) | undefined> {
  const { rows } = await tx.raw<{ rows: Row[] }>(
    `select t.link_id, t.sealed, t.expires_at, k.sealed as key_sealed
     from bank_tokens t join link_keys k on k.bank_id = t.bank_id and k.link_id = t.link_id
     where t.bank_id = ? and t.id = ? and t.ended_at is null for update of t`,
    [bank, id],
  )
  const row = rows[0]
  return (
    row && {
      id,
      sealed: row.sealed,
      expires: row.expires_at.getTime(),
      linkId: row.link_id,
      keySealed: row.key_sealed,
    }
  )
}

interface Row {
  link_id: string
  sealed: Buffer
  expires_at: Date
  key_sealed: Buffer
}

/** Whether an active consent stands on these tokens. */
export async function isInUse(
  tx: Tx,
  { bank, id }: { bank: string; id: string },
): Promise<boolean> {
  const { rows } = await tx.raw<{ rows: { used: boolean }[] }>(
    `select exists (
       select from bank_tokens t
       join consents c on c.bank_id = t.bank_id and c.link_id = t.link_id and c.bank_token_id = t.id
       where t.bank_id = ? and t.id = ? and c.state = 'active') as used`,
    [bank, id],
  )
  return rows[0]?.used === true
}

/** Notes that these tokens are done with: the bank knows, or was told as far as it listened. They are soon deleted. */
export async function endBankToken(
  tx: Tx,
  { bank, id }: { bank: string; id: string },
): Promise<void> {
  await tx.raw(
    `update bank_tokens set ended_at = clock_timestamp() where bank_id = ? and id = ? and ended_at is null`,
    [bank, id],
  )
}

/** Has the tokens ended at the bank on which no active consent stands: it ended, or got others, after the backup. */
export async function endUnusedTokens(tx: Tx, bank: string): Promise<void> {
  await tx.raw(
    `insert into outbox (bank_id, id, task, about)
     select t.bank_id, 'bank_token.revoke ' || t.id, 'bank_token.revoke', t.id
     from bank_tokens t
     where t.bank_id = ? and t.ended_at is null and not exists (
       select from consents c where c.bank_id = t.bank_id and c.bank_token_id = t.id and c.state = 'active')
     on conflict do nothing`,
    [bank],
  )
}
