import type { Access, ActiveConsent, Consent } from '../../src/consent/consent.ts'
import type { Approval, Terms } from '../../src/consent/terms.ts'

export const at = '2026-03-01T12:00:00.000Z'
export const later = '2026-03-02T12:00:00.000Z'

export const terms: Terms = {
  recipient: 'messenger.example',
  purpose: 'https://w3id.org/dpv#RequestedServiceProvision',
  clusters: ['BALANCES', 'TRANSACTIONS'],
  accounts: ['checking', 'savings'],
  lookback_days: 90,
  one_time: false,
  expires: '2026-05-30T12:00:00.000Z',
  delivery: 'in_thread',
  disclosure: { version: '1', language: 'en', sha256: 'A'.repeat(43) },
}

export const approval: Approval = {
  recipient: terms.recipient,
  class: 'messaging_platform',
  purposes: [terms.purpose],
  clusters: ['ACCOUNT_BASIC', 'BALANCES', 'TRANSACTIONS'],
  keys: [],
  suspended: false,
}

/** What `terms` let the recipient have, all of it. */
export const access: Access = {
  recipient: terms.recipient,
  to: 'messaging_platform',
  clusters: terms.clusters,
  accounts: terms.accounts,
  since: '2025-12-01',
}

const granted = { id: 'us-bank.consent', recipient: terms.recipient, terms, granted: at }

export const active: ActiveConsent = { ...granted, state: 'active' }

/** One consent in each state. */
export const inState: { readonly [S in Consent['state']]: Consent } = {
  requested: { id: granted.id, recipient: granted.recipient, state: 'requested' },
  declined: { id: granted.id, recipient: granted.recipient, state: 'declined' },
  active,
  revoked: { ...granted, state: 'revoked', ended: { at, by: 'customer' } },
  expired: { ...granted, state: 'expired', ended: { at, cause: 'term' } },
}
