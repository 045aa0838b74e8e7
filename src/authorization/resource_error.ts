import { algorithmNames } from '../storage/jws.ts'
import type { AccessToken } from './access_token.ts'
import { OAuthError, type OAuthErrorCode } from './oauth_error.ts'

/**
 * The challenge of a protected resource, in the scheme of each kind of token (RFC 6750 §3, RFC 9449 §7.1, §7.2); what concerns
 * proofs is said to those who use them alone.
 */
function challenge(
  parameters: Readonly<Record<string, string>>,
  schemes: readonly ('DPoP' | 'Bearer')[] = ['DPoP', 'Bearer'],
): string {
  return schemes
    .map((scheme) => {
      const all = scheme === 'DPoP' ? { ...parameters, algs: algorithmNames.join(' ') } : parameters
      const written = Object.entries(all).map(([name, value]) => `${name}="${value}"`)
      return `${scheme} ${written.join(', ')}`.trim()
    })
    .join(', ')
}

/** Nothing that authenticates was sent: the challenge names no error. */
export const notAuthenticated = (): OAuthError =>
  new OAuthError(
    'invalid_token',
    'an access token is required, with its DPoP proof or certificate',
    {
      headers: { 'WWW-Authenticate': challenge({}) },
    },
  )

/** Where a resource says 401, and the token endpoint 400: what concerns proofs. */
const statuses: Partial<Record<OAuthErrorCode, number>> = {
  invalid_dpop_proof: 401,
  use_dpop_nonce: 401,
}

/** The same error as a protected resource gives it: 401 for what does not authenticate, with the challenge that says why. */
export function resourceError({ code, message, headers }: OAuthError): OAuthError {
  const status = statuses[code]
  return new OAuthError(code, message, {
    ...(status === undefined ? {} : { status }),
    headers: {
      ...headers,
      'WWW-Authenticate': challenge(
        { error: code, error_description: message },
        status === undefined ? undefined : ['DPoP'],
      ),
    },
  })
}

/** The token is good, and not for this; `scope` is the one that would be. */
export function insufficientScope(description: string, scope?: string): OAuthError {
  const wanting = scope === undefined ? {} : { scope }
  return new OAuthError('insufficient_scope', description, {
    headers: {
      'WWW-Authenticate': challenge({
        ...{ error: 'insufficient_scope', ...wanting },
        error_description: description,
      }),
    },
  })
}

/** Throws `OAuthError('insufficient_scope')` unless the token has this scope. */
export function requireScope({ scopes }: AccessToken, scope: string): void {
  if (!scopes.includes(scope)) throw insufficientScope(`the scope ${scope} is required`, scope)
}
