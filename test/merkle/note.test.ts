import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { encodeBase64, encodeUtf8 } from '../../src/merkle/encoding.ts'
import {
  formatNote,
  noteVerifier,
  openNote,
  parseNote,
  parseSignatures,
  signNote,
} from '../../src/merkle/note.ts'
import { parseVkey } from '../../src/merkle/vkey.ts'
import { nodeHasher, verifyEd25519 } from '../../src/storage/node_crypto.ts'
import { log, logKey, witness } from './keys.ts'
import { codeOf } from './oracle.ts'
import { cosigned5, vectors } from './vectors.ts'

const other = logKey('other.example/log', 0x40)
const text = 'first line\nsecond line\n'
const signed = formatNote(signNote({ text, signatures: [] }, log.signer))
const [line = ''] = signed.split('\n').slice(-2)
const unknownLine = `— grease.example ${encodeBase64(Uint8Array.of(1, 2, 3, 4, 5))}\n`

const open = (note: string | Uint8Array) => openNote(note, [log.verifier])
const codeOfOpening = (note: string | Uint8Array) => codeOf(() => open(note))

describe('a signed note', () => {
  it('of the specification opens', () => {
    const vkey = parseVkey(
      nodeHasher,
      'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k',
    )
    const note =
      'This is an example message.\n\n' +
      '— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n'
    const opened = openNote(note, [noteVerifier(vkey, verifyEd25519)])
    expect(opened.text).toBe('This is an example message.\n')
  })

  it('of the vectors opens, from a string and from bytes', () => {
    for (const note of [vectors.c3, encodeUtf8(vectors.c3)]) {
      const { text: body, verified } = open(note)
      expect(body).toBe(vectors.c3.slice(0, vectors.c3.indexOf('\n\n') + 1))
      expect([...verified.keys()]).toEqual([log.verifier])
    }
  })

  it('comes back from its text, and opens for everyone who signed it', () => {
    const texts = fc
      .string({ unit: 'binary' })
      .map((content) => `${content.replaceAll(/\p{Cc}/gu, '-')}\n`)
    fc.assert(
      fc.property(fc.array(texts, { minLength: 1 }), (lines) => {
        const first = signNote({ text: lines.join(''), signatures: [] }, log.signer)
        const note = signNote(first, other.signer)
        const formatted = formatNote(note)
        expect(parseNote(formatted)).toEqual(note)
        expect(formatNote(parseNote(encodeUtf8(formatted)))).toBe(formatted)
        const { verified } = openNote(formatted, [other.verifier, log.verifier])
        expect(verified.size).toBe(2)
      }),
    )
  })

  it('may have empty lines in its text, and ends its text at the last one', () => {
    const poem = 'a\n\nb\n\n\n'
    const note = formatNote(signNote({ text: poem, signatures: [] }, log.signer))
    expect(open(note).text).toBe(poem)
  })

  it('does not open when any bit of it is changed', () => {
    const bytes = encodeUtf8(signed)
    fc.assert(
      fc.property(fc.nat({ max: bytes.length - 1 }), fc.nat({ max: 7 }), (at, bit) => {
        const changed = bytes.map((byte, i) => (i === at ? byte ^ (1 << bit) : byte))
        expect(codeOfOpening(changed)).not.toBe('nothing thrown')
      }),
      { numRuns: 500 },
    )
  })
})

