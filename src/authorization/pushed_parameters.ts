import { scopeOf } from '../consent/cluster.ts'
import type { RequestedTerms } from '../consent/terms.ts'
import type { Recipient } from '../storage/clients.ts'
import type { PushedRequest } from '../storage/pushed_requests.ts'
import { responseMode, responseModes } from './authorization_response.ts'
import type { Binding } from './binding.ts'
import { required, type Form } from './form.ts'
import { OAuthError } from './oauth_error.ts'
import { sameScopes } from './scopes.ts'
import { isSecureUri } from './secure_uri.ts'

const limits = { state_chars_max: 1_024, nonce_chars_max: 64 } as const

/**
 * What of a pushed request goes on to the browser's way and to the code, checked: kind, scope, redirect URI, response mode, state,
 * PKCE, and the key that the code will be bound to. Throws `OAuthError`.
 */
export function checkedParameters(
  form: Form,
  {
    client,
    terms,
    binding,
  }: { client: Recipient; terms: RequestedTerms; binding: Binding | undefined },
): Pick<PushedRequest, 'redirectUri' | 'responseMode' | 'state' | 'codeChallenge' | 'dpopJkt'> {
  checkKind(form)
  checkScope(form, terms)
  const redirectUri = required(form, 'redirect_uri')
  if (!client.redirectUris.includes(redirectUri) || !isSecureUri(redirectUri))
    throw new OAuthError('invalid_request', 'redirect_uri is not one that was registered')
  const mode = responseMode(form.get('response_mode'))
  if (mode === undefined)
    throw new OAuthError('invalid_request', `response_mode is one of ${responseModes.join(', ')}`)
  const state = printable(form, 'state', limits.state_chars_max)
  printable(form, 'nonce', limits.nonce_chars_max)
  const dpopJkt = boundKey(form, client, binding)
  return {
    redirectUri,
    responseMode: mode,
    codeChallenge: codeChallenge(form),
    ...(state === undefined ? {} : { state }),
    ...(dpopJkt === undefined ? {} : { dpopJkt }),
  }
}

/** What is asked for: a code. */
function checkKind(form: Form): void {
  if (required(form, 'response_type') !== 'code')
    throw new OAuthError('unsupported_response_type', 'response_type is code')
}

function checkScope(form: Form, { clusters }: RequestedTerms): void {
  const scope = form.get('scope')
  if (scope !== undefined && !sameScopes(scope, scopeOf(clusters)))
    throw new OAuthError('invalid_scope', 'scope does not match the data clusters')
}

/** The key that the code will be bound to (RFC 9449 §10), said by parameter, by proof, or by both alike. */
function boundKey(form: Form, client: Recipient, binding: Binding | undefined): string | undefined {
  const jkt = binding !== undefined && 'jkt' in binding ? binding.jkt : undefined
  const named = form.get('dpop_jkt')
  if (named !== undefined && client.binding === 'mtls')
    throw new OAuthError('invalid_request', 'tokens of this client are bound by mutual TLS')
  if (named !== undefined && !isSha256(named))
    throw new OAuthError('invalid_request', 'dpop_jkt is not a SHA-256 thumbprint')
  if (named !== undefined && jkt !== undefined && named !== jkt)
    throw new OAuthError('invalid_request', 'dpop_jkt is not the key of the proof')
  return named ?? jkt
}

function codeChallenge(form: Form): string {
  const challenge = required(form, 'code_challenge')
  if (form.get('code_challenge_method') !== 'S256')
    throw new OAuthError('invalid_request', 'code_challenge_method is S256')
  if (!isSha256(challenge))
    throw new OAuthError('invalid_request', 'code_challenge is not a SHA-256, base64url')
  return challenge
}

const isSha256 = (value: string) => /^[A-Za-z0-9_-]{43}$/.test(value)

/** A parameter that is text for a client's own use. Throws `OAuthError`. */
function printable(form: Form, name: string, chars_max: number): string | undefined {
  const value = form.get(name)
  if (value === undefined || (value.length <= chars_max && /^[ -~]*$/.test(value))) return value
  throw new OAuthError(
    'invalid_request',
    `${name} is printable ASCII, of at most ${chars_max} characters`,
  )
}
