import { describe, expect, it } from '@jest/globals'
import {
  actors,
  broadens,
  decline,
  expire,
  grant,
  replace,
  revoke,
  type Consent,
} from '../../src/consent/consent.ts'
import type { RefusalReason } from '../../src/consent/refusal.ts'
import type { Terms } from '../../src/consent/terms.ts'
import { active, approval, at, inState, later, terms } from './examples.ts'

type State = Consent['state']

const narrower: Terms = { ...terms, accounts: ['checking'] }
const expired = terms.expires

const moves = {
  grant: (consent: Consent) => grant(consent, { terms, approval, at }),
  decline,
  replace: (consent: Consent) => replace(consent, { terms: narrower, approval, at: later }),
  revoke: (consent: Consent) => revoke(consent, { at: later, by: 'bank' }),
  'expire at its end': (consent: Consent) => expire(consent, { at: expired, cause: 'term' }),
  'expire unredeemed': (consent: Consent) => expire(consent, { at: later, cause: 'unredeemed' }),
} as const

/** Where each move leads from each state, or why it is refused. */
const table: {
  readonly [M in keyof typeof moves]: { readonly [S in State]: State | RefusalReason }
} = {
  grant: {
    requested: 'active',
    declined: 'consent_declined',
    active: 'consent_not_active',
    revoked: 'consent_revoked',
    expired: 'consent_expired',
  },
  decline: {
    requested: 'declined',
    declined: 'declined',
    active: 'consent_not_active',
    revoked: 'consent_not_active',
    expired: 'consent_not_active',
  },
  replace: {
    requested: 'consent_not_active',
    declined: 'consent_declined',
    active: 'active',
    revoked: 'consent_revoked',
    expired: 'consent_expired',
  },
  revoke: {
    requested: 'consent_not_active',
    declined: 'consent_declined',
    active: 'revoked',
    revoked: 'consent_revoked',
    expired: 'consent_expired',
  },
  'expire at its end': {
    requested: 'consent_not_active',
    declined: 'consent_declined',
    active: 'expired',
    revoked: 'consent_revoked',
    expired: 'consent_expired',
  },
  'expire unredeemed': {
    requested: 'consent_not_active',
    declined: 'consent_declined',
    active: 'expired',
    revoked: 'consent_revoked',
    expired: 'consent_expired',
  },
}

const cases = Object.entries(table).flatMap(([move, row]) =>
  Object.entries(row).map(([from, to]) => ({
    move: move as keyof typeof moves,
    from: from as State,
    to,
  })),
)

describe('the moves of a consent', () => {
  it.each(cases)('$move of a consent that is $from: $to', ({ move, from, to }) => {
    const moved = moves[move](inState[from])
    expect(typeof moved === 'string' ? moved : moved.state).toBe(to)
  })

  it('keep who and what a consent is for, whatever they end it with', () => {
    for (const move of ['revoke', 'expire at its end', 'expire unredeemed'] as const)
      expect(moves[move](active)).toMatchObject({
        id: active.id,
        recipient: active.recipient,
        terms,
        granted: at,
      })
  })

  it('record who revoked, and why it expired', () => {
    for (const by of actors)
      expect(revoke(active, { at: later, by })).toMatchObject({ ended: { at: later, by } })
    expect(expire(active, { at: later, cause: 'unredeemed' })).toMatchObject({
      ended: { at: later, cause: 'unredeemed' },
    })
  })

  it('give a replaced consent its new terms and its old id', () => {
    expect(moves.replace(active)).toEqual({ ...active, terms: narrower, granted: later })
  })

  it('leave a consent revocable after its end until its expiry is written', () => {
    expect(revoke(active, { at: expired, by: 'customer' })).toMatchObject({ state: 'revoked' })
  })

  it('do not replace a consent past its end, nor expire one before it', () => {
    expect(replace(active, { terms, approval, at: expired })).toBe('consent_expired')
    const before = '2026-05-30T11:59:59.999Z'
    expect(expire(active, { at: before, cause: 'term' })).toBe('consent_not_active')
  })
})

