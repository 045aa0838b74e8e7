import { isJsonObject } from '../ledger/json_object.ts'
import {
  algorithmOf,
  importPublicKey,
  isSignedBy,
  JwsError,
  type PublicKey,
} from '../storage/jws.ts'
import type { Once } from '../storage/replays.ts'
import type { Authorization } from './authorization.ts'
import { checkTimes, jtiOf, parseJwt, type Jwt } from './jwt.ts'
import { OAuthError } from './oauth_error.ts'

/** A proof is refused when it was made longer ago than this. */
const past_s_max = 60

const header_chars_max = 2_048

/** What a proof must prove: a key, for this request. */
export interface Proving {
  /** The `DPoP` header, as it was sent. */
  readonly proof: string
  readonly method: string
  /** The URL of the request as clients know it, without query. */
  readonly url: string
  /** At a resource: the access token's hash (`ath`) and the key that it is bound to. */
  readonly token?: { readonly hash: string; readonly jkt: string }
  /** Milliseconds since the epoch. */
  readonly now: number
}

/** A good proof. It is good for one use, which is the caller's to claim. */
export interface Proved {
  readonly jkt: string
  readonly once: Once
  /** The nonce to use from now on, when the proof's is about to end. */
  readonly freshNonce?: string
}

/**
 * Verifies a DPoP proof (RFC 9449 §4.3), each time it is shown. What is cheap to refuse is refused before the signature is
 * verified. Throws `OAuthError`: `use_dpop_nonce`, with the nonce to use, or `invalid_dpop_proof`.
 */
export async function checkProof(authorization: Authorization, proving: Proving): Promise<Proved> {
  try {
    const jwt = parseJwt(proving.proof)
    const key = keyOf(authorization, jwt)
    if (proving.token !== undefined && proving.token.jkt !== key.thumbprint)
      throw new JwsError('the proof is not by the key that the access token is bound to')
    const { iat, jti } = checkClaims(authorization, jwt.claims, proving)
    const { nonce } = jwt.claims
    const current = authorization.nonces.current(proving.now)
    if (typeof nonce !== 'string' || !authorization.nonces.accepts(nonce, proving.now))
      throw new OAuthError('use_dpop_nonce', 'the proof must carry the nonce given here', {
        headers: { 'DPoP-Nonce': current },
      })
    if (!(await isSignedBy(jwt, key))) throw new JwsError('the proof is not signed by its key')
    return {
      jkt: key.thumbprint,
      once: { value: `dpop ${key.thumbprint} ${jti}`, expires: (iat + past_s_max) * 1000 },
      ...(nonce === current ? {} : { freshNonce: current }),
    }
  } catch (error) {
    if (error instanceof JwsError) throw new OAuthError('invalid_dpop_proof', error.message)
    throw error
  }
}

/** A client sends the same header with every proof: its key is imported once. */
function keyOf({ proofKeys }: Authorization, jwt: Jwt): PublicKey {
  const known = proofKeys.get(jwt.headerText)
  if (known !== undefined) return known
  if (jwt.headerText.length > header_chars_max) throw new JwsError('the header is too long')
  const { typ, alg, jwk } = jwt.header()
  if (typ !== 'dpop+jwt') throw new JwsError('typ is not dpop+jwt')
  const algorithm = algorithmOf(alg)
  if (!isJsonObject(jwk)) throw new JwsError('jwk is required')
  const key = importPublicKey(jwk, algorithm)
  proofKeys.set(jwt.headerText, key)
  return key
}

function checkClaims(
  { issuer, mtls }: Authorization,
  claims: Jwt['claims'],
  { method, url, token, now }: Proving,
): { iat: number; jti: string } {
  const { htm, htu, iat, ath } = claims
  if (htm !== method) throw new JwsError('htm is not the method of this request')
  if (typeof htu !== 'string' || (htu !== url && !isAt(htu, url, { issuer, ...mtls })))
    throw new JwsError('htu is not the URL of this request')
  checkTimes(claims, now / 1000)
  if (typeof iat !== 'number' || iat < now / 1000 - past_s_max)
    throw new JwsError(`iat is more than ${past_s_max} s ago, or not there`)
  if (token !== undefined && ath !== token.hash)
    throw new JwsError('ath is not the hash of the access token')
  return { iat, jti: jtiOf(claims) }
}

/** Whether a URL is that of the request, at the issuer or at the host for client certificates: one server, under two names. */
function isAt(
  htu: string,
  url: string,
  { issuer, origin }: { issuer: string; origin?: string },
): boolean {
  const named = normal(htu)
  return (
    named === normal(url) ||
    (origin !== undefined && named === normal(origin + url.slice(issuer.length)))
  )
}

/** A URL without query and fragment, in the one form that RFC 3986 §6.2.2 and §6.2.3 give it. */
function normal(text: string): string {
  if (!URL.canParse(text)) throw new JwsError('htu is not a URL')
  const { origin, pathname } = new URL(text)
  return origin + pathname
}