describe('the signatures of a note', () => {
  it('by unknown keys are passed over, before and after ours', () => {
    const grease = `${text}\n${unknownLine}${line}\n${unknownLine}`
    expect([...open(grease).verified.keys()]).toEqual([log.verifier])
  })

  it('by a key that shares only the name or only the id with ours are passed over', () => {
    const bytes = Buffer.from(line.split(' ')[2] ?? '', 'base64')
    const sameId = `— other.example ${bytes.toString('base64')}\n`
    bytes.writeUInt8(bytes.readUInt8(0) ^ 1, 0)
    const sameName = `— ${log.vkey.name} ${bytes.toString('base64')}\n`
    expect(codeOfOpening(`${text}\n${sameId}${sameName}`)).toBe('unsigned')
    expect(codeOfOpening(`${text}\n${sameId}${sameName}${line}\n`)).toBe('nothing thrown')
  })

  it('by nobody we know leave the note closed', () => {
    expect(codeOfOpening(`${text}\n${unknownLine}`)).toBe('unsigned')
    expect(codeOf(() => openNote(signed, []))).toBe('unsigned')
    expect(codeOf(() => openNote(signed, [other.verifier]))).toBe('unsigned')
  })

  it('by a known key reject the whole note when one is bad, though others are good', () => {
    const forged = signNote({ text: 'another text\n', signatures: [] }, other.signer)
    const note = signNote({ text, signatures: forged.signatures }, log.signer)
    const known = [log.verifier, other.verifier]
    expect(codeOf(() => openNote(formatNote(note), known))).toBe('signature')
    expect(codeOfOpening(formatNote(note))).toBe('nothing thrown')
  })

  it('by one key count once, and the first decides', () => {
    const bad = signNote({ text: 'another text\n', signatures: [] }, log.signer)
    const [badLine = ''] = formatNote(bad).split('\n').slice(-2)
    expect(open(`${text}\n${line}\n${line}\n`).verified.size).toBe(1)
    expect(codeOfOpening(`${text}\n${line}\n${badLine}\n`)).toBe('nothing thrown')
    expect(codeOfOpening(`${text}\n${badLine}\n${line}\n`)).toBe('signature')
  })

  it('may be 100, and no more', () => {
    const some = (count: number) => `${text}\n${unknownLine.repeat(count - 1)}${line}\n`
    expect(codeOfOpening(some(16))).toBe('nothing thrown')
    expect(codeOfOpening(some(100))).toBe('nothing thrown')
    expect(codeOfOpening(some(101))).toBe('note')
  })

  it('by a witness stand beside the log’s in any order', () => {
    const [logLine = ''] = vectors.c5.split('\n').slice(-2)
    const body = vectors.c5.slice(0, vectors.c5.indexOf('\n\n') + 1)
    const known = [log.verifier, witness.verifier]
    expect(openNote(cosigned5, known).verified.size).toBe(2)
    expect(openNote(`${body}\n${vectors.cos5}${logLine}\n`, known).verified.size).toBe(2)
  })

  it('are replaced by a newer one of the same key, and kept when of another', () => {
    const once = signNote(parseNote(signed), other.signer)
    const again = signNote(once, log.signer)
    expect(again.signatures.map(({ name }) => name)).toEqual([other.vkey.name, log.vkey.name])
  })

  it('are read alone as a witness sends them', () => {
    expect(parseSignatures(vectors.cos5)).toMatchObject([
      { name: 'witness.example/w1', keyId: 0x20324abe },
    ])
    for (const lines of ['', '\n', vectors.cos5.trimEnd(), `${vectors.cos5}\n`, 'x\n']) {
      expect(codeOf(() => parseSignatures(lines))).toBe('note')
    }
  })
})

describe('a note is malformed', () => {
  it.each([
    ['without signatures', text],
    ['without a blank line', text + line],
    ['with a blank line but no signature', `${text}\n`],
    ['with a second blank line before the signatures', `${text}\n\n${line}`],
    ['with a line after the signatures', `${signed}more\n`],
    ['without its last newline', signed.trimEnd()],
    ['with a second signature cut short', signed + unknownLine.trimEnd()],
    ['with an empty line at the end', `${signed}\n`],
    ['with CRLF', signed.replaceAll('\n', '\r\n')],
    ['with a carriage return in the text', signed.replace('first', 'fir\rst')],
    ['with a tab in the text', signed.replace('first', 'fir\tst')],
    ['with a NUL in the text', signed.replace('first', 'fir\0st')],
    ['with a hyphen for the dash', signed.replace('—', '-')],
    ['with two spaces in a signature line', signed.replace('— ', '—  ')],
    ['with a space after the signature', signed.replace(/\n$/, ' \n')],
    ['with a plus in a key name', signed.replace('— broker', '— bro+ker')],
    ['with a no-break space in a key name', signed.replace('— broker', '— bro\u00a0ker')],
    ['with a line separator in a key name', signed.replace('— broker', '— bro\u2028ker')],
    ['with a next-line in a key name', signed.replace('— broker', '— bro\u0085ker')],
    ['with no key name', `${text}\n— ${line.split(' ')[2]}\n`],
    ['with no signature bytes', `${text}\n— name ${encodeBase64(Uint8Array.of(1, 2, 3, 4))}\n`],
    ['with base64 that lacks its padding', signed.replace(/=\n$/, '\n')],
    ['with loose base64 of an unknown key', `${signed}— name AQIDBAW=\n`],
  ])('%s', (_, note) => {
    expect(codeOfOpening(note)).toMatch(/^(note|encoding)$/)
  })

  it('in bytes that are not UTF-8', () => {
    const bytes = encodeUtf8(signed)
    bytes[0] = 0xff
    expect(codeOfOpening(bytes)).toBe('encoding')
  })

  it('and is not signed without its last newline', () => {
    expect(codeOf(() => signNote({ text: 'text', signatures: [] }, log.signer))).toBe('note')
    expect(codeOf(() => signNote({ text: '', signatures: [] }, log.signer))).toBe('note')
    expect(codeOf(() => signNote({ text: 'a\r\n', signatures: [] }, log.signer))).toBe('encoding')
  })
})

it('a witness’s key does not pass for a log’s', () => {
  expect(codeOf(() => noteVerifier(witness.vkey, verifyEd25519))).toBe('vkey')
})
