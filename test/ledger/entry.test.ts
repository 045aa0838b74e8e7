import { describe, expect, it } from '@jest/globals'
import { clusterNames } from '../../src/consent/cluster.ts'
import { CanonicalError, type Json } from '../../src/ledger/canonical.ts'
import { entry_bytes_max, kinds, readEntry, writeEntry } from '../../src/ledger/entry.ts'
import {
  decodeEntry,
  encodeEntry,
  openLedger,
  random128,
  random256,
} from '../support/ledger_builder.ts'

const utf8 = new TextEncoder()
const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

/** A valid entry of each kind, with every member that it may have. */
const examples = new Map<string, Uint8Array>(
  everyKind().map((bytes) => [decodeEntry(bytes).kind, bytes]),
)

function everyKind(): Uint8Array[] {
  const ledger = openLedger()
  ledger.append('policy', { kinds: ['outcome'], reasons: ['weather'], totals: ['outcomes'] })
  ledger.key()
  ledger.approve()
  const consent = `us-bank.${random128()}`
  ledger.refuse({ consent, reason: 'consent_unknown' })
  ledger.grant({ consent, acr: 'urn:example:loa:2', auth_time: 1_767_225_600 })
  ledger.replace(consent)
  ledger.release(consent)
  ledger.refuse({ consent })
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
  return ledger.entries
}

const exampleOf = (kind: string) => {
  const bytes = examples.get(kind)
  if (bytes === undefined) throw new Error(`no example of ${kind}`)
  return bytes
}

/** Members that an entry of the kind may lack. */
const optionalOf: Readonly<Record<string, readonly string[]>> = {
  genesis: [],
  'consent.grant': ['acr', 'auth_time', 'prev'],
  'consent.replace': ['acr', 'auth_time', 'login', 'prev', 'terms'],
  'consent.revoke': ['prev'],
  'consent.expire': ['prev'],
  release: ['prev', 'since'],
  refusal: ['consent', 'prev'],
}

function changed(kind: string, change: (entry: ReturnType<typeof decodeEntry>) => void) {
  const entry = decodeEntry(exampleOf(kind))
  change(entry)
  return encodeEntry(entry)
}

describe('an entry', () => {
  it('has an example of each kind here', () => {
    expect([...examples.keys()].toSorted()).toEqual([...kinds].toSorted())
  })

  it.each(kinds)('of kind %s reads as what was written, and writes as what was read', (kind) => {
    const bytes = exampleOf(kind)
    const entry = readEntry(bytes)
    expect(entry).toEqual(decodeEntry(bytes))
    expect(writeEntry(entry)).toEqual(bytes)
  })

  it.each(kinds)('of kind %s has no other member', (kind) => {
    expect(() => readEntry(changed(kind, ({ body }) => (body['zz'] = 1)))).toThrow(CanonicalError)
    expect(() => readEntry(changed(kind, ({ body }) => (body['_'] = 1)))).toThrow(CanonicalError)
  })

  it.each(kinds)('of kind %s lacks no member but those that it may lack', (kind) => {
    const lacking = Object.keys(decodeEntry(exampleOf(kind)).body).filter((name) => {
      try {
        readEntry(changed(kind, ({ body }) => delete body[name]))
        return true
      } catch (error) {
        expect(error).toBeInstanceOf(CanonicalError)
        return false
      }
    })
    const present = Object.keys(decodeEntry(exampleOf(kind)).body)
    expect(lacking).toEqual((optionalOf[kind] ?? []).filter((name) => present.includes(name)))
  })

  it.each(['v', 'n', 'at', 'kind', 'body', 'totals'])('has its member %s', (name) => {
    const { [name]: _, ...rest } = decodeEntry(exampleOf('release')) as unknown as Record<
      string,
      Json
    >
    expect(() => readEntry(encodeEntry(rest))).toThrow(CanonicalError)
  })

  it('has no member of its own beside those', () => {
    const entry = { ...decodeEntry(exampleOf('release')), zz: 1 }
    expect(() => readEntry(encodeEntry(entry))).toThrow(CanonicalError)
  })

  it('is of version 1 and of a kind that is known', () => {
    expect(() => readEntry(changed('epoch', (entry) => (entry.v = 2)))).toThrow(
      'format version 2: it takes a newer verifier',
    )
    for (const kind of ['outcome', 'Release', 'constructor', '__proto__', ''])
      expect(() => readEntry(changed('epoch', (entry) => (entry.kind = kind)))).toThrow(
        `unknown kind ${kind}`,
      )
  })

  it('is not taken for another kind, whatever a string inside it says', () => {
    const bytes = changed('consent.grant', ({ body }) => (body['acr'] = '},"kind":"epoch'))
    expect(() => readEntry(bytes)).toThrow(CanonicalError)
  })

  it('is at most 4096 bytes long', () => {
    const padded = (length: number) => {
      const bytes = changed('recipient.approve', ({ body }) => {
        body['purposes'] = Array.from({ length: 14 }, (_, i) =>
          `https://purpose.example/${i}`.padEnd(200, '.'),
        )
        body['jws'] = '.'
      })
      return changed('recipient.approve', ({ body }) => {
        body['purposes'] = Array.from({ length: 14 }, (_, i) =>
          `https://purpose.example/${i}`.padEnd(200, '.'),
        )
        body['jws'] = '.'.repeat(1 + length - bytes.length)
      })
    }
    expect(padded(entry_bytes_max)).toHaveLength(4096)
    expect(readEntry(padded(4096)).kind).toBe('recipient.approve')
    expect(() => readEntry(padded(4097))).toThrow('longer than 4096 bytes')
    expect(() => writeEntry(JSON.parse(textOf(padded(4097))) as never)).toThrow('longer than 4096')
  })
})

