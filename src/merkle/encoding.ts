import { MerkleError } from './errors.ts'
import { hashBytes } from './hash.ts'
import type { Hash } from './hash.ts'

/** A text as it came: bytes that must be UTF-8, or a string already decoded. */
export type Text = string | Uint8Array

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export function encodeUtf8(text: string): Uint8Array {
  return encoder.encode(text)
}

/**
 * Reads a text whose only control characters (below U+0020) are those in `allowed`. Throws
 * `encoding` for others, for bytes that are not UTF-8 and for a string that has no UTF-8 form.
 */
export function readText(input: Text, allowed = '\n'): string {
  const text = typeof input === 'string' ? input : decodeUtf8(input)
  for (const character of text) {
    if (character < ' ' && !allowed.includes(character)) {
      throw new MerkleError('encoding', 'the text has a control character')
    }
  }
  if (!text.isWellFormed()) {
    throw new MerkleError('encoding', 'the text has half a surrogate pair')
  }
  return text
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes)
  } catch (cause) {
    throw new MerkleError('encoding', 'the text is not UTF-8', { cause })
  }
}

export function encodeBase64(bytes: Uint8Array): string {
  let binary = ''
  for (const byte of bytes) binary += String.fromCharCode(byte)
  return btoa(binary)
}

/** RFC 4648 §5, without padding. */
export const encodeBase64Url = (bytes: Uint8Array): string =>
  encodeBase64(bytes).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')

/**
 * Decodes RFC 4648 §4 base64 in its one canonical form: padded, no spaces, no loose bits. Throws
 * `encoding`.
 */
export function decodeBase64(text: string): Uint8Array {
  const bytes = decodeForgivingBase64(text)
  if (encodeBase64(bytes) !== text) throw new MerkleError('encoding', 'the base64 is not canonical')
  return bytes
}

function decodeForgivingBase64(text: string): Uint8Array {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0))
  } catch (cause) {
    throw new MerkleError('encoding', 'not base64', { cause })
  }
}

/** Decodes the base64 of one hash. Throws `encoding`. */
export function decodeHash(text: string): Hash {
  const hash = decodeBase64(text)
  if (hash.length !== hashBytes) throw new MerkleError('encoding', 'a hash is not 32 bytes')
  return hash
}

/** Parses ASCII decimal without sign or leading zeros, up to 2^53 - 1. Throws `encoding`. */
export function parseDecimal(text: string): number {
  const number = Number(text)
  if (!/^(0|[1-9][0-9]*)$/.test(text) || !Number.isSafeInteger(number)) {
    throw new MerkleError('encoding', 'not a decimal number below 2^53')
  }
  return number
}

/**
 * Cuts lines, a blank line, and a note kept as it is: how tlog-proof and tlog-witness send a proof
 * with its checkpoint. Returns nothing if there is no blank line.
 */
export function splitAtBlankLine(text: string): { lines: string[]; rest: string } | undefined {
  const blank = text.indexOf('\n\n')
  if (blank < 0) return undefined
  return { lines: text.slice(0, blank).split('\n'), rest: text.slice(blank + 2) }
}
