import { expect, it } from '@jest/globals'
import fc from 'fast-check'
import { printable, printableJson } from '../../src/verifier/report_text.ts'

const orders = /[\p{Cc}\p{Cf}\u2028\u2029]/u

it('no text and no JSON that is printed gives a terminal orders, and JSON stays what it was', () => {
  const text = fc.string({ unit: 'binary' })
  const hostile = fc.constantFrom('\u009b2J', '\u202eabc', '\u001b[2J', '\u{e0041}', '\u2028')
  fc.assert(
    fc.property(fc.array(fc.oneof(text, hostile)), (parts) => {
      const value = { findings: [parts.join('')] }
      const json = printableJson(value)
      expect(json).not.toMatch(orders)
      expect(JSON.parse(json)).toEqual(value)
      expect(printable(parts.join(''))).not.toMatch(orders)
    }),
  )
})
