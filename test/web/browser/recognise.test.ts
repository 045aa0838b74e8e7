import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { eventCodes } from '../../../src/ledger/code.ts'
import { forms, recognise } from '../../../src/web/browser/recognise.ts'

const one = (word: string) => recognise(word).recognised[0]

describe('the search box', () => {
  it('recognises an example of each form as that form, and says which filters it stands for', () => {
    for (const { is, example } of forms) expect(one(example)).toMatchObject({ word: example, is })
  })

  it.each([
    ['1024', { from_index: '1024', to_index: '1025' }],
    ['10-12', { from_index: '10', to_index: '13' }],
    ['2026-02-28', { from: '2026-02-28T00:00:00.000Z', to: '2026-03-01T00:00:00.000Z' }],
    [
      '8ED49138-A74C-468C-9329-EE1822BE0AE7',
      { interaction: '8ed49138-a74c-468c-9329-ee1822be0ae7' },
    ],
    ['adnetwork.example', { recipient: 'adnetwork.example' }],
    ['class_denied', { reason: 'class_denied' }],
  ])('%s', (word, filters) => {
    expect(one(word)?.filters).toEqual(filters)
  })

  it('takes several words together', () => {
    const { recognised, unknown } = recognise('  adnetwork   class_denied 2026-11-01 ')
    expect(recognised.map(({ is }) => is)).toEqual(['recipient', 'reason of refusal', 'date, UTC'])
    expect(unknown).toEqual([])
  })

  it('gives back what it does not know, rather than search for the rest', () => {
    const { recognised, unknown } = recognise('messenger ümläut "quoted"')
    expect(recognised.map(({ word }) => word)).toEqual(['messenger'])
    expect(unknown).toEqual(['ümläut', '"quoted"'])
  })

  it.each(['2026-02-30', '2026-13-01', '12-10'])('%s is no date and no range', (word) => {
    expect(one(word)?.is).toBe('recipient')
  })

  it('knows every event code', () => {
    for (const { code } of eventCodes) expect(one(code)).toMatchObject({ is: 'event code' })
  })

  it('never fails, and loses no word', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (typed) => {
        const { recognised, unknown } = recognise(typed)
        const words = typed.split(/\s+/).filter((word) => word !== '')
        expect(recognised.length + unknown.length).toBe(words.length)
      }),
    )
  })
})
