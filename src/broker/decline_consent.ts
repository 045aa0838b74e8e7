import { decline } from '../consent/consent.ts'
import { Refusal } from '../consent/refusal.ts'
import type { Broker } from './broker.ts'
import { save } from './revoke_consent.ts'

/**
 * The customer said no, or a rule did: requested → declined, under the bank's lock so that an approval sent at the same moment has one
 * winner. No entry is made. Idempotent. Throws `Refusal` when the consent was approved, or is not there.
 */
export async function declineConsent(
  broker: Broker,
  {
    bank,
    consentId,
    ...step
  }: {
    bank: string
    consentId: string
    event: 'declined' | 'cancelled' | 'refused'
    /** The interaction id of the browser's session. */
    interaction?: string
  },
): Promise<void> {
  const outcome = await broker.door.append(bank, {
    names: { consents: [consentId] },
    decide(state) {
      const record = state.consents.get(consentId)
      if (record === undefined) return { refused: 'consent_unknown' }
      const moved = decline(record.consent)
      if (typeof moved === 'string') return { refused: moved }
      if (moved === record.consent) return {}
      const event = { consent: consentId, ...step }
      return { effects: [save(record, moved), { kind: 'authorization_event.add', event }] }
    },
  })
  if (outcome.kind === 'refused') throw new Refusal(outcome.reason)
}
