import type { RequestedTerms } from '../consent/terms.ts'
import { inBank, type Database, type Tx } from './database.ts'
import { consentColumns, recordOf, type ConsentColumns } from './consent_row.ts'
import type { ConsentRecord } from './ledger_state.ts'

/** A consent as its row has it at this moment, with the recipient's pairwise id for its link. */
export interface FoundConsent extends ConsentRecord {
  readonly recipientSub?: string
}

/** A consent that is asked for and not yet decided. It is in no ledger before it is granted. */
export async function insertRequested(
  tx: Tx,
  { id, requested }: { id: string; requested: RequestedTerms },
): Promise<void> {
  await tx.raw(
    `insert into consents (bank_id, id, recipient, state, requested) values (?, ?, ?, 'requested', ?::jsonb)`,
    [requested.bank, id, requested.recipient, JSON.stringify(requested)],
  )
}

/** A consent of a bank, whatever its state. */
export async function readConsent(
  tx: Tx,
  bank: string,
  id: string,
): Promise<FoundConsent | undefined> {
  const { rows } = await tx.raw<{ rows: (ConsentColumns & { recipient_sub: string | null })[] }>(
    `select ${consentColumns}, l.recipient_sub
     from consents c left join links l on l.bank_id = c.bank_id and l.id = c.link_id
     where c.bank_id = ? and c.id = ?`,
    [bank, id],
  )
  const row = rows[0]
  if (row === undefined) return undefined
  return {
    ...recordOf(row),
    ...(row.recipient_sub === null ? {} : { recipientSub: row.recipient_sub }),
  }
}

/** The same in a transaction of its own. */
export async function findConsent(
  db: Database,
  bank: string,
  id: string,
): Promise<FoundConsent | undefined> {
  return inBank(db, bank, (tx) => readConsent(tx, bank, id))
}

/** Holds a consent's row until the transaction ends: terms that change meanwhile change before or after it. */
export async function lockConsent(tx: Tx, bank: string, id: string): Promise<void> {
  await tx.raw('select from consents where bank_id = ? and id = ? for update', [bank, id])
}

/** Notes the first redemption of a consent's code, so that the sweeper leaves it alone. */
export async function markRedeemed(tx: Tx, bank: string, id: string): Promise<void> {
  await tx.raw(
    `update consents set redeemed_at = clock_timestamp() where bank_id = ? and id = ? and redeemed_at is null`,
    [bank, id],
  )
}