describe('a grant', () => {
  const granting = (given: Partial<Terms>, to = approval) =>
    grant(inState.requested, { terms: { ...terms, ...given }, approval: to, at })

  it('is for the recipient that asked', () => {
    expect(granting({ recipient: 'other.example' })).toBe('consent_of_another_recipient')
  })

  it('needs an approval of the recipient that stands, and that can receive', () => {
    expect(grant(inState.requested, { terms, approval: undefined, at })).toBe(
      'recipient_not_approved',
    )
    expect(granting({}, { ...approval, suspended: true })).toBe('recipient_suspended')
    expect(granting({}, { ...approval, class: 'advertising' })).toBe('class_denied')
    expect(granting({}, { ...approval, class: 'third_party' })).toBe('class_denied')
  })

  it('stays within the purposes and clusters that the bank approved', () => {
    const denied = 'https://w3id.org/dpv#TargetedAdvertising'
    expect(granting({ purpose: denied }, { ...approval, purposes: [denied] })).toBe(
      'purpose_denied',
    )
    expect(granting({ purpose: 'https://w3id.org/dpv#CustomerCare' })).toBe('purpose_not_approved')
    expect(granting({ clusters: ['FRAUD_ALERTS'] })).toBe('cluster_not_approved')
  })

  const handles = (count: number) => Array.from({ length: count }, (_, i) => `account ${i}`)
  const hours = (count: number) => new Date(Date.parse(at) + count * 3_600_000).toISOString()
  const aMoment = new Date(Date.parse(at) + 365 * 86_400_000 + 1).toISOString()

  it.each<[string, Partial<Terms>]>([
    ['32 accounts', { accounts: handles(32) }],
    ['a lookback of none', { lookback_days: 0 }],
    ['a lookback of 730 days', { lookback_days: 730 }],
    ['365 days', { expires: hours(365 * 24) }],
    ['once, within 24 hours', { one_time: true, expires: hours(24) }],
    ['a millisecond', { expires: '2026-03-01T12:00:00.001Z' }],
  ])('may be for %s', (_, given) => {
    expect(granting(given)).toMatchObject({ state: 'active' })
  })

  it.each<[string, Partial<Terms>, RefusalReason]>([
    ['no account', { accounts: [] }, 'account_not_covered'],
    ['33 accounts', { accounts: handles(33) }, 'account_not_covered'],
    ['one account twice', { accounts: ['checking', 'checking'] }, 'account_not_covered'],
    ['no cluster', { clusters: [] }, 'cluster_not_covered'],
    ['one cluster twice', { clusters: ['BALANCES', 'BALANCES'] }, 'cluster_not_covered'],
    ['a negative lookback', { lookback_days: -1 }, 'time_not_covered'],
    ['a lookback of 731 days', { lookback_days: 731 }, 'time_not_covered'],
    ['a moment more than 365 days', { expires: aMoment }, 'time_not_covered'],
    ['once, within 25 hours', { one_time: true, expires: hours(25) }, 'time_not_covered'],
    ['no time at all', { expires: at }, 'time_not_covered'],
    ['an end that is no time', { expires: 'whenever' }, 'time_not_covered'],
  ])('is never for %s', (_, given, reason) => {
    expect(granting(given)).toBe(reason)
  })
})

describe('new terms broaden a consent', () => {
  it.each<[string, Partial<Terms>]>([
    ['another purpose', { purpose: 'https://w3id.org/dpv#CustomerCare' }],
    ['one more account', { accounts: [...terms.accounts, 'mortgage'] }],
    ['another account', { accounts: ['mortgage'] }],
    ['one more cluster', { clusters: [...terms.clusters, 'ACCOUNT_BASIC'] }],
    ['a longer lookback', { lookback_days: 91 }],
    ['a later end', { expires: '2026-05-30T12:00:00.001Z' }],
  ])('with %s', (_, given) => {
    expect(broadens({ ...terms, ...given }, terms)).toBe(true)
  })

  it('when figures come into the thread, or once becomes more than once', () => {
    expect(broadens(terms, { ...terms, delivery: 'link_out' })).toBe(true)
    expect(broadens(terms, { ...terms, one_time: true })).toBe(true)
  })

  it('but not when they say the same, or less in any respect', () => {
    expect(broadens(terms, terms)).toBe(false)
    const less: Partial<Terms>[] = [
      { accounts: ['savings'] },
      { clusters: ['BALANCES'] },
      { lookback_days: 0 },
      { expires: later },
      { one_time: true },
      { delivery: 'link_out' },
      { disclosure: { ...terms.disclosure, language: 'es' } },
    ]
    for (const given of less) expect(broadens({ ...terms, ...given }, terms)).toBe(false)
  })
})