const words = (count: number) => Array.from({ length: count }, (_, i) => `w${i}`)
const handles = (count: number) => Array.from({ length: count }, random128)

describe('the members of a body', () => {
  it.each<[string, string, Json, Json]>([
    ['genesis', 'bank', 'a'.repeat(40), 'a'.repeat(41)],
    ['genesis', 'bank', 'us-bank', 'US-BANK'],
    ['genesis', 'lei', 'A'.repeat(20), 'A'.repeat(21)],
    ['genesis', 'origin', 'o'.repeat(255), 'o'.repeat(256)],
    [
      'genesis',
      'bank_key',
      { crv: 'P-256', kty: 'EC', x: 'x', y: 'y' },
      { d: 'secret', kty: 'EC' },
    ],
    ['genesis', 'bank_key', { kty: 'EC' }, {}],
    ['genesis', 'bank_key', { kty: 'EC' }, { kty: 1 }],
    ['genesis', 'kinds', ['genesis'], []],
    ['genesis', 'kinds', ['genesis'], ['genesis', 'genesis']],
    ['genesis', 'totals', ['t'.repeat(40)], ['t'.repeat(41)]],
    ['genesis', 'totals', ['t'], ['__proto__']],
    ['genesis', 'reasons', words(64), words(65)],
    ['policy', 'kinds', [], words(65)],
    ['key', 'key', 'v'.repeat(400), 'v'.repeat(401)],
    ['key', 'of', 'ledger', 'bank'],
    ['key', 'use', 'retired', 'lost'],
    ['recipient.approve', 'class', 'third_party', 'Third_party'],
    ['recipient.approve', 'clusters', clusterNames, ['BALANCES', 'PAYMENTS']],
    ['recipient.approve', 'jws', 'j'.repeat(3000), 'j'.repeat(3001)],
    ['recipient.approve', 'keys', [], Array.from({ length: 9 }, random256)],
    ['recipient.approve', 'purposes', words(16), words(17)],
    ['recipient.approve', 'recipient', 'r'.repeat(128), 'r'.repeat(129)],
    ['recipient.suspend', 'by', 'bank', 'Meta'],
    ['consent.grant', 'accounts', handles(32), handles(33)],
    ['consent.grant', 'accounts', handles(1), []],
    ['consent.grant', 'accounts', handles(1), ['A'.repeat(22), 'A'.repeat(22)]],
    ['consent.grant', 'accounts', handles(1), ['12345678']],
    ['consent.grant', 'acr', 'ö'.repeat(200), 'ö'.repeat(201)],
    ['consent.grant', 'acr', 'ö', ''],
    ['consent.grant', 'acr', 'ö', 'a "quoted" word'],
    ['consent.grant', 'acr', 'ö', 'a \\ word'],
    ['consent.grant', 'acr', 'ö', 'a \t word'],
    ['consent.grant', 'auth_time', 0, -1],
    ['consent.grant', 'delivery', 'link_out', 'by_pigeon'],
    ['consent.grant', 'expires', '2026-02-28T23:59:59.999Z', '2026-02-29T23:59:59.999Z'],
    ['consent.grant', 'expires', '2028-02-29T00:00:00.000Z', '2028-02-30T00:00:00.000Z'],
    ['consent.grant', 'expires', '2026-12-31T23:59:59.999Z', '2026-13-01T00:00:00.000Z'],
    ['consent.grant', 'expires', '2026-01-01T00:00:00.000Z', '2026-01-01T24:00:00.000Z'],
    ['consent.grant', 'expires', '2026-01-01T00:00:59.000Z', '2026-01-01T00:00:60.000Z'],
    ['consent.grant', 'expires', '2026-01-01T00:00:00.000Z', '2026-01-01T00:00:00Z'],
    ['consent.grant', 'expires', '2026-01-01T00:00:00.000Z', '2026-01-01T00:00:00.000+00:00'],
    ['consent.grant', 'lookback_days', 730, 731],
    ['consent.grant', 'login', random256(), random128()],
    ['consent.grant', 'one_time', true, 'true'],
    [
      'consent.grant',
      'consent',
      `${'a'.repeat(40)}.${random128()}`,
      `${'a'.repeat(41)}.${random128()}`,
    ],
    ['consent.grant', 'consent', `us-bank.${random128()}`, 'us-bank.123'],
    ['consent.revoke', 'reason', 'BUSINESS_RULE', 'BECAUSE'],
    ['consent.expire', 'cause', 'unredeemed', 'weather'],
    ['release', 'fetches', handles(8), handles(9)],
    ['release', 'interaction', '00000000-0000-4000-8000-000000000000', '0'],
    ['release', 'prev', Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER + 1],
    ['release', 'purpose', 'p'.repeat(200), 'p'.repeat(201)],
    ['release', 'since', '2024-02-29', '2025-02-29'],
    ['release', 'to', 'data_subject', 'everyone'],
    ['refusal', 'count', 1, 0],
    ['epoch', 'size', 0, '0'],
  ])('%s.%s is checked at its limit', (kind, name, good, bad) => {
    const marked = textOf(changed(kind, ({ body }) => (body[name] = 'HERE')))
    const withMember = (value: Json) =>
      utf8.encode(marked.replace('"HERE"', () => JSON.stringify(value)))
    expect(readEntry(withMember(good)).body).toMatchObject({ [name]: good })
    expect(() => readEntry(withMember(bad))).toThrow(CanonicalError)
  })
})

