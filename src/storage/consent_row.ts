import type { Consent } from '../consent/consent.ts'
import type { RequestedTerms, Terms } from '../consent/terms.ts'
import type { RevocationReason } from '../ledger/entry.ts'
import type { ConsentRecord, Effect } from './ledger_state.ts'

/** The columns of `ConsentColumns`, of a consent `c`. */
export const consentColumns = `
  c.id, c.recipient, c.state, c.requested, c.terms, c.link_id, c.bank_token_id, c.granted_at, c.redeemed_at, c.ended_at,
  c.ended_by, c.ended_cause, c.revocation_reason`

/** A consent's row, as every reader selects it. */
export interface ConsentColumns {
  id: string
  recipient: string
  state: Consent['state']
  requested: RequestedTerms
  terms: Terms | null
  link_id: string | null
  bank_token_id: string | null
  granted_at: Date | null
  redeemed_at: Date | null
  ended_at: Date | null
  ended_by: 'customer' | 'recipient' | 'bank' | 'operator' | null
  ended_cause: 'term' | 'unredeemed' | null
  revocation_reason: RevocationReason | null
}

/** The consent that a row holds. The table's constraints keep the combinations that the union allows. */
export function recordOf(row: ConsentColumns): ConsentRecord {
  return {
    consent: consentOfRow(row),
    requested: row.requested,
    ...(row.link_id === null ? {} : { linkId: row.link_id }),
    ...(row.bank_token_id === null ? {} : { bankTokenId: row.bank_token_id }),
    ...(row.revocation_reason === null ? {} : { revocationReason: row.revocation_reason }),
    redeemed: row.redeemed_at !== null,
  }
}

function consentOfRow(row: ConsentColumns): Consent {
  const { id, recipient, state, terms, granted_at: granted, ended_at: ended } = row
  if (state === 'requested' || state === 'declined') return { id, recipient, state }
  if (terms === null || granted === null) throw new Error(`consent ${id} is ${state} without terms`)
  const base = { id, recipient, terms, granted: granted.toISOString() }
  if (state === 'active') return { ...base, state }
  const at = ended?.toISOString()
  if (state === 'revoked' && at !== undefined && row.ended_by !== null)
    return { ...base, state, ended: { at, by: row.ended_by } }
  if (state === 'expired' && at !== undefined && row.ended_cause !== null)
    return { ...base, state, ended: { at, cause: row.ended_cause } }
  throw new Error(`consent ${id} is ${state} without an end`)
}

/** Saves a consent: one row, or none and the transaction ends. `$1` is the bank, the rest are `consentValues`. */
export const saveConsentSql = `
  with saved as (
    update consents set state = $3, terms = $4, link_id = $5, bank_token_id = $6, granted_at = $7, expires_at = $8,
      ended_at = $9, ended_by = $10, ended_cause = $11, revocation_reason = $12, requested = $13,
      accounts_sealed = coalesce($14, accounts_sealed), evidence_sealed = coalesce($15, evidence_sealed),
      updated_by = coalesce($16, updated_by)
    where bank_id = $1 and id = $2 returning 1
  )
  select must_be_one(count(*)) from saved`

export function consentValues({
  record: { consent, linkId, bankTokenId, revocationReason, requested },
  sealed,
  updatedBy,
}: Extract<Effect, { kind: 'consent.save' }>): unknown[] {
  const terms = 'terms' in consent ? consent.terms : undefined
  return [
    consent.id,
    consent.state,
    terms === undefined ? null : JSON.stringify(terms),
    linkId ?? null,
    bankTokenId ?? null,
    'granted' in consent ? consent.granted : null,
    terms?.expires ?? null,
    'ended' in consent ? consent.ended.at : null,
    consent.state === 'revoked' ? consent.ended.by : null,
    consent.state === 'expired' ? consent.ended.cause : null,
    revocationReason ?? null,
    JSON.stringify(requested),
    sealed?.accounts ?? null,
    sealed?.evidence ?? null,
    updatedBy ?? null,
  ]
}
