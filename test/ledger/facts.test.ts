import { describe, expect, it } from '@jest/globals'
import * as fc from 'fast-check'
import { classNames } from '../../src/consent/class.ts'
import { readEntry } from '../../src/ledger/entry.ts'
import { factsOf, seeEntry } from '../../src/ledger/facts.ts'
import { noTotals } from '../../src/ledger/totals.ts'
import { openLedger, encodeEntry } from '../support/ledger_builder.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const entryOf = (kind: string, body: object) =>
  encodeEntry({ v: 1, n: 7, at: '2026-01-31T00:00:00.000Z', kind, body, totals: noTotals })

describe('the facts of an entry', () => {
  it('of a release are whose, which, for what, and every request that it answers', () => {
    const ledger = openLedger()
    ledger.approve()
    const consent = ledger.grant()
    const n = ledger.release(consent, { fetches: ['AAECAwQFBgcICQoLDA0ODw'] })
    const entry = readEntry(ledger.entries[n] ?? bytes(''))
    if (entry.kind !== 'release') throw new Error('not a release')
    expect(factsOf(ledger.entries[n] ?? bytes(''))).toEqual({
      at: entry.at,
      facet: {
        ...{ kind: 'release', code: 'RL002I', recipient: entry.body.recipient },
        ...{ class: classNames[1], purpose: entry.body.purpose },
        clusters: entry.body.clusters.toSorted(),
      },
      consent,
      interactions: [entry.body.interaction, '00010203-0405-0607-0809-0a0b0c0d0e0f'],
      count: 1,
    })
  })

  it('of a refusal count its attempts, under the name of its client', () => {
    const ledger = openLedger()
    const n = ledger.refuse({ client: 'adnetwork', count: 41 })
    expect(factsOf(ledger.entries[n] ?? bytes(''))).toMatchObject({
      facet: {
        code: 'RF001E',
        recipient: 'adnetwork',
        class: 'advertising',
        reason: 'class_denied',
      },
      count: 41,
    })
  })

  it('of a kind that came later are those that it has in common with others', () => {
    const body = {
      by: 'bank',
      class: 'third_party',
      consent: 'citi.x-lhLfE7pVyPjoWYvLEoTA',
      news: 1,
    }
    const found = entryOf('consent.transfer', body)
    expect(factsOf(found)).toEqual({
      at: '2026-01-31T00:00:00.000Z',
      facet: { kind: 'consent.transfer', code: 'XX000W', class: 'third_party', actor: 'bank' },
      consent: body.consent,
      interactions: [],
      count: 1,
    })
    expect(seeEntry(found)).toMatchObject({ kind: 'consent.transfer', body, totals: noTotals })
  })

  it.each([
    ['nothing', ''],
    ['no JSON', 'x'],
    ['no object', '[1]'],
    ['no kind', '{}'],
    ['a kind that is no word', '{"kind":"A b"}'],
    ['members of other types', '{"kind":1,"body":[],"totals":"x","at":5}'],
    ['a time that is none', '{"kind":"future","at":"2026-13-45T99:00:00.000Z"}'],
    ['a name too long', `{"kind":"future","body":{"recipient":"${'x'.repeat(201)}"}}`],
    ['a name with a NUL', '{"kind":"future","body":{"recipient":"a\\u0000b"}}'],
    ['half a character in a name', '{"kind":"future","body":{"recipient":"a\\ud800b"}}'],
  ])('of bytes with %s are that it is unknown', (_, text) => {
    const { at, facet } = factsOf(bytes(text))
    expect(at).toBeUndefined()
    expect(facet).toEqual({ kind: text.includes('future') ? 'future' : 'unknown', code: 'XX000W' })
  })

  it.each(['0', '-1', '0.5', '1e300', '"2"'])('count once where the count is %s', (count) => {
    expect(factsOf(bytes(`{"kind":"refusal","v":2,"body":{"count":${count}}}`)).count).toBe(1)
  })

  it('are there whatever the bytes are', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), fc.json().map(bytes)), (any) => {
        expect(factsOf(any).facet.code).toBe('XX000W')
      }),
    )
  })
})

describe('the sentence of an entry', () => {
  it('is one for each kind, without figures that the entry does not have', () => {
    const ledger = openLedger()
    ledger.approve()
    const consent = ledger.grant()
    ledger.replace(consent)
    ledger.release(consent)
    ledger.refuse({ count: 2 })
    ledger.key()
    ledger.revoke(consent)
    ledger.suspend()
    ledger.epoch()
    ledger.access()
    for (const entry of ledger.entries)
      expect(seeEntry(entry).sentence).toMatch(/^(?:[A-Z]|adnetwork).*[^.]\.$/)
  })

  it('says who saw what, and why someone was refused', () => {
    const body = { class: 'advertising', client: 'adnetwork', count: 1, reason: 'class_denied' }
    const salt = 'Zm9vYmFyYmF6cXV4cXV1eA'
    expect(seeEntry(entryOf('refusal', { ...body, salt })).sentence).toBe(
      'adnetwork, an advertiser, was refused 1 time: its class can never receive data.',
    )
    expect(seeEntry(entryOf('refusal', { ...body, reason: 'too_late', salt })).sentence).toContain(
      'refused 1 time: too late.',
    )
  })
})
