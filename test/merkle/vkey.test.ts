import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { encodeBase64 } from '../../src/merkle/encoding.ts'
import { formatVkey, keyTypes, makeVkey, parseVkey } from '../../src/merkle/vkey.ts'
import { nodeHasher } from '../../src/storage/node_crypto.ts'
import { log, witness } from './keys.ts'
import { codeOf, sha256 } from './oracle.ts'
import { vectors } from './vectors.ts'

const parse = (text: string) => parseVkey(nodeHasher, text)
const publicKey = sha256('a public key')

describe('a verifier key', () => {
  it('is that of the vectors', () => {
    expect(formatVkey(log.vkey)).toBe(vectors.vkeyL)
    expect(formatVkey(witness.vkey)).toBe(vectors.vkeyW)
    expect(parse(vectors.vkeyL)).toEqual(log.vkey)
    expect(parse(vectors.vkeyW)).toEqual(witness.vkey)
    expect(log.vkey.keyId).toBe(0x10bd240c)
    expect(witness.vkey.keyId).toBe(0x20324abe)
    expect(Buffer.from(log.vkey.publicKey).toString('hex')).toBe(
      '03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8',
    )
  })

  it('is that of the signed-note specification', () => {
    const text = 'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k'
    expect(parse(text)).toMatchObject({ name: 'example.com/foo', keyId: 0x530d903a, type: 1 })
    expect(formatVkey(parse(text))).toBe(text)
  })

  it('comes back from its text', () => {
    const names = fc
      .string({ unit: 'binary', minLength: 1 })
      .map((name) => name.replaceAll(/[+\p{White_Space}\p{Cc}]/gu, '-'))
    const types = fc.constantFrom(...Object.values(keyTypes))
    const keys = fc.uint8Array({ minLength: 32, maxLength: 32 })
    fc.assert(
      fc.property(names, types, keys, (name, type, key) => {
        const vkey = makeVkey(nodeHasher, { name, type, publicKey: key })
        expect(parse(formatVkey(vkey))).toEqual(vkey)
      }),
    )
  })

  it('has another id for another name, type or key', () => {
    const { keyId, ...key } = log.vkey
    const others = [
      { ...key, name: 'broker.example/log/v2' },
      { ...key, type: keyTypes.cosignature },
      { ...key, publicKey },
    ]
    for (const other of others) expect(makeVkey(nodeHasher, other).keyId).not.toBe(keyId)
  })

  it.each([
    ['no id', 'broker.example/log/v1+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4'],
    ['the wrong id', vectors.vkeyL.replace('10bd240c', '10bd240d')],
    ['the id of another name', vectors.vkeyL.replace('/v1', '/v2')],
    ['an id in capitals', vectors.vkeyL.replace('10bd240c', '10BD240C')],
    ['an empty name', vectors.vkeyL.replace('broker.example/log/v1', '')],
    ['a space in its name', vectors.vkeyL.replace('/log', ' log')],
    ['a no-break space in its name', vectors.vkeyL.replace('/log', '\u00a0log')],
    ['a plus in its name', vectors.vkeyL.replace('/log', '+log')],
    ['a control character in its name', vectors.vkeyL.replace('/log', '\u0001log')],
    ['a line after it', `${vectors.vkeyL}\n`],
    ['nothing in it', ''],
  ])('is refused with %s', (_, text) => {
    expect(codeOf(() => parse(text))).toMatch(/^(vkey|encoding)$/)
  })

  it.each([0x00, 0x02, 0x05, 0x06, 0xff])(
    'is refused with signature type %i, by its number',
    (type) => {
      const bytes = Uint8Array.from([type, ...publicKey])
      const id = Buffer.from(sha256('name\n', bytes)).subarray(0, 4).toString('hex')
      const text = `name+${id}+${encodeBase64(bytes)}`
      expect(codeOf(() => parse(text))).toBe('vkey')
      expect(() => parse(text)).toThrow(`signature type ${type}`)
    },
  )

  it('is refused with a name that no signature line can hold', () => {
    for (const name of ['', 'a b', 'a\u2028b', 'a+b', 'a\nb', 'a\u0001b', 'a\ud800b']) {
      const key = { name, type: keyTypes.ed25519, publicKey }
      expect(codeOf(() => makeVkey(nodeHasher, key))).toMatch(/^(vkey|encoding)$/)
    }
  })

  it('is refused with a key that is not 32 bytes', () => {
    for (const length of [0, 31, 33, 64]) {
      const key = { name: 'n', type: keyTypes.ed25519, publicKey: new Uint8Array(length) }
      expect(codeOf(() => makeVkey(nodeHasher, key))).toBe('vkey')
    }
    expect(codeOf(() => parse('n+00000000+AQ=='))).toBe('vkey')
  })
})
