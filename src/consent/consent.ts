import { classes, mayBeApproved, type Class } from './class.ts'
import { clusterNames, type Cluster } from './cluster.ts'
import { judgePurpose } from './purpose.ts'
import type { RefusalReason } from './refusal.ts'
import { earliestDay, limits, type Approval, type Terms } from './terms.ts'

/** Who ended a consent. */
export type Actor = 'customer' | 'recipient' | 'bank' | 'operator'

export const actors: readonly Actor[] = ['customer', 'recipient', 'bank', 'operator']

export type ExpiryCause = 'term' | 'unredeemed'

/**
 * A customer's permission for one recipient to see data of one bank.
 *
 *     requested → active → revoked | expired        requested → declined
 *
 * `replace` gives an active consent new terms and leaves it active. There are no other moves, and they are made only by the
 * functions below. Ended states are final.
 */
export type Consent =
  | { readonly id: string; readonly state: 'requested' | 'declined'; readonly recipient: string }
  | (Granted & { readonly state: 'active' })
  | (Granted & { readonly state: 'revoked'; readonly ended: { at: string; by: Actor } })
  | (Granted & { readonly state: 'expired'; readonly ended: { at: string; cause: ExpiryCause } })

interface Granted {
  readonly id: string
  readonly recipient: string
  readonly terms: Terms
  readonly granted: string
}

export type ActiveConsent = Extract<Consent, { state: 'active' }>

/** A move, or the reason it is not allowed. */
export type Move<T extends Consent = Consent> = T | RefusalReason

/** What a release would carry: the class that sees it, and the data. */
export interface Access {
  readonly recipient: string
  readonly to: Class
  readonly clusters: readonly Cluster[]
  readonly accounts: readonly string[]
  /** The earliest UTC date of the transactions carried; absent when none are. */
  readonly since?: string
}

const every = <T>(wanted: readonly T[], allowed: readonly T[]) =>
  wanted.every((one) => allowed.includes(one))

/** Why a recipient may not be asked or given anything at all under this approval, or undefined. */
export function standing(approval: Approval | undefined): RefusalReason | undefined {
  if (approval === undefined) return 'recipient_not_approved'
  if (!mayBeApproved(approval.class)) return 'class_denied'
  return approval.suspended ? 'recipient_suspended' : undefined
}

/** Why these terms may not be granted to a recipient with this approval, or undefined. */
export function permits(
  approval: Approval | undefined,
  terms: Pick<Terms, 'purpose' | 'clusters'>,
): RefusalReason | undefined {
  const refused = standing(approval)
  if (approval === undefined || refused !== undefined) return refused ?? 'recipient_not_approved'
  if (judgePurpose(terms.purpose) !== 'allowed') return 'purpose_denied'
  if (!approval.purposes.includes(terms.purpose)) return 'purpose_not_approved'
  return every(terms.clusters, approval.clusters) ? undefined : 'cluster_not_approved'
}

/** Why no consent may be granted at `at` with these terms, whoever asks, or undefined. */
function exceeds(terms: Terms, at: string): RefusalReason | undefined {
  if (!countsUpTo(terms.accounts, limits.accounts_max)) return 'account_not_covered'
  if (!countsUpTo(terms.clusters, clusterNames.length)) return 'cluster_not_covered'
  const hours = (Date.parse(terms.expires) - Date.parse(at)) / 3_600_000
  const hoursMax = terms.one_time ? limits.one_time_hours_max : limits.duration_days_max * 24
  const { lookback_days: lookback } = terms
  const inTime =
    hours > 0 && hours <= hoursMax && lookback >= 0 && lookback <= limits.lookback_days_max
  return inTime ? undefined : 'time_not_covered'
}

const countsUpTo = (values: readonly string[], max: number) =>
  values.length >= 1 && values.length <= max && new Set(values).size === values.length

/** requested → active. */
export function grant(
  consent: Consent,
  { terms, approval, at }: { terms: Terms; approval: Approval | undefined; at: string },
): Move<ActiveConsent> {
  if (consent.state !== 'requested') return notActive(consent, at) ?? 'consent_not_active'
  if (terms.recipient !== consent.recipient) return 'consent_of_another_recipient'
  const refused = permits(approval, terms) ?? exceeds(terms, at)
  if (refused !== undefined) return refused
  return { id: consent.id, state: 'active', recipient: consent.recipient, terms, granted: at }
}

