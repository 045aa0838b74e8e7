import { isRefusalReason } from '../consent/refusal.ts'
import type { TallyKey } from './ledger_state.ts'

/** The columns of `TallyRow`, of a tally `t`. */
export const tallyColumns =
  't.client_id, t.consent_id, t.reason, floor(extract(epoch from t.minute) * 1000)::bigint as minute_ms'

/** What a tally counts, as every reader selects it. */
export interface TallyRow {
  client_id: string
  consent_id: string
  reason: string
  minute_ms: string
}

/** The refusals that a row counts. */
export function tallyKeyOf(row: TallyRow): TallyKey {
  const { client_id: client, consent_id: consent, reason } = row
  if (!isRefusalReason(reason)) throw new Error(`a tally of unknown reason ${reason}`)
  return { client, consent, reason, minute: Number(row.minute_ms) }
}
