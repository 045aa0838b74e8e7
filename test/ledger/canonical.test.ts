import { describe, expect, it } from '@jest/globals'
import * as fc from 'fast-check'
import { canonical, CanonicalError, type Json } from '../../src/ledger/canonical.ts'

describe('canonical JSON', () => {
  it('is that of RFC 8785 §3.2.2 for strings and literals', () => {
    const source = JSON.parse(String.raw`{
      "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
      "literals": [null, true, false]
    }`) as Json
    expect(canonical(source)).toBe(
      String.raw`{"literals":[null,true,false],"string":"€$\u000f\nA'B\"\\\\\"/"}`,
    )
  })

  it('sorts members by UTF-16 code units, as in RFC 8785 §3.2.3', () => {
    const source = {
      '\u20ac': 'Euro Sign',
      '\r': 'Carriage Return',
      '\ufb33': 'Hebrew Letter Dalet With Dagesh',
      '1': 'One',
      '\u{1f600}': 'Emoji: Grinning Face',
      '\u0080': 'Control',
      '\u00f6': 'Latin Small Letter O With Diaeresis',
    }
    expect(
      Object.values(
        JSON.parse(
          `[${canonical(source)
            .slice(1, -1)
            .replace(/"[^"]*":/g, '')}]`,
        ) as string[],
      ),
    ).toEqual([
      'Carriage Return',
      'One',
      'Control',
      'Latin Small Letter O With Diaeresis',
      'Euro Sign',
      'Emoji: Grinning Face',
      'Hebrew Letter Dalet With Dagesh',
    ])
  })

  it('sorts members that look like numbers as text', () => {
    expect(canonical({ '9': 1, '10': 2, a: 3 })).toBe('{"10":2,"9":1,"a":3}')
  })

  it('writes a member named __proto__ like any other', () => {
    expect(canonical(JSON.parse('{"z":1,"__proto__":{"a":2}}') as Json)).toBe(
      '{"__proto__":{"a":2},"z":1}',
    )
  })

  it('writes every safe integer in its one form', () => {
    for (const value of [0, 1, -1, 100, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER])
      expect(canonical(value)).toBe(String(value))
  })

  it.each<[string, Json]>([
    ['a fraction', 1.5],
    ['negative zero', -0],
    ['an integer that is not safe', 2 ** 53],
    ['what is not a number', NaN],
    ['infinity', Infinity],
    ['a lone surrogate', '\ud800'],
    ['half a pair in a name', { '\udc00': 1 }],
    ['an undefined member', { a: undefined } as unknown as Json],
  ])('has no form for %s', (_, value) => {
    expect(() => canonical(value)).toThrow(CanonicalError)
  })

  it('refuses a nesting bomb before it exhausts the stack', () => {
    const bomb = (open: string, close: string) =>
      JSON.parse(open.repeat(20_000) + '0' + close.repeat(20_000)) as Json
    expect(() => canonical(bomb('[', ']'))).toThrow('nested more than 32 deep')
    expect(() => canonical(bomb('{"a":', '}'))).toThrow('nested more than 32 deep')
    expect(canonical(JSON.parse('['.repeat(32) + ']'.repeat(32)) as Json)).toBe(
      '['.repeat(32) + ']'.repeat(32),
    )
  })

  it('means what it was made from, whatever order that was in', () => {
    const json = fc.letrec<{ value: Json }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom(null, true, false),
        fc.maxSafeInteger().map((value) => value + 0),
        fc.string({ unit: 'grapheme' }),
        fc.array(tie('value')),
        fc.dictionary(fc.string(), tie('value')),
      ),
    })).value
    fc.assert(
      fc.property(json, (value) => {
        const text = canonical(value)
        expect(JSON.parse(text)).toEqual(value)
        expect(canonical(JSON.parse(text) as Json)).toBe(text)
      }),
    )
  })
})
