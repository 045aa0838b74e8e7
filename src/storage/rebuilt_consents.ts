import type { Consent } from '../consent/consent.ts'
import type { RevocationReason } from '../ledger/entry.ts'
import type { Tx } from './database.ts'
import type { KeptConsent } from './kept_rows.ts'

/** A consent as the ledger has it, and its row in a backup, where there is one that fits. */
export interface RebuiltConsent {
  readonly consent: Exclude<Consent, { state: 'requested' | 'declined' }>
  readonly revocationReason: RevocationReason | undefined
  readonly released: boolean
  readonly tail: number
  readonly kept: KeptConsent | undefined
}

const columns = `bank_id, id, recipient, state, requested, terms, link_id, bank_token_id, accounts_sealed, evidence_sealed,
  created_at, granted_at, expires_at, redeemed_at, ended_at, ended_by, ended_cause, revocation_reason, updated_by`

const at_once = 500
const lost_at_once = 256

/** Stores the consents of a ledger. One without a row in a backup has a link that is not there: nothing opens it. */
export async function insertConsents(
  tx: Tx,
  bank: string,
  consents: readonly RebuiltConsent[],
): Promise<void> {
  for (let at = 0; at < consents.length; at += at_once)
    await insertSome(tx, bank, consents.slice(at, at + at_once))
}

async function insertSome(
  tx: Tx,
  bank: string,
  consents: readonly RebuiltConsent[],
): Promise<void> {
  const rows = JSON.stringify(consents.map((one) => rowOf(bank, one)))
  await tx.raw(
    `insert into consents (${columns}) select ${columns} from jsonb_populate_recordset(null::consents, ?::jsonb)`,
    [rows],
  )
  await tx.raw(
    `insert into consent_tails (bank_id, consent_id, n)
     select ?, id, tail from jsonb_to_recordset(?::jsonb) as r(id text, tail bigint)`,
    [bank, rows],
  )
}

function rowOf(bank: string, { consent, revocationReason, released, tail, kept }: RebuiltConsent) {
  const { id, recipient, state, terms, granted } = consent
  const { purpose, clusters, lookback_days, one_time, delivery, expires } = terms
  const days = Math.ceil((Date.parse(expires) - Date.parse(granted)) / 86_400_000)
  const asked = { recipient, bank, purpose, clusters, lookback_days, one_time, delivery }
  return {
    requested: { ...asked, duration_days: days },
    ...{ link_id: `lost ${id}`, created_at: granted, redeemed_at: released ? granted : null },
    ...kept,
    ...{
      bank_id: bank,
      id,
      recipient,
      state,
      terms,
      tail,
      granted_at: granted,
      expires_at: expires,
    },
    ended_at: consent.state === 'active' ? null : consent.ended.at,
    ended_by: consent.state === 'revoked' ? consent.ended.by : null,
    ended_cause: consent.state === 'expired' ? consent.ended.cause : null,
    revocation_reason: revocationReason ?? null,
  }
}

/** Some of the active consents whose link, or its key, is not there. */
export async function lostConsents(tx: Tx, bank: string): Promise<string[]> {
  const { rows } = await tx.raw<{ rows: { id: string }[] }>(
    `select c.id from consents c
     where c.bank_id = :bank and c.state = 'active' and not exists (
       select from links l join link_keys k on k.bank_id = l.bank_id and k.link_id = l.id
       where l.bank_id = :bank and l.id = c.link_id)
     order by c.id limit ${lost_at_once}`,
    { bank },
  )
  return rows.map(({ id }) => id)
}
