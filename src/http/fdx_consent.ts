import type { Actor, Consent } from '../consent/consent.ts'
import { durationOf, resourcesOf } from '../consent/fdx.ts'
import type { Bank } from '../broker/bank_port.ts'
import type { ShownConsent } from '../storage/consent_search.ts'

/** A consent that was granted, whatever became of it since, as FDX shows it. */
export interface GrantedConsent extends ShownConsent {
  readonly consent: Exclude<Consent, { state: 'requested' | 'declined' }>
}

/** FDX PartyType, as far as one of them ends a consent. */
export type PartyType = 'INDIVIDUAL' | 'DATA_PROVIDER' | 'DATA_RECIPIENT' | 'DATA_ACCESS_PLATFORM'

export const partyTypes: Readonly<Record<Actor, PartyType>> = {
  customer: 'INDIVIDUAL',
  bank: 'DATA_PROVIDER',
  recipient: 'DATA_RECIPIENT',
  operator: 'DATA_ACCESS_PLATFORM',
}

/** Where and when a consent is looked at: `at` is RFC 3339 UTC. */
interface Seen {
  /** Absent when the bank is in no directory any more. */
  readonly bank: Bank | undefined
  readonly at: string
}

/** FDX ConsentGrant at `at`. `url` is its own. A party that is in no register any more is left out. */
export function consentGrant(shown: GrantedConsent, seen: Seen & { url: string }): object {
  const { consent, requested } = shown
  return {
    id: consent.id,
    ...grantedMembers(shown, seen),
    parties: partiesOf(shown, seen),
    ...durationOf({ one_time: consent.terms.one_time, duration_days: requested.duration_days }),
    lookbackPeriod: consent.terms.lookback_days,
    resources: resourcesOf(consent.terms),
    links: [
      { rel: 'self', href: seen.url, action: 'GET' },
      { rel: 'revocation', href: `${seen.url}/revocation`, action: 'GET' },
    ],
  }
}

/** A consent in the answer to a search: whatever became of it, and without its accounts. */
export function consentSummary(shown: ShownConsent, seen: Seen): object {
  const { consent, requested } = shown
  const terms = 'terms' in consent ? consent.terms : requested
  return {
    id: consent.id,
    state: consent.state,
    requestedTime: shown.asked,
    ...(isGranted(shown) ? grantedMembers(shown, seen) : {}),
    parties: partiesOf(shown, seen),
    ...durationOf({ one_time: terms.one_time, duration_days: requested.duration_days }),
    lookbackPeriod: terms.lookback_days,
    resources: resourcesOf({ clusters: terms.clusters }),
  }
}

export const isGranted = (shown: ShownConsent): shown is GrantedConsent => 'terms' in shown.consent

/** What only a consent that was granted has. */
function grantedMembers({ consent, firstGranted, lastRelease }: GrantedConsent, { at }: Seen) {
  return {
    status: statusOf(consent, at),
    createdTime: firstGranted ?? consent.granted,
    expirationTime: consent.terms.expires,
    updatedTime: 'ended' in consent ? consent.ended.at : consent.granted,
    ...(lastRelease === undefined ? {} : { lastAccessedTime: lastRelease }),
  }
}

function statusOf({ state, terms }: GrantedConsent['consent'], at: string): string {
  if (state === 'revoked') return 'REVOKED'
  return state === 'active' && at < terms.expires ? 'ACTIVE' : 'EXPIRED'
}

const partiesOf = ({ recipient }: ShownConsent, { bank }: Seen): object[] => [
  ...(recipient === undefined ? [] : [party('DATA_RECIPIENT', recipient, recipient.website)]),
  ...(bank === undefined ? [] : [party('DATA_PROVIDER', bank, bank.issuer)]),
]

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
export function revocationsOf({ consent, revocationReason }: GrantedConsent): object[] {
  if (consent.state !== 'revoked') return []
  const { at, by } = consent.ended
  return [
    { status: 'REVOKED', reason: revocationReason, initiator: partyTypes[by], updatedTime: at },
  ]
}
