import type { Actor } from '../consent/consent.ts'

/** Who did something, in words for the customer. */
export const actorWords: Readonly<Record<Actor, string>> = {
  customer: 'by you',
  recipient: 'by the recipient',
  bank: 'by your bank',
  operator: 'by Countersign',
}
