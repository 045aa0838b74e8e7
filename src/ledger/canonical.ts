/**
 * JSON in its one canonical form (RFC 8785, JCS), for what a ledger holds or commits to: objects, arrays, strings, booleans,
 * null and safe integers. Fractions are refused rather than formatted: nothing in a ledger needs one.
 */
export type Json =
  null | boolean | number | string | readonly Json[] | { readonly [k: string]: Json }

export class CanonicalError extends Error {
  override readonly name = 'CanonicalError'
}

/** Deeper nesting is refused before it can exhaust the stack. */
const depth_max = 32

/** The canonical text of a value. Throws `CanonicalError` for what has no canonical form here. */
export function canonical(value: Json): string {
  return write(value, 0)
}

function write(value: Json, depth: number): string {
  if (typeof value === 'string') return text(value)
  if (typeof value === 'number') return integer(value)
  if (value === null || typeof value === 'boolean') return String(value)
  if (depth === depth_max) throw new CanonicalError(`nested more than ${depth_max} deep`)
  if (isArray(value)) return `[${value.map((item) => write(item, depth + 1)).join(',')}]`
  const members = Object.keys(value)
    .toSorted(byCodeUnit)
    .map((key) => `${text(key)}:${write(member(value, key), depth + 1)}`)
  return `{${members.join(',')}}`
}

const isArray = (value: Json): value is readonly Json[] => Array.isArray(value)

function member(value: { readonly [k: string]: Json }, key: string): Json {
  const found = value[key]
  if (found === undefined) throw new CanonicalError(`undefined member ${key}`)
  return found
}

function integer(value: number): string {
  if (!Number.isSafeInteger(value) || Object.is(value, -0))
    throw new CanonicalError('not a safe integer')
  return String(value)
}

/** `JSON.stringify` escapes exactly as RFC 8785 §3.2.2.2 asks, save that it would hide a lone surrogate. */
function text(value: string): string {
  if (!value.isWellFormed()) throw new CanonicalError('a lone surrogate')
  return JSON.stringify(value)
}

/** RFC 8785 §3.2.3: members go by their names' UTF-16 code units. */
const byCodeUnit = (a: string, b: string) => (a < b ? -1 : 1)
