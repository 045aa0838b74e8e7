/**
 * SQLSTATE classes and codes of a database that cannot serve now: connection exceptions, insufficient resources (a full disk,
 * too many connections), shutdown, a statement ended for taking too long, a serialization failure.
 */
const passing = /^(08|53|57P|58|57014|40)/

const unreachable: readonly string[] = [
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENOTFOUND',
  'ENOENT',
  'EPIPE',
  'ETIMEDOUT',
]

// pg's own words, before which knex puts the statement.
const lost = /(^| - )(Connection terminated|Client has encountered a connection error)/

/** Whether an error means that the database cannot serve at the moment, so that the same call may succeed later. */
export function databaseUnavailable(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false
  const { name, message, code }: { name?: unknown; message?: unknown; code?: unknown } = error
  // pg and knex give a lost connection and an exhausted pool no code, nor do we a full queue.
  if (name === 'QueueFull' || name === 'KnexTimeoutError' || lost.test(String(message))) return true
  return passing.test(String(code)) || unreachable.includes(String(code))
}
