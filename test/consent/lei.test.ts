import { describe, expect, it } from '@jest/globals'
import { isLei } from '../../src/consent/lei.ts'

describe('an LEI', () => {
  it.each([
    '7H6GLXDRUGQFU57RNE97',
    'KB1H1DSPRFMYMCUFXT09',
    'E57ODZWZ7FF32TWEFA76',
    '6BYL5QZYBDK8S7L73M02',
    '5493001KJTIIGC8Y1R12',
  ])('is %s, and not with another digit or two letters exchanged', (lei) => {
    expect(isLei(lei)).toBe(true)
    const last = Number(lei.at(-1))
    for (let other = 0; other < 10; other++)
      expect(isLei(lei.slice(0, -1) + String(other))).toBe(other === last)
    const [a = '', b = ''] = lei.slice(3, 5)
    expect(isLei(lei.slice(0, 3) + b + a + lei.slice(5))).toBe(a === b)
  })

  it.each([
    '',
    'short',
    '7h6glxdrugqfu57rne97',
    '7H6GLXDRUGQFU57RNE97\n',
    ' 7H6GLXDRUGQFU57RNE97',
    '7H6GLXDRUGQFU57RNE970',
    '7H6GLXDRUGQFU57RNE9Ⅶ',
  ])('is not %p', (text) => {
    expect(isLei(text)).toBe(false)
  })
})
