import { describe, expect, it } from '@jest/globals'
import * as fc from 'fast-check'
import {
  notActive,
  seenBy,
  standing,
  uncovered,
  type Access,
  type Consent,
} from '../../src/consent/consent.ts'
import { refusalReasons, type RefusalReason } from '../../src/consent/refusal.ts'
import { earliestDate, type Approval } from '../../src/consent/terms.ts'
import { access, active, approval, at, inState, terms } from './examples.ts'

interface Asked {
  consent: Consent | undefined
  approval: Approval | undefined
  access: Access
  at: string
}

const asked: Asked = { consent: active, approval, access, at }
const refusal = ({ consent, ...rest }: Asked) => uncovered(consent, rest)

const denied = 'https://w3id.org/dpv#DirectMarketing'

const asking = (given: Partial<Access>) => (before: Asked) => ({
  ...before,
  access: { ...before.access, ...given },
})
const approving = (given: Partial<Approval>) => (before: Asked) => ({
  ...before,
  approval: { ...approval, ...before.approval, ...given },
})
const when = (state: Consent) => (before: Asked) => ({
  ...before,
  consent: { ...state, recipient: before.consent?.recipient ?? state.recipient },
})

/** One way to earn each refusal that the predicate gives; it leaves alone what a later refusal is for. */
const faults: {
  readonly [R in Exclude<RefusalReason, 'token_revoked'>]: (before: Asked) => Asked
} = {
  class_denied: asking({ to: 'advertising' }),
  recipient_not_approved: (before) => ({ ...before, approval: undefined }),
  recipient_suspended: approving({ suspended: true }),
  consent_unknown: (before) => ({ ...before, consent: undefined }),
  consent_of_another_recipient: asking({ recipient: 'other.example' }),
  consent_declined: when(inState.declined),
  consent_not_active: when(inState.requested),
  consent_revoked: when(inState.revoked),
  consent_expired: when(inState.expired),
  purpose_denied: when({ ...active, terms: { ...terms, purpose: denied } }),
  purpose_not_approved: approving({ purposes: [] }),
  cluster_not_approved: approving({ clusters: ['BALANCES'] }),
  delivery_not_covered: asking({ to: 'data_subject' }),
  account_not_covered: asking({ accounts: ['checking', 'mortgage'] }),
  cluster_not_covered: asking({ clusters: ['ACCOUNT_BASIC', 'BALANCES'] }),
  time_not_covered: asking({ since: '2025-11-30' }),
}

const reasons = refusalReasons.filter((reason) => reason !== 'token_revoked')

describe('a release', () => {
  it('is covered while the consent stands and its terms and approval hold all of it', () => {
    expect(refusal(asked)).toBeUndefined()
    const { since: _, ...rest } = access
    const little: Access = { ...rest, accounts: ['savings'], clusters: ['BALANCES'] }
    expect(refusal({ ...asked, access: little })).toBeUndefined()
  })

  it.each(reasons)('is refused with %s for what that names', (reason) => {
    expect(refusal(faults[reason](asked))).toBe(reason)
  })

  it('is refused with the first reason of the table where several hold', () => {
    fc.assert(
      fc.property(fc.subarray(reasons, { minLength: 2 }), (held) => {
        // Where two faults are of one place, the one applied last stays, and that is the first of the table.
        const faulty = held.toReversed().reduce((before, reason) => faults[reason](before), asked)
        expect(refusal(faulty)).toBe(held[0])
      }),
    )
  })

  it('ends with the consent, to the millisecond', () => {
    const last = '2026-05-30T11:59:59.999Z'
    const { since: _, ...rest } = access
    expect(refusal({ ...asked, access: rest, at: last })).toBeUndefined()
    expect(refusal({ ...asked, access: rest, at: terms.expires })).toBe('consent_expired')
  })

  it('follows the approval as it is now, not as it was at the grant', () => {
    expect(refusal({ ...asked, approval: { ...approval, class: 'third_party' } })).toBe(
      'class_denied',
    )
    expect(refusal({ ...asked, approval: { ...approval, class: 'data_subject' } })).toBe(
      'class_denied',
    )
  })

  it('is never to a class that cannot receive, whatever else is allowed', () => {
    for (const to of ['advertising', 'third_party'] as const)
      expect(refusal({ ...asked, access: { ...access, to } })).toBe('class_denied')
  })

  it('goes to the data subject alone where the consent says link_out', () => {
    const linkOut = { ...active, terms: { ...terms, delivery: 'link_out' } } as const
    expect(refusal({ ...asked, consent: linkOut })).toBe('delivery_not_covered')
    const shown = { ...access, to: 'data_subject' } as const
    expect(refusal({ ...asked, consent: linkOut, access: shown })).toBeUndefined()
  })

  it('reaches back to the first day of the lookback, and a minute is allowed for midnight', () => {
    const reaching = (since: string, now: string) =>
      refusal({ ...asked, access: { ...access, since }, at: now })
    expect(reaching('2025-12-01', '2026-03-02T00:00:59.999Z')).toBeUndefined()
    expect(reaching('2025-12-01', '2026-03-02T00:01:00.000Z')).toBe('time_not_covered')
    expect(reaching('2025-12-02', '2026-03-02T00:01:00.000Z')).toBeUndefined()
    expect(earliestDate(90, '2026-03-02T00:00:59.999Z')).toBe('2025-12-01')
    expect(earliestDate(90, '2026-03-02T00:01:00.000Z')).toBe('2025-12-02')
  })

  it('reaches back to no date that is none', () => {
    expect(refusal({ ...asked, access: { ...access, since: 'yesterday' } })).toBe(
      'time_not_covered',
    )
  })
})

describe('who sees a release', () => {
  it('is the data subject on our page, and else the class that the bank approved', () => {
    expect(seenBy({ delivery: 'link_out' }, approval)).toBe('data_subject')
    expect(seenBy({ delivery: 'in_thread' }, approval)).toBe('messaging_platform')
    expect(seenBy({ delivery: 'in_thread' }, undefined)).toBe('third_party')
  })
})

describe('what a recipient and a consent stand for', () => {
  it('is nothing without an approval', () => {
    expect(standing(undefined)).toBe('recipient_not_approved')
    expect(standing(approval)).toBeUndefined()
  })

  it('is the active state, and the time before its end', () => {
    expect(notActive(active, at)).toBeUndefined()
    expect(notActive(active, terms.expires)).toBe('consent_expired')
    expect(notActive(undefined, at)).toBe('consent_unknown')
  })
})
