import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import {
  formatCheckpoint,
  openCheckpoint,
  parseCheckpoint,
  signCheckpoint,
} from '../../src/merkle/checkpoint.ts'
import { encodeBase64 } from '../../src/merkle/encoding.ts'
import { formatNote, signNote } from '../../src/merkle/note.ts'
import { log, logKey, witness } from './keys.ts'
import { codeOf, sha256 } from './oracle.ts'
import { cosigned5, roots, vectors } from './vectors.ts'

const { origin } = vectors
const root = sha256('a root')
const hash = encodeBase64(root)
const [, , root3 = sha256(), , root5 = sha256()] = roots
const open = (note: string) =>
  openCheckpoint(note, { origin, logKeys: [log.verifier], witnesses: [witness.verifier] })

describe('the text of a checkpoint', () => {
  it('comes back from its three lines', () => {
    const origins = fc
      .string({ unit: 'binary', minLength: 1 })
      .map((name) => name.replaceAll(/\p{Cc}/gu, '-'))
    const hashes = fc.uint8Array({ minLength: 32, maxLength: 32 })
    fc.assert(
      fc.property(origins, fc.maxSafeNat(), hashes, (name, size, some) => {
        const checkpoint = { origin: name, size, root: some }
        expect(parseCheckpoint(formatCheckpoint(checkpoint))).toEqual(checkpoint)
      }),
    )
  })

  it.each([
    ['an extension line', `${origin}\n5\n${hash}\nextension\n`],
    ['an extension line that does not end', `${origin}\n5\n${hash}\nextension`],
    ['a blank line', `${origin}\n\n5\n${hash}\n`],
    ['a blank line at its end', `${origin}\n5\n${hash}\n\n`],
    ['no last newline', `${origin}\n5\n${hash}`],
    ['no root', `${origin}\n5\n`],
    ['nothing', ''],
    ['an empty origin', `\n5\n${hash}\n`],
    ['a size with leading zeros', `${origin}\n05\n${hash}\n`],
    ['a size with a sign', `${origin}\n+5\n${hash}\n`],
    ['a size with a space', `${origin}\n5 \n${hash}\n`],
    ['a negative size', `${origin}\n-5\n${hash}\n`],
    ['a size of 2^53', `${origin}\n9007199254740992\n${hash}\n`],
    ['no size', `${origin}\n\n${hash}\n`],
    ['a root without padding', `${origin}\n5\n${hash.replace('=', '')}\n`],
    ['a root in URL base64', `${origin}\n5\n${'_'.repeat(42)}8=\n`],
    ['a root of 33 bytes', `${origin}\n5\n${encodeBase64(new Uint8Array(33))}\n`],
    ['carriage returns', `${origin}\r\n5\r\n${hash}\r\n`],
  ])('is refused with %s', (_, body) => {
    expect(codeOf(() => parseCheckpoint(body))).toMatch(/^(checkpoint|encoding)$/)
  })

  it('is not written in a form that would be refused', () => {
    for (const checkpoint of [
      { origin: '', size: 5, root },
      { origin: 'a\nb', size: 5, root },
      { origin, size: -1, root },
      { origin, size: 1.5, root },
      { origin, size: 2 ** 53, root },
      { origin, size: 5, root: root.subarray(1) },
    ]) {
      expect(codeOf(() => formatCheckpoint(checkpoint))).toMatch(/^(checkpoint|encoding)$/)
      expect(codeOf(() => signCheckpoint(checkpoint, log.signer))).toMatch(
        /^(checkpoint|encoding)$/,
      )
    }
  })
})

describe('a signed checkpoint', () => {
  it('is that of the vectors', () => {
    expect(signCheckpoint({ origin, size: 3, root: root3 }, log.signer)).toBe(vectors.c3)
    expect(signCheckpoint({ origin, size: 5, root: root5 }, log.signer)).toBe(vectors.c5)
  })

  it('opens with the key of its log, and tells who cosigned', () => {
    expect(open(vectors.c3)).toEqual({
      checkpoint: { origin, size: 3, root: root3 },
      cosignatures: new Map(),
    })
    const { checkpoint, cosignatures } = open(cosigned5)
    expect(checkpoint).toEqual({ origin, size: 5, root: root5 })
    expect([...cosignatures.keys()]).toEqual([witness.verifier])
  })

  it('opens with any of the keys of its log', () => {
    const newer = logKey(origin, 0x60)
    const note = signCheckpoint({ origin, size: 5, root }, newer.signer)
    const logKeys = [log.verifier, newer.verifier]
    expect(openCheckpoint(note, { origin, logKeys }).checkpoint.size).toBe(5)
    expect(codeOf(() => open(note))).toBe('unsigned')
  })

  it('of another log is refused though the same key signed it', () => {
    const note = signCheckpoint({ origin: 'other.example/log', size: 5, root }, log.signer)
    expect(codeOf(() => open(note))).toBe('origin')
  })

  it('is refused when only a witness signed it', () => {
    const text = formatCheckpoint({ origin, size: 5, root })
    const note = formatNote(signNote({ text, signatures: [] }, witness.signer))
    expect(codeOf(() => open(note))).toBe('unsigned')
  })

  it('is refused when the signature of a known witness is bad, and not when it is unknown', () => {
    const note = vectors.c3 + vectors.cos5
    expect(codeOf(() => open(note))).toBe('signature')
    expect(openCheckpoint(note, { origin, logKeys: [log.verifier] }).cosignatures.size).toBe(0)
  })

  it('is refused with an extension line though the log signed it', () => {
    const text = `${origin}\n5\n${hash}\nextension\n`
    const note = formatNote(signNote({ text, signatures: [] }, log.signer))
    expect(codeOf(() => open(note))).toBe('checkpoint')
  })
})
