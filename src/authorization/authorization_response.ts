import type { PushedRequest, ResponseMode } from '../storage/pushed_requests.ts'
import { token_s_max } from './access_token.ts'
import type { Authorization } from './authorization.ts'
import type { OAuthErrorCode } from './oauth_error.ts'

/** What an authorization request comes to. */
export type Outcome =
  | { readonly code: string }
  | { readonly error: OAuthErrorCode; readonly error_description?: string }

/**
 * A signed answer is good for as long as an access token, and so never longer than the key that signed it is published. A browser
 * brings it back at once, but clocks differ (JARM §2.1: at most 10 minutes).
 */
const answer_s_max = token_s_max

/** The response modes that can be asked for, and the mode that each is. `jwt` is `query.jwt` for a code (JARM §2.3.4). */
const modes: ReadonlyMap<string, ResponseMode> = new Map([
  ['query', 'query'],
  ['jwt', 'jwt'],
  ['query.jwt', 'jwt'],
])

export const responseModes: readonly string[] = [...modes.keys()]

/** The mode of this name; plain parameters when none is named, and undefined for a mode that is not ours. */
export const responseMode = (name = 'query'): ResponseMode | undefined => modes.get(name)

/**
 * Where to send the browser: the pushed `redirect_uri`, unchanged, with the outcome, `state`, and `iss` (RFC 9207); or with
 * `response` and nothing else, a JWT that holds them and names its client as `aud` (JARM §2.1). `now` is in milliseconds.
 */
export function authorizationResponse(
  { issuer, keys }: Pick<Authorization, 'issuer' | 'keys'>,
  {
    clientId,
    redirectUri,
    responseMode: mode,
    state,
  }: Pick<PushedRequest, 'clientId' | 'redirectUri' | 'responseMode' | 'state'>,
  { outcome, now }: { outcome: Outcome; now: number },
): string {
  const answer = { ...outcome, ...(state === undefined ? {} : { state }), iss: issuer }
  const exp = Math.floor(now / 1000) + answer_s_max
  const parameters = new URLSearchParams(
    mode === 'jwt' ? { response: keys.sign('JWT', { ...answer, aud: clientId, exp }) } : answer,
  )
  return `${redirectUri}${redirectUri.includes('?') ? '&' : '?'}${parameters}`
}
