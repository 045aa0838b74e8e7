import { describe, expect, it } from '@jest/globals'
import { activeKeys } from '../../src/ledger/key.ts'
import { messenger, random128, random256 } from '../support/ledger_builder.ts'
import { replayAll, started, tamper, violationOf } from './replaying.ts'

const day = 86_400_000

describe('a ledger of every kind of entry', () => {
  it('replays, and amounts to what was entered', () => {
    const { ledger, consent } = started()
    ledger.release(consent)
    ledger.refuse({ count: 7 })
    ledger.refuse({
      consent,
      class: 'messaging_platform',
      client: messenger,
      reason: 'account_not_covered',
    })
    ledger.replace(consent, { delivery: 'link_out', by: 'customer' })
    ledger.release(consent)
    ledger.revoke(consent)
    const second = ledger.grant()
    ledger.wait(90 * day)
    ledger.expire(second)
    ledger.expire(ledger.grant(), { cause: 'unredeemed' })
    ledger.suspend()
    ledger.append('policy', { kinds: ['outcome'], reasons: ['weather'], totals: ['outcomes'] })
    ledger.refuse({ reason: 'weather' })
    const [nextKey, token] = [`${ledger.origin}+00000001+AQ==`, random256()]
    for (const use of ['next', 'active'] as const) {
      ledger.key({ of: 'ledger', key: nextKey, use })
      ledger.key({ of: 'tokens', key: token, use })
    }
    ledger.key({ of: 'ledger', key: `${ledger.origin}+00000000+AQ==`, use: 'retired' })
    ledger.epoch()

    const state = replayAll(ledger.entries)
    expect(state.size).toBe(ledger.entries.length)
    expect(state.totals).toEqual({
      expiries: 2,
      grants: 3,
      outcomes: 0,
      refusals_advertising: 8,
      refusals_data_subject: 0,
      refusals_messaging_platform: 1,
      refusals_third_party: 0,
      releases_advertising: 0,
      releases_data_subject: 1,
      releases_messaging_platform: 1,
      releases_third_party: 0,
      replaces: 1,
      revocations: 1,
    })
    expect(activeKeys(state.keys.ledger)).toEqual([nextKey])
    expect(activeKeys(state.keys.tokens)).toEqual([token])
    expect(state.genesis?.origin).toBe(ledger.origin)
    expect(state.approvals.get(messenger)?.suspended).toBe(true)
    expect([...state.consents.values()].map((one) => one.state)).toEqual([
      'revoked',
      'expired',
      'expired',
    ])
  })

  it('lets a new approval lift a suspension and take the place of the one before', () => {
    const { ledger, consent } = started()
    ledger.suspend()
    ledger.approve({ clusters: ['BALANCES'] })
    ledger.release(consent, { clusters: ['BALANCES'], since: undefined } as never)
    expect(violationOf(ledger.entries)).toBeUndefined()
  })

  it('lets two entries be of one time, and a consent be revoked past its end', () => {
    const { ledger, consent } = started()
    ledger.wait(-1000)
    ledger.release(consent)
    ledger.wait(100 * day)
    ledger.revoke(consent)
    expect(violationOf(ledger.entries)).toBeUndefined()
  })

  it('lets a refusal name a consent that was never granted, and starts its chain', () => {
    const { ledger } = started()
    const unknown = `us-bank.${random128()}`
    ledger.refuse({ consent: unknown, reason: 'consent_unknown' })
    ledger.refuse({ consent: unknown, reason: 'consent_unknown' })
    expect(violationOf(ledger.entries)).toBeUndefined()
  })

  it('lets a login at the bank broaden a consent', () => {
    const { ledger, consent } = started()
    ledger.replace(consent, { lookback_days: 365, accounts: [random128()] })
    expect(violationOf(ledger.entries)).toBeUndefined()
  })

  it('lets a customer narrow a consent without a login', () => {
    const { ledger, consent } = started()
    ledger.replace(consent, { lookback_days: 30, delivery: 'link_out' })
    tamper(ledger, ({ body }) => {
      delete body['login']
      delete body['terms']
    })
    expect(violationOf(ledger.entries)).toBeUndefined()
  })
})
