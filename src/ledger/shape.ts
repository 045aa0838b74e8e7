import { CanonicalError } from './canonical.ts'

/**
 * Readers of canonical text (RFC 8785) of one declared shape. A reader accepts the one text that its shape allows for a value:
 * members in order, none unknown, missing or repeated, no white space, integers in one form, no string that needs an escape.
 * So what is read needs no second look, and bytes that differ from what was written are refused wherever they differ in form.
 */
export type Read<T> = (cursor: Cursor) => T

/** The text, how far it is read, and the member being read, for the message when it is wrong. */
export interface Cursor {
  readonly text: string
  at: number
  member: string
}

interface Optional<T> {
  readonly optional: Read<T>
}

/** A reader for each member; the optional ones are marked so in the type and here alike. */
type Members<T> = {
  readonly [K in keyof T]-?: {} extends Pick<T, K> ? Optional<Exclude<T[K], undefined>> : Read<T[K]>
}

const code = {
  quote: 0x22,
  comma: 0x2c,
  zero: 0x30,
  nine: 0x39,
  colon: 0x3a,
  open: 0x5b,
  close: 0x5d,
  begin: 0x7b,
  end: 0x7d,
}

/** Reads the whole of a text. Throws `CanonicalError`. */
export function readWhole<T>(read: Read<T>, text: string): T {
  const cursor = { text, at: 0, member: 'entry' }
  const value = read(cursor)
  if (cursor.at !== text.length) fail(cursor, 'the end')
  return value
}

function fail({ at, member }: Cursor, wanted: string): never {
  throw new CanonicalError(`${member}, at character ${at}: expected ${wanted}`)
}

function pass(cursor: Cursor, wanted: number): void {
  if (cursor.text.charCodeAt(cursor.at) !== wanted) fail(cursor, String.fromCharCode(wanted))
  cursor.at += 1
}

/** What is between two quotes. It is the string itself if it holds no escape, which every pattern here rules out. */
function quoted(cursor: Cursor): string {
  const start = cursor.at + 1
  const end = cursor.text.indexOf('"', start)
  if (cursor.text.charCodeAt(start - 1) !== code.quote || end < 0) fail(cursor, 'a string')
  cursor.at = end + 1
  return cursor.text.slice(start, end)
}

/** A string that fits the pattern, which must admit neither backslash nor control character, and `also`. */
export const matching =
  (pattern: RegExp, what: string, also?: (value: string) => boolean): Read<string> =>
  (cursor) => {
    const value = quoted(cursor)
    return pattern.test(value) && also?.(value) !== false ? value : fail(cursor, what)
  }

/** A string of 1 to `lengthMax` UTF-16 code units that needs no escape. */
export const string = (lengthMax: number): Read<string> =>
  matching(
    new RegExp(`^[^\\u0000-\\u001f"\\\\]{1,${lengthMax}}$`),
    `a string of 1 to ${lengthMax} characters without escapes`,
  )

export const oneOf =
  <T extends string>(...allowed: readonly T[]): Read<T> =>
  (cursor) => {
    const value = quoted(cursor)
    return allowed.find((one) => one === value) ?? fail(cursor, allowed.join(' or '))
  }

const isDigit = (unit: number) => unit >= code.zero && unit <= code.nine

/** An integer from `min`, which is not negative, to `max`. */
export const integer =
  (min: number, max = Number.MAX_SAFE_INTEGER): Read<number> =>
  (cursor) => {
    const { text, at: start } = cursor
    let end = start
    let value = 0
    while (isDigit(text.charCodeAt(end)) && value <= max) {
      value = value * 10 + (text.charCodeAt(end) - code.zero)
      end += 1
    }
    const leadingZero = end - start > 1 && text.charCodeAt(start) === code.zero
    if (end === start || leadingZero || value < min || value > max)
      fail(cursor, `an integer from ${min} to ${max}`)
    cursor.at = end
    return value
  }

export const boolean: Read<boolean> = (cursor) => {
  const value = cursor.text.startsWith('true', cursor.at)
  const word = String(value)
  if (!cursor.text.startsWith(word, cursor.at)) fail(cursor, 'true or false')
  cursor.at += word.length
  return value
}

/** A list of distinct values, in the order given. */
export const list =
  <T>(item: Read<T>, { min, max }: { min: number; max: number }): Read<readonly T[]> =>
  (cursor) => {
    const values: T[] = []
    pass(cursor, code.open)
    while (cursor.text.charCodeAt(cursor.at) !== code.close) {
      if (values.length > 0) pass(cursor, code.comma)
      const value = item(cursor)
      if (values.length >= max || values.includes(value))
        fail(cursor, `up to ${max} distinct values`)
      values.push(value)
    }
    if (values.length < min) fail(cursor, `at least ${min} values`)
    cursor.at += 1
    return values
  }

export const optional = <T>(read: Read<T>): Optional<T> => ({ optional: read })

/** An object with exactly these members: none unknown, none missing unless optional. */
export function object<T extends object>(members: Members<T>): Read<T> {
  const named = Object.entries<Read<unknown> | Optional<unknown>>(members)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => {
      const required = typeof member === 'function'
      return { name, label: `"${name}":`, required, read: required ? member : member.optional }
    })
  return (cursor) => {
    const value: Record<string, unknown> = {}
    let separator = code.begin
    for (const { name, label, required, read } of named) {
      if (!isNext(cursor, separator, label)) {
        if (required) fail(cursor, `member ${name}`)
        continue
      }
      cursor.member = name
      value[name] = read(cursor)
      separator = code.comma
    }
    pass(cursor, code.end)
    return value as T
  }
}

/** An object of one or more members whose names fit the pattern. */
export function record<T>(name: RegExp, read: Read<T>): Read<Readonly<Record<string, T>>> {
  const readName = matching(name, 'a name')
  // Names seldom differ from those of the text before: trying those first spares making each anew.
  let known: readonly { readonly name: string; readonly label: string }[] = []

  const nameAt = (cursor: Cursor, separator: number, i: number): string => {
    const guess = known[i]
    if (guess !== undefined && isNext(cursor, separator, guess.label)) return guess.name
    pass(cursor, separator)
    const found = readName(cursor)
    pass(cursor, code.colon)
    known = [...known.slice(0, i), { name: found, label: `"${found}":` }]
    return found
  }

  return (cursor) => {
    const value: Record<string, T> = {}
    let before = ''
    for (let i = 0; i === 0 || cursor.text.charCodeAt(cursor.at) === code.comma; i++) {
      const found = nameAt(cursor, i === 0 ? code.begin : code.comma, i)
      if (found <= before) fail(cursor, 'members in order')
      value[found] = read(cursor)
      before = found
    }
    pass(cursor, code.end)
    return value
  }
}

function isNext(cursor: Cursor, separator: number, label: string): boolean {
  const start = cursor.at + 1
  const end = start + label.length
  // A slice costs half of startsWith here.
  if (cursor.text.charCodeAt(cursor.at) !== separator || cursor.text.slice(start, end) !== label)
    return false
  cursor.at = end
  return true
}
