import { replace } from '../consent/consent.ts'
import { Refusal } from '../consent/refusal.ts'
import { findConsent } from '../storage/consents.ts'
import type { Decision } from './append.ts'
import type { Broker } from './broker.ts'
import { save } from './revoke_consent.ts'

/**
 * The customer narrows an active consent to some of its accounts: new terms, the same login, the same tokens. Throws `Refusal`
 * when it does not stand, or the accounts are not all among its own.
 */
export async function narrowConsent(
  broker: Broker,
  { bank, consentId, accounts }: { bank: string; consentId: string; accounts: readonly string[] },
): Promise<{ at: string }> {
  const outcome = await broker.door.append(bank, {
    names: { consents: [consentId], recipients: await recipientOf(broker, bank, consentId) },
    urgent: true,
    decide(state): Decision {
      const record = state.consents.get(consentId)
      if (record?.consent.state !== 'active')
        return { refused: record === undefined ? 'consent_unknown' : 'consent_not_active' }
      const { consent } = record
      if (!accounts.every((handle) => consent.terms.accounts.includes(handle)))
        return { refused: 'account_not_covered' }
      if (accounts.length === consent.terms.accounts.length) return {}
      const terms = { ...consent.terms, accounts }
      const moved = replace(consent, {
        terms,
        approval: state.approvals.get(consent.recipient),
        at: state.at,
      })
      if (typeof moved === 'string') return { refused: moved }
      return {
        entry: { kind: 'consent.replace', body: { ...terms, by: 'customer', consent: consentId } },
        effects: [{ ...save(record, moved), updatedBy: 'authorization_server' }],
      }
    },
  })
  if (outcome.kind === 'refused') throw new Refusal(outcome.reason)
  return { at: outcome.at }
}

async function recipientOf(broker: Broker, bank: string, consentId: string): Promise<string[]> {
  const record = await findConsent(broker.db, bank, consentId)
  return record === undefined ? [] : [record.consent.recipient]
}
