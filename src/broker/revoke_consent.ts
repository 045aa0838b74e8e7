import { decline, revoke, type Actor, type Consent } from '../consent/consent.ts'
import { Refusal } from '../consent/refusal.ts'
import type { RevocationReason } from '../ledger/entry.ts'
import type { ConsentRecord, Effect } from '../storage/ledger_state.ts'
import { BankUnavailable } from './bank_port.ts'
import type { Broker } from './broker.ts'

/** How a consent ended, whenever that was. `now` is true for the call that ended it. */
export interface Ended {
  readonly state: Exclude<Consent['state'], 'requested' | 'active'>
  /** When it ended, RFC 3339 UTC. */
  readonly at: string
  readonly now: boolean
}

/**
 * Ends a consent, in effect before this returns: no release of it is entered after its entry. Idempotent: an ended consent
 * answers as it did the first time. A consent that is still only requested is declined. Its refresh tokens end with it, and
 * its bank token through the outbox. Throws `Refusal('consent_unknown')` when there is none, or none of `client`'s.
 */
export async function revokeConsent(
  broker: Broker,
  wish: {
    bank: string
    consentId: string
    by: Actor
    reason: RevocationReason
    /** The recipient that asks: it can end its own only. */
    client?: string
    /** Ends the consent only if it stands on this token of the bank's; else `BankUnavailable` is thrown. */
    bankTokenId?: string
  },
): Promise<Ended> {
  const { bank, consentId, by, reason } = wish
  let before: Consent | undefined
  const outcome = await broker.door.append(bank, {
    names: { consents: [consentId] },
    urgent: true,
    decide(state) {
      const record = state.consents.get(consentId)
      if (
        record === undefined ||
        (wish.client ?? record.consent.recipient) !== record.consent.recipient
      )
        return { refused: 'consent_unknown' }
      if ((wish.bankTokenId ?? record.bankTokenId) !== record.bankTokenId)
        throw new BankUnavailable('bad_answer', 'the token was replaced while it was used')
      before = record.consent
      if (before.state === 'requested')
        return { effects: [save(record, decline(before)), withdrawn(consentId, by)] }
      const moved = revoke(before, { at: state.at, by })
      if (typeof moved === 'string') return {}
      return {
        entry: { kind: 'consent.revoke', body: { by, consent: consentId, reason } },
        effects: [save({ ...record, revocationReason: reason }, moved), ...endings(record)],
      }
    },
  })
  if (outcome.kind === 'refused' || before === undefined) throw new Refusal('consent_unknown')
  if (before.state === 'revoked' || before.state === 'expired')
    return { state: before.state, at: before.ended.at, now: false }
  return {
    state: before.state === 'active' ? 'revoked' : 'declined',
    at: outcome.at,
    now: before.state !== 'declined',
  }
}

const withdrawn = (consent: string, by: Actor): Effect => ({
  kind: 'authorization_event.add',
  event: { consent, event: 'withdrawn', by },
})

/** What ends with a consent: its refresh tokens, its bank token, and its browsers' right to see figures. */
export function endings(record: ConsentRecord): Effect[] {
  return [
    { kind: 'refresh_tokens.end', consent: record.consent.id },
    ...(record.bankTokenId === undefined
      ? []
      : [{ kind: 'bank_token.end', id: record.bankTokenId } as const]),
    ...(record.linkId === undefined
      ? []
      : [{ kind: 'devices.end', linkId: record.linkId } as const]),
  ]
}

/** The effect that keeps a move. Bugs only: a move that was refused is no consent. */
export function save(
  record: ConsentRecord,
  moved: Consent | string,
): Extract<Effect, { kind: 'consent.save' }> {
  if (typeof moved === 'string')
    throw new Error(`consent ${record.consent.id} cannot move: ${moved}`)
  return { kind: 'consent.save', record: { ...record, consent: moved } }
}
