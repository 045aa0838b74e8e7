import type { Actor, Consent } from '../consent/consent.ts'
import { durationOf, resourcesOf } from '../consent/fdx.ts'
import type { Bank } from '../broker/bank_port.ts'
import type { Client } from '../storage/clients.ts'
import type { ConsentRecord } from '../storage/ledger_state.ts'

/** A consent that was granted, whatever became of it since, as FDX shows it. */
export interface GrantedRecord extends ConsentRecord {
  readonly consent: Exclude<Consent, { state: 'requested' | 'declined' }>
}

/** FDX PartyType, as far as one of them ends a consent. */
export type PartyType = 'INDIVIDUAL' | 'DATA_PROVIDER' | 'DATA_RECIPIENT' | 'DATA_ACCESS_PLATFORM'

const partyTypes: Readonly<Record<Actor, PartyType>> = {
  customer: 'INDIVIDUAL',
  bank: 'DATA_PROVIDER',
  recipient: 'DATA_RECIPIENT',
  operator: 'DATA_ACCESS_PLATFORM',
}

/** FDX ConsentGrant at `at`, RFC 3339 UTC. A party that is in no register any more is left out. */
export function consentGrant(
  { consent, requested }: GrantedRecord,
  { client, bank, at }: { client: Client | undefined; bank: Bank | undefined; at: string },
): object {
  const { terms } = consent
  return {
    id: consent.id,
    status: statusOf(consent, at),
    parties: [
      ...(client === undefined ? [] : [party('DATA_RECIPIENT', client, client.website)]),
      ...(bank === undefined ? [] : [party('DATA_PROVIDER', bank, bank.issuer)]),
    ],
    createdTime: consent.granted,
    expirationTime: terms.expires,
    updatedTime: 'ended' in consent ? consent.ended.at : consent.granted,
    ...durationOf({ one_time: terms.one_time, duration_days: requested.duration_days }),
    lookbackPeriod: terms.lookback_days,
    resources: resourcesOf(terms),
  }
}

function statusOf({ state, terms }: GrantedRecord['consent'], at: string): string {
  if (state === 'revoked') return 'REVOKED'
  return state === 'active' && at < terms.expires ? 'ACTIVE' : 'EXPIRED'
}

const party = (
  type: PartyType,
  { legalName, lei }: { legalName: string; lei: string },
  homeUri: string,
) => ({
  name: legalName,
  type,
  homeUri,
  registry: 'GLEIF',
  registeredEntityName: legalName,
  registeredEntityId: lei,
})

/** FDX ConsentRevocation of a consent: one when it was revoked, else none. */
export function revocationsOf({ consent, revocationReason }: GrantedRecord): object[] {
  if (consent.state !== 'revoked') return []
  const { at, by } = consent.ended
  return [
    { status: 'REVOKED', reason: revocationReason, initiator: partyTypes[by], updatedTime: at },
  ]
}
