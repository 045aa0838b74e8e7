/**
 * JSON in its one canonical form (RFC 8785, JCS), for the values entries are made of: objects, arrays, strings, booleans,
 * null and safe integers. Fractions are refused rather than formatted: nothing in a ledger needs one.
 */
export type Json =
  null | boolean | number | string | readonly Json[] | { readonly [k: string]: Json }

export class CanonicalError extends Error {
  override readonly name = 'CanonicalError'
}

/** The canonical text of a value. Throws `CanonicalError` for what has no canonical form here. */
export function canonical(value: Json): string {
  if (typeof value === 'string') return text(value)
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value) || Object.is(value, -0))
      throw new CanonicalError('not a safe integer')
    return String(value)
  }
  if (value === null || typeof value === 'boolean') return String(value)
  if (isArray(value)) return `[${value.map(canonical).join(',')}]`
  const members = Object.keys(value)
    .toSorted(byCodeUnit)
    .map((key) => `${text(key)}:${canonical(member(value, key))}`)
  return `{${members.join(',')}}`
}

/**
 * Parses text that must already be canonical. `JSON.stringify` writes strings and integers exactly as RFC 8785 §3.2.2 asks
 * and keeps the members' order, so text equal to its own re-serialisation, with sorted members, is canonical: duplicate
 * members, white space, other number forms and other escapes all fail the comparison.
 */
export function parseCanonical(source: string): Json {
  let value: Json
  try {
    value = JSON.parse(source) as Json
  } catch {
    throw new CanonicalError('not JSON')
  }
  if (JSON.stringify(value) !== source) throw new CanonicalError('not canonical JSON')
  assertPlain(value)
  return value
}

function assertPlain(value: Json): void {
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw new CanonicalError('a lone surrogate')
  } else if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) throw new CanonicalError('not a safe integer')
  } else if (typeof value === 'object' && value !== null) {
    if (isArray(value)) return value.forEach(assertPlain)
    let before: string | undefined
    for (const key of Object.keys(value)) {
      if (before !== undefined && byCodeUnit(before, key) >= 0)
        throw new CanonicalError('members out of order')
      before = key
      assertPlain(member(value, key))
    }
  }
}

const isArray = (value: Json): value is readonly Json[] => Array.isArray(value)

function member(value: { readonly [k: string]: Json }, key: string): Json {
  const found = value[key]
  if (found === undefined) throw new CanonicalError(`undefined member ${key}`)
  return found
}

function text(value: string): string {
  if (!value.isWellFormed()) throw new CanonicalError('a lone surrogate')
  return JSON.stringify(value)
}

const byCodeUnit = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)
