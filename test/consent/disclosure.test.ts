import { describe, expect, it } from '@jest/globals'
import {
  disclosure_version,
  disclosureText,
  type DisclosureFacts,
} from '../../src/consent/disclosure.ts'
import type { RequestedTerms } from '../../src/consent/terms.ts'
import { hashOf } from '../../src/storage/ids.ts'

const requested: RequestedTerms = {
  recipient: 'messenger',
  bank: 'us-bank',
  clusters: ['ACCOUNT_BASIC', 'BALANCES', 'TRANSACTIONS', 'FRAUD_ALERTS'],
  purpose: 'https://w3id.org/dpv#RequestedServiceProvision',
  lookback_days: 90,
  one_time: false,
  duration_days: 90,
  delivery: 'link_out',
}

const facts: DisclosureFacts = {
  requested,
  recipient: 'Harbor Messaging, Inc.',
  bank: 'U.S. Bank National Association',
  connectionsUrl: 'https://broker.example/connections',
  at: Date.parse('2026-11-24T14:00:00Z'),
}

const before: DisclosureFacts['before'] = {
  granted: '2026-10-01T12:00:00.000Z',
  terms: {
    ...{ recipient: 'messenger', purpose: requested.purpose, clusters: ['BALANCES'] },
    ...{ accounts: ['a'.repeat(22)], lookback_days: 0, one_time: false, delivery: 'link_out' },
    expires: '2026-12-30T12:00:00.000Z',
    disclosure: { version: '1', language: 'en', sha256: 'c'.repeat(43) },
  },
}

const text = (changes: Partial<RequestedTerms> = {}) =>
  disclosureText({ ...facts, requested: { ...requested, ...changes } }).text

describe('the disclosure', () => {
  it.each([
    ['(b)(1) the third party', 'Harbor Messaging, Inc. asks for data'],
    ['(b)(2) the data provider', 'your accounts at U.S. Bank National Association, your bank'],
    ['(b)(3) the service', 'Harbor Messaging, Inc. gives you your bank information in Messenger'],
    ['(b)(3) the purpose', 'providing the service you asked for'],
    [
      '(b)(3) only as necessary',
      'will collect, use and keep your data only as reasonably necessary to provide this service',
    ],
    ['(b)(4) names and numbers', 'Account name, type and last four digits'],
    ['(b)(4) balances', 'Account balances'],
    ['(b)(4) transactions', 'Transactions of the last 90 days'],
    ['(b)(5) certification', 'Harbor Messaging, Inc. certifies that it agrees to the obligations'],
    ['(b)(5) certification of what', '12 CFR 1033.421'],
    ['(b)(6) duration', 'For 90 days from your approval'],
    ['(b)(6) end date', 'access ends on 22 February 2027 (UTC)'],
    ['(b)(6) one year', 'never collected for more than one year after you last gave this approval'],
    ['(b)(7) revocation', 'log in at https://broker.example/connections and choose “End access”'],
    ['421(a)(2) no advertising', 'may not use your data for targeted advertising'],
    ['421(a)(2) no cross-selling', 'may not use it to sell you other products'],
    ['421(a)(2) no sale', 'may not sell it'],
    [
      '431(b) the aggregator and its service',
      'Between U.S. Bank National Association and Harbor Messaging, Inc. stands Countersign, a data aggregator',
    ],
    [
      '431(c) its certification',
      'Countersign certifies that it agrees to those of 12 CFR 1033.421(a) to (f) and (i)',
    ],
  ])('says %s', (_, words) => {
    expect(text()).toContain(words)
  })

  it('says of fraud alerts, and of nothing else, that they lie outside the covered data', () => {
    const outside = text()
      .split('\n')
      .filter((line) => line.includes('outside the covered data'))
    expect(outside).toEqual([
      '- Fraud alerts (these lie outside the covered data of 12 CFR 1033.211)',
    ])
  })

  it('names only the data that is asked for', () => {
    const balances = text({ clusters: ['BALANCES'] })
    expect(balances).toContain('- Account balances\n')
    expect(balances).not.toMatch(/Transactions|Fraud alerts|last four digits\n/)
  })

  it('says of delivery in the thread that Meta sees it, and of delivery by link that Meta does not', () => {
    expect(text({ delivery: 'in_thread' })).toContain(
      'Meta, which runs Messenger, sees everything in that conversation',
    )
    expect(text({ delivery: 'link_out' })).toContain('nor Meta receives the figures')
  })

  it('says of access on one occasion that it ends within 24 hours', () => {
    expect(text({ one_time: true })).toContain('within 24 hours of your approval')
    expect(text({ one_time: true })).toContain('25 November 2026 (UTC) at the latest')
  })

  it('says of a permission that it changes what was, what will be, and what happens if not', () => {
    const changed = (change: Partial<RequestedTerms> = {}) =>
      disclosureText({ ...facts, before, requested: { ...requested, ...change } }).text
    expect(text()).not.toContain('permission that you gave before')
    for (const words of [
      'This changes a permission that you gave before',
      'On 1 October 2026 (UTC) you gave Harbor Messaging, Inc. access. If you approve, these terms take the place of those',
      'If you decline, that permission goes on as it was.',
      '- Accounts: until now those named below as shared before; from now on those you tick',
      '- Data: until now Account balances; from now on Account name, type and last four digits, Account balances, Transactions of the last 90 days, Fraud alerts',
      '- Purpose: providing the service you asked for, as before',
      '- How it reaches you: shown on a page of Countersign, to you alone, as before',
      '- End: until now 30 December 2026; from now on 22 February 2027',
    ])
      expect(changed()).toContain(words)
    expect(
      changed({ delivery: 'in_thread', purpose: 'https://w3id.org/dpv#CustomerCare' }),
    ).toContain(
      '- How it reaches you: until now shown on a page of Countersign, to you alone; from now on written into your Messenger conversation, where Meta sees it',
    )
    expect(changed({ purpose: 'https://w3id.org/dpv#CustomerCare' })).toMatch(
      /- Purpose: until now providing the service you asked for; from now on /,
    )
  })

  it('keeps its wording under its version: whoever changes a word changes the version', () => {
    const variants = [{}, { delivery: 'in_thread' }, { one_time: true }] as const
    const changed = disclosureText({ ...facts, before }).text
    expect({
      version: disclosure_version,
      hashes: [...variants.map(text), changed].map((one) => hashOf(one).toString('base64url')),
    }).toMatchInlineSnapshot(`
      {
        "hashes": [
          "So1KZETTAp4k_hYiaX63OXQsRgg7YQARBTs1CH9WMxM",
          "hkOOxi1lt0cZSUhwzced_a3xCMlAx15fs0sS3wg-YzE",
          "sYGjoto5VyZXVsQexMoMX23XixicUMxUngPRTHP5AlM",
          "iN9ufVv5sGEIA6PDqW8Q0E4ycSHgkqw4EppHo2_k1J4",
        ],
        "version": "2",
      }
    `)
  })
})
