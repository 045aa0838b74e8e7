import { grant } from '../../src/consent/consent.ts'
import type { Terms } from '../../src/consent/terms.ts'
import type { Decision, Outcome } from '../../src/broker/append.ts'
import { approveRecipient } from '../../src/broker/approve_recipient.ts'
import type { Broker } from '../../src/broker/broker.ts'
import { releaseDraft } from '../../src/broker/release.ts'
import { random128 } from '../../src/storage/ids.ts'
import { requestedConsent, type TestBank } from './test_broker.ts'

export const purpose = 'https://w3id.org/dpv#RequestedServiceProvision'

/** The bank approves `messenger` for one purpose and three clusters. */
export async function approveMessenger(broker: Broker, bank: TestBank): Promise<void> {
  const jws = bank.approve({
    recipient: 'messenger',
    class: 'messaging_platform',
    purposes: [purpose],
    clusters: ['ACCOUNT_BASIC', 'BALANCES', 'TRANSACTIONS'],
  })
  await approveRecipient(broker, { bank: bank.id, jws })
}

/** An active consent, granted through the door under a link that is not there: for tests of what the ledger allows. */
export async function activeConsent(
  broker: Broker,
  bank: string,
  given: Partial<Terms> = {},
): Promise<{ id: string; handle: string; linkId: string }> {
  const id = await requestedConsent(broker, { bank, recipient: 'messenger' })
  const [handle, linkId] = [random128(), random128()]
  const terms: Terms = {
    recipient: 'messenger',
    purpose,
    clusters: ['ACCOUNT_BASIC', 'BALANCES'],
    accounts: [handle],
    lookback_days: 90,
    one_time: false,
    expires: new Date(Date.now() + 86_400_000).toISOString(),
    delivery: 'in_thread',
    disclosure: { version: '1', language: 'en', sha256: 'A'.repeat(43) },
    ...given,
  }
  const outcome = await broker.door.append(bank, {
    names: { consents: [id], recipients: ['messenger'] },
    decide(state): Decision {
      const record = state.consents.get(id)
      if (record === undefined) return { refused: 'consent_unknown' }
      const approval = state.approvals.get('messenger')
      const moved = grant(record.consent, { terms, approval, at: state.at })
      if (typeof moved === 'string') return { refused: moved }
      const evidence = { login: 'A'.repeat(43), terms: 'A'.repeat(43) }
      return {
        entry: { kind: 'consent.grant', body: { ...terms, ...evidence, consent: id } },
        effects: [{ kind: 'consent.save', record: { ...record, consent: moved, linkId } }],
      }
    },
  })
  if (outcome.kind !== 'entered') throw new Error(`the grant was ${JSON.stringify(outcome)}`)
  return { id, handle, linkId }
}

/** A release of the consent's balances, by the draft of the data path. */
export function releaseOf(
  broker: Broker,
  bank: string,
  { id, handle, jti = 'jti' }: { id: string; handle: string; jti?: string },
): Promise<Outcome> {
  const asking = {
    bank,
    consentId: id,
    client: 'messenger',
    jti,
    delivery: 'in_thread',
    interaction: '00000000-0000-4000-8000-000000000000',
  } as const
  const access = {
    recipient: 'messenger',
    to: 'messaging_platform',
    clusters: ['BALANCES'],
    accounts: [handle],
  } as const
  const draft = releaseDraft(asking, { access, fetchId: random128(), payload: 'A'.repeat(43) })
  return broker.door.append(bank, draft)
}
