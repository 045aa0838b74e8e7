import { AuthorizationResponseError, ClientError, ResponseBodyError } from 'openid-client'
import { BankRefused, BankUnavailable } from '../broker/bank_port.ts'

/** The server's own trouble, passed on through the browser (RFC 6749 §4.1.2.1). */
const passing = ['server_error', 'temporarily_unavailable']

/** There was no answer to judge. Whatever else openid-client finds wrong is wrong with the login itself. */
const notAnAnswer = [
  'OAUTH_RESPONSE_IS_NOT_CONFORM',
  'OAUTH_RESPONSE_IS_NOT_JSON',
  'OAUTH_PARSE_ERROR',
  'OAUTH_MISSING_SERVER_METADATA',
  'OAUTH_INVALID_SERVER_METADATA',
  '',
]

/** What was being done: beginning or ending something, turning the browser's answer into a login, or renewing tokens. */
export type Exchange = 'request' | 'login' | 'renewal'

/**
 * What an exchange with a bank's authorization server failed with, in the port's terms. In a renewal `invalid_grant` is the
 * bank's refusal, and nothing else is: it alone ends a consent. Faults of ours come back as they are.
 */
export function bankError(error: unknown, exchange: Exchange): unknown {
  const ours = causeIn(error)
  if (ours !== undefined) return ours
  if (error instanceof AuthorizationResponseError) return loginError(error.error)
  if (error instanceof ResponseBodyError) {
    if (error.error === 'invalid_grant' && exchange !== 'request')
      return new BankRefused(exchange === 'renewal' ? 'invalid_grant' : 'login_invalid')
    return new BankUnavailable(
      'bad_answer',
      `the bank answered ${error.status} ${brief(error.error)}`,
    )
  }
  if (
    error instanceof ClientError &&
    exchange === 'login' &&
    !notAnAnswer.includes(error.code ?? '')
  )
    return new BankRefused('login_invalid', error.message)
  if (error instanceof ClientError)
    return new BankUnavailable('bad_answer', `the bank's answer was none: ${error.message}`)
  return error
}

/** The answer of an exchange. Throws what it failed with in the port's terms. */
export async function heardFrom<T>(exchange: Exchange, answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (error) {
    throw bankError(error, exchange)
  }
}

function loginError(code: string): BankRefused | BankUnavailable {
  if (code === 'access_denied') return new BankRefused('cancelled')
  if (passing.includes(code)) return new BankUnavailable('bad_answer', `the bank answered ${code}`)
  return new BankRefused('login_invalid', `the bank answered the login with ${brief(code)}`)
}

/** The bank chooses these words, and they go into a log. */
const brief = (words: string): string => words.slice(0, 64)

/** What our own gateway threw comes wrapped. */
function causeIn(error: unknown): BankUnavailable | undefined {
  if (error instanceof BankUnavailable) return error
  return error instanceof Error ? causeIn(error.cause) : undefined
}
