import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import {
  decodeBase64,
  decodeHash,
  encodeBase64,
  encodeUtf8,
  parseDecimal,
  readText,
} from '../../src/merkle/encoding.ts'
import { codeOf } from './oracle.ts'

describe('base64', () => {
  it('is the base64 of RFC 4648 and brings back the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 5_000 }), (bytes) => {
        expect(encodeBase64(bytes)).toBe(Buffer.from(bytes).toString('base64'))
        expect(decodeBase64(encodeBase64(bytes))).toEqual(bytes)
      }),
    )
  })

  it.each(['Zg', 'Zg=', 'Zh==', 'Zg==\n', ' Zg==', 'Z g==', 'Zg==Zg==', 'Zm8', '_-8=', 'Zg==='])(
    'is not %j',
    (text) => {
      expect(codeOf(() => decodeBase64(text))).toBe('encoding')
    },
  )

  it('of a hash holds 32 bytes', () => {
    expect(decodeHash(encodeBase64(new Uint8Array(32)))).toEqual(new Uint8Array(32))
    expect(codeOf(() => decodeHash(encodeBase64(new Uint8Array(31))))).toBe('encoding')
    expect(codeOf(() => decodeHash(encodeBase64(new Uint8Array(33))))).toBe('encoding')
    expect(codeOf(() => decodeHash(''))).toBe('encoding')
  })
})

describe('a decimal number', () => {
  it('is what String gives for a safe integer', () => {
    fc.assert(fc.property(fc.maxSafeNat(), (n) => expect(parseDecimal(String(n))).toBe(n)))
    expect(parseDecimal('0')).toBe(0)
    expect(parseDecimal('9007199254740991')).toBe(Number.MAX_SAFE_INTEGER)
  })

  it.each([
    '',
    '00',
    '01',
    '-1',
    '+1',
    ' 1',
    '1 ',
    '1\n',
    '1.0',
    '1e3',
    '0x1',
    '٣',
    '9007199254740992',
  ])('is not %j', (text) => {
    expect(codeOf(() => parseDecimal(text))).toBe('encoding')
  })
})

describe('a text', () => {
  it('is the same from bytes and from a string, byte order mark and all', () => {
    for (const text of ['', 'a\n', '— ü 日 🎉\n', '\ufeffa\n', '\u007f\u0085\n']) {
      expect(readText(text)).toBe(text)
      expect(readText(encodeUtf8(text))).toBe(text)
    }
  })

  it('is UTF-8', () => {
    for (const bytes of [
      [0xff],
      [0xc3],
      [0xc0, 0x80],
      [0xed, 0xa0, 0x80],
      [0xf5, 0x80, 0x80, 0x80],
    ]) {
      expect(codeOf(() => readText(Uint8Array.from(bytes)))).toBe('encoding')
    }
    expect(codeOf(() => readText('\ud800'))).toBe('encoding')
    expect(codeOf(() => readText('\udc00\ud800'))).toBe('encoding')
  })

  it('has no control characters but the allowed ones', () => {
    for (let code = 0; code < 0x20; code++) {
      const text = String.fromCharCode(code)
      expect(codeOf(() => readText(text))).toBe(text === '\n' ? 'nothing thrown' : 'encoding')
      expect(codeOf(() => readText(encodeUtf8(text), '\t'))).toBe(
        text === '\t' ? 'nothing thrown' : 'encoding',
      )
    }
  })
})
