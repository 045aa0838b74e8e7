import { describe, expect, it } from '@jest/globals'
import { classNames } from '../../src/consent/class.ts'
import { kinds, readEntry } from '../../src/ledger/entry.ts'
import { addTotals, delta, noTotals, totalNames } from '../../src/ledger/totals.ts'
import { openLedger } from '../support/ledger_builder.ts'

function entriesOfAHistory() {
  const ledger = openLedger()
  ledger.append('policy', { kinds: [], reasons: [], totals: [] })
  ledger.key()
  ledger.approve()
  const consent = ledger.grant()
  ledger.replace(consent)
  for (const to of classNames) ledger.release(consent, { to })
  for (const one of classNames) ledger.refuse({ class: one, count: 5 })
  ledger.revoke(consent)
  ledger.expire(ledger.grant())
  ledger.epoch()
  ledger.access()
  ledger.suspend()
  ledger.statement()
  ledger.reconcile()
  ledger.erase([consent])
  ledger.restore()
  ledger.close()
  return ledger.entries.map(readEntry)
}

describe('the totals', () => {
  it('are raised by these entries and no others', () => {
    const raised = entriesOfAHistory().map((entry) => [entry.kind, delta(entry)])
    expect(raised).toEqual([
      ['genesis', undefined],
      ['policy', undefined],
      ['key', undefined],
      ['recipient.approve', undefined],
      ['consent.grant', { name: 'grants', by: 1 }],
      ['consent.replace', { name: 'replaces', by: 1 }],
      ...classNames.map((name) => ['release', { name: `releases_${name}`, by: 1 }]),
      ...classNames.map((name) => ['refusal', { name: `refusals_${name}`, by: 5 }]),
      ['consent.revoke', { name: 'revocations', by: 1 }],
      ['consent.grant', { name: 'grants', by: 1 }],
      ['consent.expire', { name: 'expiries', by: 1 }],
      ['epoch', undefined],
      ['access', undefined],
      ['recipient.suspend', undefined],
      ['statement', undefined],
      ['reconcile', undefined],
      ['erasure', undefined],
      ['restore', undefined],
      ['close', undefined],
    ])
    expect(new Set(raised.map(([kind]) => kind))).toEqual(new Set(kinds))
  })

  it('start at zero, hold every name once in order, and raise no name but those', () => {
    expect(Object.keys(noTotals)).toEqual(totalNames)
    expect([...totalNames].toSorted()).toEqual(totalNames)
    expect(new Set(Object.values(noTotals))).toEqual(new Set([0]))
    for (const entry of entriesOfAHistory())
      expect(Object.keys(addTotals(noTotals, entry))).toEqual(totalNames)
  })

  it('are in each entry those after it', () => {
    const entries = entriesOfAHistory()
    entries.reduce((before, entry) => {
      expect(entry.totals).toEqual(addTotals(before, entry))
      return entry.totals
    }, noTotals)
  })
})
