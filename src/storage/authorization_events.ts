import type { Actor } from '../consent/consent.ts'
import { inBank, runNumbered, type Database, type Tx } from './database.ts'

/** A step on the way to a consent. What happens after it, the ledger says. */
export type AuthorizationEvent =
  | 'requested'
  | 'arrived'
  | 'bank_login_begun'
  | 'bank_login_returned'
  | 'bank_login_failed'
  | 'accounts_picked'
  | 'approved'
  | 'declined'
  | 'cancelled'
  | 'refused'
  | 'withdrawn'
  | 'code_redeemed'

/** A step of a consent, as it happens. */
export interface NewEvent {
  readonly consent: string
  readonly event: AuthorizationEvent
  /** `x-fapi-interaction-id`, a UUID, of the request; or the one that the browser's session was given. */
  readonly interaction?: string
  /** Who withdrew a request; there for `withdrawn` alone. */
  readonly by?: Actor
}

/** How often a step that changes nothing is kept of one request: a browser may take it as often as it likes. */
export const repeats_max = 20

const insertSql = (unless = '') => `
  insert into authorization_events (bank_id, consent_id, event, interaction_id, by)
  select bank_id, id, $3, $4::uuid, $5 from consents c where bank_id = $1 and id = $2 ${unless} for key share
  on conflict do nothing`

/**
 * Adds a step; `$1` is the bank, the rest are `eventValues`. It is of the time at which its transaction began: never later than an entry
 * that is made with it. A consent that is not there any more has no steps: its row is locked against going meanwhile.
 */
export const addEventSql = insertSql()

export const eventValues = ({ consent, event, interaction, by }: NewEvent) => [
  ...[consent, event, interaction ?? null, by ?? null],
]

const unlessRepeated = `and $6 > (select count(*) from authorization_events e
  where e.bank_id = c.bank_id and e.consent_id = c.id and e.event = $3)`

/** Adds a step in the transaction that takes it. */
export async function addEvent(tx: Tx, bank: string, event: NewEvent): Promise<void> {
  await runNumbered(tx, addEventSql, [bank, ...eventValues(event)])
}

/** Adds a step that changes nothing else, in a transaction of its own; one that was taken often enough is not kept. */
export async function recordEvent(db: Database, bank: string, event: NewEvent): Promise<void> {
  const values = [bank, ...eventValues(event), repeats_max]
  await inBank(db, bank, (tx) => runNumbered(tx, insertSql(unlessRepeated), values))
}