describe('the bytes of an entry', () => {
  const release = textOf(exampleOf('release'))
  const respelled = (from: string | RegExp, to: string) => {
    const text = release.replace(from, to)
    expect(text).not.toBe(release)
    return () => readEntry(utf8.encode(text))
  }

  it.each<[string, string | RegExp, string]>([
    ['white space before', /^/, ' '],
    ['white space behind', /$/, '\n'],
    ['white space between members', ',"kind"', ', "kind"'],
    ['white space before a value', '"v":1', '"v": 1'],
    ['white space in a list', /"clusters":\[/, '"clusters":[ '],
    ['a byte order mark', /^/, '\ufeff'],
    ['something behind', /$/, '{}'],
    ['a NUL behind', /$/, '\0'],
    ['a repeated member', '"v":1', '"v":1,"v":1'],
    ['a repeated member in the body', '"payload":', '"payload":"x","payload":'],
    ['members in another order', /^\{("at":"[^"]*"),(.*)\}$/, '{$2,$1}'],
    ['totals in another order', '"expiries":0,"grants":1', '"grants":1,"expiries":0'],
    ['a repeated total', '"expiries":0', '"expiries":0,"expiries":0'],
    ['a member named __proto__', '"v":1', '"v":1,"__proto__":1'],
    ['a fraction of nothing', '"v":1', '"v":1.0'],
    ['an exponent', '"v":1', '"v":1e0'],
    ['a leading zero', '"v":1', '"v":01'],
    ['a plus sign', '"v":1', '"v":+1'],
    ['negative zero', '"grants":1', '"grants":-0'],
    ['a number as text', '"v":1', '"v":"1"'],
    ['an integer that is not safe', '"grants":1', '"grants":9007199254740992'],
    ['more digits than a number has', '"grants":1', `"grants":${'9'.repeat(400)}`],
    ['an escape that is not needed', 'messenger.example', '\\u006dessenger.example'],
    ['an escaped solidus', 'https://', 'https:\\/\\/'],
    ['a lone surrogate, escaped', 'https://w3id', 'https://\\ud800w3id'],
    ['a trailing comma', '"v":1', '"v":1,'],
    ['no end', /\}$/, ''],
    ['null in place of a string', /"payload":"[^"]*"/, '"payload":null'],
    ['a name in single quotes', '"v"', "'v'"],
  ])('are refused with %s', (_, from, to) => {
    expect(respelled(from, to)).toThrow(CanonicalError)
  })

  it('are refused when they are not UTF-8', () => {
    const bytes = Uint8Array.from(exampleOf('release'))
    bytes[bytes.indexOf(0x70)] = 0xff
    expect(() => readEntry(bytes)).toThrow('not UTF-8')
  })

  it.each([
    '',
    '{',
    '{}',
    '[]',
    'null',
    '"',
    '0',
    '{"at":',
    ',"kind":"release"',
    '},"kind":"release"',
  ])('are refused when they are %j', (text) => {
    expect(() => readEntry(utf8.encode(text))).toThrow(CanonicalError)
  })

  it.each(['[', '{"at":', '{"at":"2026-01-01T00:00:00.000Z","body":{"accounts":['])(
    'are refused as a nesting bomb of %j',
    (open) => {
      const bomb = open.repeat(Math.floor(4096 / open.length))
      expect(() => readEntry(utf8.encode(bomb))).toThrow(CanonicalError)
      const tail = '},"kind":"release","n":1,"totals":{},"v":1}'
      expect(() => readEntry(utf8.encode(bomb.slice(0, 4000) + tail))).toThrow(CanonicalError)
    },
  )

  it('are never made of an entry with half a surrogate pair', () => {
    const entry = readEntry(exampleOf('consent.grant'))
    const broken = { ...entry, body: { ...entry.body, acr: '\udc00' } } as typeof entry
    expect(() => writeEntry(broken)).toThrow(CanonicalError)
  })

  it('name the member that is wrong', () => {
    expect(respelled('"messenger.example"', '"messenger example"')).toThrow(
      /^recipient, at character \d+: expected an identifier$/,
    )
  })
})
