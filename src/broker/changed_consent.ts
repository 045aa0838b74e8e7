import { notActive, type Consent } from '../consent/consent.ts'
import type { Terms } from '../consent/terms.ts'

/** A request names a grant that cannot get its terms. Nothing was changed. The message is for the recipient. */
export class CannotReplace extends Error {
  override readonly name = 'CannotReplace'
}

/** New terms that a customer approves, or is about to. */
export interface NewTerms extends Pick<Terms, 'recipient' | 'purpose' | 'delivery'> {
  /** The consent that is asked for. */
  readonly consentId: string
  /** The grant that the request names, to be replaced. */
  readonly replaces?: string
  /** When they are decided, RFC 3339 UTC. */
  readonly at: string
}

/**
 * Of the consents of a link, the one that new terms change: the one that the request names, or, where it names none, the active
 * one of the same recipient, purpose and delivery; undefined for terms that are a new consent's. Two active consents never
 * become alike, so a grant cannot be replaced by the likeness of another. Throws `CannotReplace`.
 */
export function changedConsent<T extends { readonly consent: Consent }>(
  ofLink: readonly T[],
  { consentId, recipient, purpose, delivery, replaces, at }: NewTerms,
): T | undefined {
  const alike = ofLink.find(
    ({ consent }) =>
      consent.state === 'active' &&
      consent.id !== consentId &&
      consent.recipient === recipient &&
      consent.terms.purpose === purpose &&
      consent.terms.delivery === delivery,
  )
  if (replaces === undefined) return alike
  const named = ofLink.find(
    ({ consent }) => consent.id === replaces && consent.recipient === recipient,
  )
  if (named === undefined)
    throw new CannotReplace('the grant to replace is not one of this profile and bank login')
  if (notActive(named.consent, at) !== undefined)
    throw new CannotReplace('the grant to replace has ended')
  if (alike !== undefined && alike !== named)
    throw new CannotReplace('another active grant has this purpose and delivery')
  return named
}
