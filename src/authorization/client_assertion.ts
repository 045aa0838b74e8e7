import type { Broker } from '../broker/broker.ts'
import { findClient, isClientId, type Client } from '../storage/clients.ts'
import {
  algorithmOf,
  importPublicKey,
  isSignedBy,
  JwsError,
  suits,
  type Jwk,
} from '../storage/jws.ts'
import type { Once } from '../storage/replays.ts'
import type { Authorization } from './authorization.ts'
import type { Form } from './form.ts'
import { checkTimes, future_s_max, jtiOf, parseJwt, type Jwt } from './jwt.ts'
import { OAuthError } from './oauth_error.ts'

const assertion_type = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/** exp lies at most this far ahead, beside the difference of clocks that is allowed. */
const lifetime_s_max = 300

/** Other JWTs that a client may sign with the same key are no assertions (RFC 8725 §3.11). */
const types: readonly unknown[] = [undefined, 'JWT', 'client-authentication+jwt']

/**
 * Authenticates a client by `private_key_jwt` (RFC 7523 §3, FAPI 2.0 §5.3.2.1): `aud` is our issuer as a string and nothing
 * else; the key is one that was registered. The assertion is good for one use, which is the caller's to claim. Throws
 * `OAuthError('invalid_client')`; nothing is said of claims to those who could not sign them.
 */
export async function checkAssertion(
  broker: Broker,
  authorization: Authorization,
  form: Form,
): Promise<{ client: Client; once: Once }> {
  try {
    if (form.get('client_assertion_type') !== assertion_type)
      throw new JwsError('client_assertion_type is that of private_key_jwt')
    const jwt = parseJwt(form.get('client_assertion') ?? '')
    if (!types.includes(jwt.header()['typ']))
      throw new JwsError('typ is not that of a client assertion')
    const { iss, sub } = jwt.claims
    if (typeof iss !== 'string' || iss !== sub || (form.get('client_id') ?? iss) !== iss)
      throw new JwsError('iss, sub and client_id of a client assertion are the same')
    const client = isClientId(iss) ? await findClient(broker.db, iss) : undefined
    if (
      client?.authentication.method !== 'private_key_jwt' ||
      !(await isSignedByClient(authorization, jwt, client))
    )
      throw new JwsError('the client is not known, or not by this key')
    const { issuer } = authorization
    const now = broker.now() / 1000
    return { client, once: checkClaims(jwt.claims, { client, issuer, now }) }
  } catch (error) {
    if (error instanceof JwsError) throw new OAuthError('invalid_client', error.message)
    throw error
  }
}

/** The key is the one that `kid` names, or without `kid` the only one for the algorithm. */
export async function isSignedByClient(
  { clientKeys }: Authorization,
  jwt: Jwt,
  client: Client,
): Promise<boolean> {
  const { alg, kid } = jwt.header()
  const algorithm = algorithmOf(alg)
  const isIt = (one: Jwk) => suits(one, algorithm) && (kid === undefined || one['kid'] === kid)
  const keys = await clientKeys.of(client, (some) => some.some(isIt))
  const [jwk, another] = keys.filter(isIt)
  if (jwk === undefined || another !== undefined) return false
  return isSignedBy(jwt, importPublicKey(jwk, algorithm))
}

function checkClaims(
  claims: Jwt['claims'],
  { client, issuer, now }: { client: Client; issuer: string; now: number },
): Once {
  const { aud, exp } = claims
  if (aud !== issuer) throw new JwsError('aud is the issuer identifier, as a string')
  checkTimes(claims, now)
  if (typeof exp !== 'number') throw new JwsError('exp is required')
  if (exp > now + lifetime_s_max + future_s_max)
    throw new JwsError(`exp is more than ${lifetime_s_max} s ahead`)
  return { value: `client_assertion ${client.id} ${jtiOf(claims)}`, expires: exp * 1000 }
}