/** requested → declined. */
export function decline(consent: Consent): Move {
  if (consent.state === 'declined') return consent
  if (consent.state !== 'requested') return 'consent_not_active'
  return { id: consent.id, state: 'declined', recipient: consent.recipient }
}

/** active → active under new terms. */
export function replace(
  consent: Consent,
  { terms, approval, at }: { terms: Terms; approval: Approval | undefined; at: string },
): Move<ActiveConsent> {
  const refused = notActive(consent, at)
  if (refused !== undefined || consent.state !== 'active') return refused ?? 'consent_not_active'
  return grant(
    { id: consent.id, state: 'requested', recipient: consent.recipient },
    { terms, approval, at },
  )
}

/** active → revoked. A consent past its end is still revocable until its expiry is written, and for ever ended after. */
export function revoke(consent: Consent, ended: { at: string; by: Actor }): Move {
  if (consent.state !== 'active') return notActive(consent, ended.at) ?? 'consent_not_active'
  return { ...granted(consent), state: 'revoked', ended }
}

/** active → expired: at its end, or at any time for a grant that was never redeemed. */
export function expire(consent: Consent, ended: { at: string; cause: ExpiryCause }): Move {
  if (consent.state !== 'active') return notActive(consent, ended.at) ?? 'consent_not_active'
  if (ended.cause === 'term' && ended.at < consent.terms.expires) return 'consent_not_active'
  return { ...granted(consent), state: 'expired', ended }
}

const granted = (consent: ActiveConsent): Granted => ({
  id: consent.id,
  recipient: consent.recipient,
  terms: consent.terms,
  granted: consent.granted,
})

/**
 * Whether these terms open anything that the others did not, in any respect. Only a fresh login at the bank may do that; a
 * customer narrows without one.
 */
export function broadens(terms: Terms, before: Terms): boolean {
  return !(
    terms.purpose === before.purpose &&
    every(terms.accounts, before.accounts) &&
    every(terms.clusters, before.clusters) &&
    terms.lookback_days <= before.lookback_days &&
    terms.expires <= before.expires &&
    (terms.one_time || !before.one_time) &&
    (terms.delivery === 'link_out' || before.delivery === 'in_thread')
  )
}

/** Why this consent does not stand at `at`, or undefined while it does. */
export function notActive(consent: Consent | undefined, at: string): RefusalReason | undefined {
  switch (consent?.state) {
    case undefined:
      return 'consent_unknown'
    case 'requested':
      return 'consent_not_active'
    case 'declined':
      return 'consent_declined'
    case 'revoked':
      return 'consent_revoked'
    case 'expired':
      return 'consent_expired'
    case 'active':
      return at < consent.terms.expires ? undefined : 'consent_expired'
  }
}

/**
 * Why this access is not covered at `at`, or undefined when it is: the one predicate behind every release, in the broker
 * and in replay. `at` and the ends compared with it are RFC 3339 UTC with milliseconds, so text order is time order.
 */
export function uncovered(
  consent: Consent | undefined,
  { access, approval, at }: { access: Access; approval: Approval | undefined; at: string },
): RefusalReason | undefined {
  if (!classes[access.to].mayReceive) return 'class_denied'
  const standingRefused = standing(approval)
  if (standingRefused !== undefined) return standingRefused
  if (consent !== undefined && consent.recipient !== access.recipient)
    return 'consent_of_another_recipient'
  const refused = notActive(consent, at)
  if (consent?.state !== 'active' || refused !== undefined) return refused ?? 'consent_not_active'
  const { terms } = consent
  const permitRefused = permits(approval, { purpose: terms.purpose, clusters: access.clusters })
  if (permitRefused !== undefined) return permitRefused
  if (access.to !== seenBy(terms, approval)) return 'delivery_not_covered'
  if (!every(access.accounts, terms.accounts)) return 'account_not_covered'
  if (!every(access.clusters, terms.clusters)) return 'cluster_not_covered'
  const { since } = access
  const reaches = since === undefined || Date.parse(since) >= earliestDay(terms.lookback_days, at)
  return reaches ? undefined : 'time_not_covered'
}

/** The class that sees data released under these terms: our own page shows it to the data subject, a recipient reads it. */
export function seenBy(terms: Pick<Terms, 'delivery'>, approval: Approval | undefined): Class {
  return terms.delivery === 'link_out' ? 'data_subject' : (approval?.class ?? 'third_party')
}
