import { describe, expect, it } from '@jest/globals'
import { classes, classNames, isClass } from '../../src/consent/class.ts'
import { clusterNames, isCluster, scopeOf } from '../../src/consent/cluster.ts'
import { isRefusalReason, Refusal, refusalReasons } from '../../src/consent/refusal.ts'
import { expiryOf } from '../../src/consent/terms.ts'

const at = Date.parse('2026-03-01T12:00:00.000Z')
const days = (count: number) => at + count * 86_400_000

describe('the end of a consent', () => {
  it('is its own duration from the grant', () => {
    expect(expiryOf({ one_time: false, duration_days: 90 }, { at })).toBe(
      '2026-05-30T12:00:00.000Z',
    )
  })

  it('is 24 hours after the grant for one occasion, whatever the duration', () => {
    expect(expiryOf({ one_time: true, duration_days: 365 }, { at })).toBe(
      '2026-03-02T12:00:00.000Z',
    )
  })

  it("is the bank's end where that is sooner, and never where it is later", () => {
    const request = { one_time: false, duration_days: 90 }
    expect(expiryOf(request, { at, bankEnd: days(30) })).toBe('2026-03-31T12:00:00.000Z')
    expect(expiryOf(request, { at, bankEnd: days(300) })).toBe('2026-05-30T12:00:00.000Z')
  })
})

describe('the vocabularies', () => {
  it('let two classes receive and no other', () => {
    expect(classNames.filter((name) => classes[name].mayReceive)).toEqual([
      'data_subject',
      'messaging_platform',
    ])
  })

  it('hold what they name, and nothing that every object has', () => {
    expect(classNames.every(isClass)).toBe(true)
    expect(clusterNames.every(isCluster)).toBe(true)
    expect(refusalReasons.every(isRefusalReason)).toBe(true)
    for (const alien of ['constructor', '__proto__', 'Advertising', 'balances', '', 1, null])
      expect([isClass, isCluster, isRefusalReason].some((is) => is(alien))).toBe(false)
  })

  it('ask for clusters in one order', () => {
    expect(scopeOf(['TRANSACTIONS', 'BALANCES'])).toBe('fdx:balances:read fdx:transactions:read')
  })

  it('say a refusal in words where nothing better is said', () => {
    expect(new Refusal('consent_revoked').message).toBe('consent revoked')
    expect(new Refusal('consent_revoked', 'it ended').message).toBe('it ended')
  })
})
