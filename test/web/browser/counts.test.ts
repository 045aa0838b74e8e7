import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import type { ListedEntry } from '../../../src/web/browser/api.ts'
import { chart, others_key, peakOf, series_max, stepOf } from '../../../src/web/browser/charted.ts'
import { coverageOf, gapsIn } from '../../../src/web/browser/coverage.ts'
import { ago, freshness, stale_s } from '../../../src/web/browser/freshness.ts'
import { rememberIn } from '../../../src/web/browser/remembered.ts'
import { fromField, localTime, toField, utcTime } from '../../../src/web/browser/time.tsx'

const range = { from: '2026-11-01T00:00:00.000Z', to: '2026-11-04T00:00:00.000Z' }
const day = (d: number) => `2026-11-0${d}T12:00:00.000Z`

describe('a chart', () => {
  it('has a place for each step, and 0 where nothing was counted', () => {
    const charted = chart(
      [
        { at: day(3), key: 'advertising', n: 2 },
        { at: day(1), key: 'third_party', n: 1 },
        { at: day(3), key: 'advertising', n: 3 },
        { at: day(9), key: 'advertising', n: 7 },
      ],
      { ...range, step: 'day', keys: ['data_subject', 'advertising'] },
    )
    expect(charted.times).toHaveLength(3)
    expect(charted.series).toEqual([
      { key: 'data_subject', values: [0, 0, 0], sum: 0 },
      { key: 'advertising', values: [0, 0, 5], sum: 5 },
      { key: 'third_party', values: [1, 0, 0], sum: 1 },
    ])
    expect(peakOf(charted)).toEqual({ at: Date.parse(range.from) / 1000 + 2 * 86_400, n: 5 })
  })

  it('shows as many series as can be told apart, and loses no count', () => {
    const counted = fc.array(
      fc.record({
        at: fc.constantFrom(day(1), day(2), day(3)),
        key: fc.constantFrom(...'a b c d e f g h i j'.split(' ')),
        n: fc.nat({ max: 1000 }),
      }),
    )
    fc.assert(
      fc.property(counted, (all) => {
        const { series, total } = chart(all, { ...range, step: 'day' })
        expect(series.length).toBeLessThanOrEqual(series_max)
        expect(series.reduce((sum, one) => sum + one.sum, 0)).toBe(total)
        expect(total).toBe(all.reduce((sum, { n }) => sum + n, 0))
        if (series.length === series_max && series.at(-1)?.key !== others_key)
          expect(new Set(all.map(({ key }) => key)).size).toBe(series_max)
      }),
    )
  })

  it('has hours for up to three days', () => {
    expect(stepOf(range)).toBe('hour')
    expect(stepOf({ ...range, to: '2026-11-04T00:00:00.001Z' })).toBe('day')
  })
})

describe('what the bank stated', () => {
  const entry = (n: number, kind: string, body: Record<string, unknown>): ListedEntry => ({
    ...{ n, at: day(1), kind, body, totals: {}, code: '', sentence: '' },
  })

  it('adds up to what is covered, and what does not match', () => {
    const statements = [
      entry(5, 'statement', { count: 2, from: range.from, to: day(2) }),
      entry(7, 'statement', { count: 3, from: day(3), to: range.to }),
    ]
    const reconciles = [
      entry(9, 'reconcile', { dropped: 1, missing: 0, refused: 0, released: 1, unknown: 0 }),
      entry(11, 'reconcile', { dropped: 0, missing: 2, refused: 0, released: 2, unknown: 1 }),
    ]
    expect(coverageOf({ statements, reconciles }, range)).toEqual({
      ...{ statements: 2, reconciled: 2, requests: 5, unknown: 1, missing: 2, dropped: 1 },
      gaps: [{ from: day(2), to: day(3) }],
      mismatches: [11],
    })
  })

  it('leaves gaps: in and out of order, overlapping, beyond the range, none at all', () => {
    expect(gapsIn([], range)).toEqual([range])
    expect(gapsIn([{ from: '2026-01-01', to: '2027-01-01' }], range)).toEqual([])
    const spans = [
      { from: day(3), to: day(9) },
      { from: day(1), to: day(2) },
      { from: day(1), to: day(1) },
    ]
    expect(gapsIn(spans, range)).toEqual([
      { from: range.from, to: day(1) },
      { from: day(2), to: day(3) },
    ])
  })
})

describe('times', () => {
  it('are shown in UTC, to the digit that says something', () => {
    expect(utcTime('2026-11-01T09:00:00.000Z')).toBe('2026-11-01 09:00 UTC')
    expect(utcTime('2026-11-01T09:00:01.000Z')).toBe('2026-11-01 09:00:01 UTC')
    expect(utcTime('2026-11-01T09:00:01.020Z')).toBe('2026-11-01 09:00:01.020 UTC')
    expect(utcTime('sometime')).toBe('sometime')
    expect(localTime('sometime')).toBeUndefined()
  })

  it('go through a field that knows no zone', () => {
    expect(fromField(toField('2026-11-01T09:30:00.000Z'))).toBe('2026-11-01T09:30:00.000Z')
    expect(fromField('2026-11-01T09:30:15')).toBe('2026-11-01T09:30:15.000Z')
    expect(fromField('')).toBeUndefined()
  })
})

describe('a witness', () => {
  const now = 1_800_000_000_000

  it('is fresh up to the limit', () => {
    expect(freshness(now / 1000 - stale_s, now)).toBe('passed')
    expect(freshness(now / 1000 - stale_s - 1, now)).toBe('not_done')
    expect(freshness(undefined, now)).toBe('not_done')
  })

  it.each([
    [0, 'now'],
    [1, '1 second ago'],
    [59, '59 seconds ago'],
    [60, '1 minute ago'],
    [7_200, '2 hours ago'],
    [86_400, '1 day ago'],
  ])('%s s', (seconds, words) => {
    expect(ago(now / 1000 - seconds, now)).toBe(words)
  })
})

describe('what a browser remembers', () => {
  it('is kept by bank, and what is malformed counts as nothing', () => {
    const kept = new Map<string, string>()
    const memory = rememberIn({
      getItem: (key) => kept.get(key) ?? null,
      setItem: (key, value) => void kept.set(key, value),
      removeItem: (key) => void kept.delete(key),
    })
    const pin = { policy: 'log x', at: day(1), source: 'given', compared: true } as const
    memory.setPin('citi', pin)
    memory.setSeen('citi', { size: 4, root: 'r', note: 'n' })
    expect([memory.pin('citi'), memory.pin('chase')]).toEqual([pin, undefined])
    expect(memory.seen('citi')).toEqual({ size: 4, root: 'r', note: 'n' })
    memory.setPin('citi', undefined)
    expect(memory.pin('citi')).toBeUndefined()
    for (const text of ['', '{', 'null', '[]', '{"size":"4","root":"r","note":"n"}']) {
      kept.set('countersign.seen.citi', text)
      expect(memory.seen('citi')).toBeUndefined()
    }
    expect(memory.shortcut()).toBe(true)
    memory.setShortcut(false)
    expect(memory.shortcut()).toBe(false)
  })
})
