import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { filterNames, readFilters, writeFilters } from '../../../src/web/browser/filters.ts'
import {
  addressOf,
  readPlace,
  splits,
  wholeRange,
  type Place,
} from '../../../src/web/browser/view.ts'

const text = fc.string({ minLength: 1, maxLength: 60, unit: 'grapheme' })
const filters = fc.record(Object.fromEntries(filterNames.map((name) => [name, text])), {
  requiredKeys: [],
})
const range = fc.record({ from: text, to: text }, { requiredKeys: [] })
const view = fc.oneof(
  fc.record({
    name: fc.constant('overview' as const),
    range,
    by: fc.constantFrom(...splits),
  }),
  fc.record(
    { name: fc.constant('search' as const), filters, cursor: text },
    { requiredKeys: ['name', 'filters'] },
  ),
  fc.record({ name: fc.constant('entry' as const), index: fc.nat({ max: 999_999_999_999_999 }) }),
  fc.record({ name: fc.constant('export' as const), filters }),
  fc.record({ name: fc.constant('report' as const), range }),
  fc.record({ name: fc.constant('trust' as const) }),
)
const place: fc.Arbitrary<Place> = fc.record({ bank: fc.stringMatching(/^[a-z0-9-]{1,40}$/), view })

const at = (address: string) => readPlace(new URL(address, 'https://broker.example'))

describe('an address of the console', () => {
  it('says all that is shown: every view is found again by its address', () => {
    fc.assert(fc.property(place, (there) => expect(at(addressOf(there))).toEqual(there)))
  })

  it('is the same for the same filters, in whatever order they were set', () => {
    expect(writeFilters({ to: 'b', kind: 'release' }).toString()).toBe('kind=release&to=b')
    expect(readFilters(new URLSearchParams('kind=release&kind=refusal&else=1&class='))).toEqual({
      kind: 'release',
    })
  })

  it.each([
    '/console/citi/entries/01',
    '/console/citi/entries/-1',
    '/console/citi/entries/1000000000000000',
    '/console/citi/entries/1/',
    '/console/citi/else',
  ])('that names no view is none: %s', (address) => {
    expect(at(address).view).toEqual({ name: 'unknown' })
  })

  it('takes what it does not know for what is usual', () => {
    expect(at('/console/citi?by=colour').view).toEqual({ name: 'overview', range: {}, by: 'class' })
    expect(at('/console/citi/').view).toMatchObject({ name: 'overview' })
  })
})

describe('a range', () => {
  const now = Date.parse('2026-11-28T14:05:00.000Z')

  it('is the last 30 days up to the next full hour, where nothing is said', () => {
    expect(wholeRange({}, now)).toEqual({
      from: '2026-10-29T15:00:00.000Z',
      to: '2026-11-28T15:00:00.000Z',
    })
  })

  it('keeps the end that is said', () => {
    expect(wholeRange({ to: '2026-02-01T00:00:00.000Z' }, now)).toEqual({
      from: '2026-01-02T00:00:00.000Z',
      to: '2026-02-01T00:00:00.000Z',
    })
    expect(wholeRange({ from: 'x', to: 'no time' }, now)).toEqual({ from: 'x', to: 'no time' })
  })
})
