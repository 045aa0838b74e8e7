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

/** Whether an error means that the database cannot serve at the moment, so that the same call may succeed later. */
export function databaseUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  // pg and knex give a lost connection and an exhausted pool no code.
  if (error.name === 'KnexTimeoutError' || error.message.startsWith('Connection terminated'))
    return true
  const code = 'code' in error ? String(error.code) : ''
  return passing.test(code) || unreachable.includes(code)
}
