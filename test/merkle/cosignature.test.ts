import { describe, expect, it } from '@jest/globals'
import { parseCheckpoint } from '../../src/merkle/checkpoint.ts'
import { cosignatureTime, cosignatureVerifier } from '../../src/merkle/cosignature.ts'
import { encodeUtf8 } from '../../src/merkle/encoding.ts'
import {
  formatNote,
  openNote,
  parseNote,
  parseSignatures,
  signNote,
} from '../../src/merkle/note.ts'
import { ed25519FromSeed, verifyEd25519 } from '../../src/storage/node_crypto.ts'
import { log, witness, witnessKey } from './keys.ts'
import { codeOf } from './oracle.ts'
import { cosigned5, vectors } from './vectors.ts'

const { text } = parseNote(vectors.c5)
const [line] = parseSignatures(vectors.cos5)
const signature = line?.signature ?? new Uint8Array(0)
const verify = (bytes: Uint8Array) => witness.verifier.verify(encodeUtf8(text), bytes)

describe('a cosignature', () => {
  it('is that of the vectors, at its time', () => {
    expect(formatNote(signNote(parseNote(vectors.c5), witness.signer))).toBe(cosigned5)
    expect(verify(signature)).toBe(true)
    expect(cosignatureTime(signature)).toBe(1_700_000_000)
  })

  it('has its time in whole seconds, big-endian, before the signature', () => {
    const { signer } = witnessKey('witness.example/w1', 0x20, 258.9)
    const bytes = signer.sign(encodeUtf8(text))
    expect(bytes).toHaveLength(8 + 64)
    expect([...bytes.subarray(0, 8)]).toEqual([0, 0, 0, 0, 0, 0, 1, 2])
    expect(cosignatureTime(bytes)).toBe(258)
  })

  it('is refused with its time in little-endian order', () => {
    const { sign } = ed25519FromSeed(Uint8Array.from({ length: 32 }, (_, i) => 0x20 + i))
    const inner = sign(encodeUtf8(`cosignature/v1\ntime 1700000000\n${text}`))
    const time = Uint8Array.of(0x00, 0x00, 0x00, 0x00, 0x65, 0x53, 0xf1, 0x00)
    expect(verify(Buffer.concat([time, inner]))).toBe(true)
    expect(verify(Buffer.concat([time.toReversed(), inner]))).toBe(false)
  })

  it('is refused with any bit of its time or its text changed', () => {
    for (let bit = 0; bit < 64; bit++) {
      const changed = signature.map((byte, i) => (i === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte))
      expect(verify(changed)).toBe(false)
    }
    expect(witness.verifier.verify(encodeUtf8(text.replace('5', '6')), signature)).toBe(false)
  })

  it('is refused when it is too short, too long, or a plain signature', () => {
    const { sign } = ed25519FromSeed(Uint8Array.from({ length: 32 }, (_, i) => 0x20 + i))
    expect(verify(signature.subarray(1))).toBe(false)
    expect(verify(Buffer.concat([signature, Uint8Array.of(0)]))).toBe(false)
    expect(verify(sign(encodeUtf8(text)))).toBe(false)
    expect(verify(new Uint8Array(0))).toBe(false)
    expect(codeOf(() => cosignatureTime(signature.subarray(1)))).toBe('signature')
  })

  it('is refused with a time of 2^63 or more', () => {
    const beyond = Buffer.concat([Buffer.alloc(8, 0xff), signature.subarray(8)])
    expect(verify(beyond)).toBe(false)
    expect(codeOf(() => cosignatureTime(beyond))).toBe('signature')
  })

  it('can be renewed, in place of the one before', () => {
    const later = witnessKey('witness.example/w1', 0x20, 1_700_000_060)
    const renewed = signNote(parseNote(cosigned5), later.signer)
    expect(renewed.signatures).toHaveLength(2)
    const { verified, text: body } = openNote(formatNote(renewed), [log.verifier, witness.verifier])
    expect(cosignatureTime(verified.get(witness.verifier) ?? new Uint8Array(0))).toBe(1_700_000_060)
    expect(parseCheckpoint(body).size).toBe(5)
  })
})

it('a log’s key does not pass for a witness’s', () => {
  expect(codeOf(() => cosignatureVerifier(log.vkey, verifyEd25519))).toBe('vkey')
})
