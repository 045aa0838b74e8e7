import { isSignedBy, JwsError, type PublicKey } from '../storage/jws.ts'
import type { Authorization } from './authorization.ts'
import { readBinding, type Binding } from './binding.ts'
import { checkTimes, parseJwt, type Jwt } from './jwt.ts'
import type { TokenKeys } from './keys.ts'
import { OAuthError } from './oauth_error.ts'

/** An access token lives at most this long, in seconds. */
export const token_s_max = 300

/** How long a revocation is kept, in seconds: longer than a token lives, by as much as clocks, and a refresh under way, may add. */
export const revocation_kept_s = token_s_max + 60

/** RFC 9068 §2.1. */
export const token_typ = 'at+jwt'

/** Whom an access token speaks for. It authenticates; what it permits is the consent's to say, in `append`. */
export interface AccessToken {
  readonly clientId: string
  readonly jti: string
  readonly scopes: readonly string[]
  readonly bank?: string
  /** Present in a token that opens a consent, absent in one of a client for itself. */
  readonly consentId?: string
  /** The key that its holder shows possession of at each use. */
  readonly binding: Binding
  /** Milliseconds since the epoch. */
  readonly issued: number
  readonly expires: number
  /** The key that signed it: what it signed is good no longer than it. */
  readonly kid: string
}

/** What a new token says. */
export interface Minted {
  readonly clientId: string
  readonly sub: string
  readonly jti: string
  readonly scope: string
  readonly binding: Binding
  readonly bank?: string
  readonly consent?: { readonly id: string; readonly details: readonly object[] }
  readonly lifetime_s: number
}

/** Signs an access token (RFC 9068, RFC 9449 §6, RFC 8705 §3.1). A token that opens a consent is for the FDX resource, any other for us. */
export function mintAccessToken(
  { issuer, resource, keys }: Authorization,
  minted: Minted,
  now: number,
): string {
  const iat = Math.floor(now / 1000)
  const { consent, bank } = minted
  return keys.sign(token_typ, {
    iss: issuer,
    sub: minted.sub,
    aud: consent === undefined ? issuer : resource,
    client_id: minted.clientId,
    jti: minted.jti,
    iat,
    exp: iat + Math.min(minted.lifetime_s, token_s_max),
    scope: minted.scope,
    ...(bank === undefined ? {} : { bank }),
    ...(consent === undefined
      ? {}
      : { fdxConsentId: consent.id, authorization_details: consent.details }),
    cnf: minted.binding,
  })
}

/**
 * Verifies an access token of ours; `hash` is its SHA-256, base64url. A token once verified is remembered until it expires.
 * Throws `OAuthError('invalid_token')`.
 */
export async function verifyAccessToken(
  authorization: Authorization,
  { token, hash, now }: { token: string; hash: string; now: number },
): Promise<AccessToken> {
  const { accessTokens, keys } = authorization
  const known = accessTokens.get(hash)
  if (known !== undefined && known.expires > now && keys.find(known.kid) !== undefined) return known
  try {
    const verified = await verifySigned(authorization, token, now)
    accessTokens.set(hash, verified)
    return verified
  } catch (error) {
    if (error instanceof JwsError) throw new OAuthError('invalid_token', error.message)
    throw error
  }
}

async function verifySigned(
  { issuer, resource, keys }: Authorization,
  token: string,
  now: number,
): Promise<AccessToken> {
  const jwt = parseJwt(token)
  const signed = await signedByUs(keys, jwt)
  if (signed?.typ !== token_typ) throw new JwsError('not an access token of this issuer')
  const { iss, aud, iat, exp, client_id, jti, scope, bank, fdxConsentId, cnf } = jwt.claims
  checkTimes({ iat, exp }, now / 1000)
  if (
    iss !== issuer ||
    aud !== (fdxConsentId === undefined ? issuer : resource) ||
    typeof iat !== 'number' ||
    typeof exp !== 'number' ||
    typeof client_id !== 'string' ||
    typeof jti !== 'string' ||
    typeof scope !== 'string' ||
    !isOptionalString(bank) ||
    !isOptionalString(fdxConsentId)
  )
    throw new JwsError('not an access token for this resource')
  return {
    clientId: client_id,
    jti,
    scopes: scope.split(' '),
    ...(bank === undefined ? {} : { bank }),
    ...(fdxConsentId === undefined ? {} : { consentId: fdxConsentId }),
    binding: bindingOf(cnf),
    issued: iat * 1000,
    expires: exp * 1000,
    kid: signed.key.thumbprint,
  }
}

/** The key of ours that has signed a JWT, and its `typ`; undefined for any other. Throws `JwsError` for what is no JWT. */
export async function signedByUs(
  keys: TokenKeys,
  jwt: Jwt,
): Promise<{ key: PublicKey; typ: unknown } | undefined> {
  const { typ, alg, kid } = jwt.header()
  const key = keys.find(kid)
  return key?.algorithm === alg && key !== undefined && (await isSignedBy(jwt, key))
    ? { key, typ }
    : undefined
}

const isOptionalString = (value: unknown): value is string | undefined =>
  value === undefined || typeof value === 'string'

function bindingOf(cnf: unknown): Binding {
  const binding = readBinding(cnf)
  if (binding === undefined) throw new JwsError('the access token is bound to no key')
  return binding
}
