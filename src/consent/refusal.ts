/**
 * Every reason for which access is refused, in descending precedence: where several hold, the first named here is given.
 * The ledger's `refusal` entries and the problem documents use these codes; `docs/ledger-format.md` explains each.
 */
export const refusalReasons = [
  'class_denied',
  'recipient_not_approved',
  'recipient_suspended',
  'consent_unknown',
  'consent_of_another_recipient',
  'consent_declined',
  'consent_not_active',
  'consent_revoked',
  'consent_expired',
  'purpose_denied',
  'purpose_not_approved',
  'cluster_not_approved',
  'delivery_not_covered',
  'account_not_covered',
  'cluster_not_covered',
  'time_not_covered',
  'token_revoked',
] as const

export type RefusalReason = (typeof refusalReasons)[number]

export function isRefusalReason(value: unknown): value is RefusalReason {
  return refusalReasons.some((reason) => reason === value)
}

/** Whether it says that the consent was there and is no more. */
export function isEndOfConsent(reason: RefusalReason): boolean {
  return reason === 'consent_revoked' || reason === 'consent_expired'
}

/** Access was refused, for one of the named reasons. `detail` is for people and never holds personal data. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly reason: RefusalReason

  constructor(reason: RefusalReason, detail: string = reason.replaceAll('_', ' ')) {
    super(detail)
    this.reason = reason
  }
}
