import type { Broker } from '../broker/broker.ts'
import type { Client } from '../storage/clients.ts'
import { JwsError } from '../storage/jws.ts'
import type { Authorization } from './authorization.ts'
import { isSignedByClient } from './client_assertion.ts'
import type { Form } from './form.ts'
import { checkTimes, parseJwt, type Jwt } from './jwt.ts'
import { OAuthError } from './oauth_error.ts'

const limits = {
  chars_max: 16_384,
  depth_max: 16,
  /** From `nbf` to `exp`, and so from `nbf` to now, since `exp` is to come (FAPI 2.0 Message Signing). */
  lifetime_s_max: 3_600,
} as const

/** The media type is recommended and not required (RFC 9101 §10.8); the types of other JWTs are refused. */
const types: readonly unknown[] = [undefined, 'JWT', 'oauth-authz-req+jwt']

/** What an authorization request is made of; whatever else an object holds is ignored, as outside of one. */
const parameters = [
  ...['response_type', 'response_mode', 'redirect_uri', 'state', 'nonce', 'scope'],
  ...['code_challenge', 'code_challenge_method', 'dpop_jkt'],
  ...['grant_management_action', 'grant_id', 'authorization_details'],
]

/**
 * The parameters of a request object (RFC 9101), signed by a key of its client. It may be pushed again while it is good: no
 * standard asks for its `jti`, whoever pushes it authenticates, and each push makes a request of its own. Throws
 * `OAuthError('invalid_request_object')`.
 */
export async function openRequestObject(
  broker: Broker,
  authorization: Authorization,
  { client, object }: { client: Client; object: string },
): Promise<Form> {
  try {
    if (object.length > limits.chars_max)
      throw new JwsError(`it is longer than ${limits.chars_max} characters`)
    const jwt = parseJwt(object)
    checkShape(Buffer.from(object.split('.')[1] ?? '', 'base64url').toString())
    if (!types.includes(jwt.header()['typ']))
      throw new JwsError('typ is not that of a request object')
    if (!(await isSignedByClient(authorization, jwt, client)))
      throw new JwsError('it is not signed by a key of the client')
    checkClaims(jwt.claims, { client, issuer: authorization.issuer, now: broker.now() / 1000 })
    return formOf(jwt.claims)
  } catch (error) {
    if (error instanceof JwsError)
      throw new OAuthError('invalid_request_object', `request object: ${error.message}`)
    throw error
  }
}

/** Text that readers read differently is refused, since it is kept as what was signed: a member twice; and what nests too deep. */
function checkShape(text: string): void {
  const open: (Set<unknown> | undefined)[] = []
  for (const [token, name] of text.matchAll(
    /("(?:[^"\\]|\\.)*")\s*:|"(?:[^"\\]|\\.)*"|[{}[\]]/gs,
  )) {
    if (name !== undefined) {
      const key: unknown = JSON.parse(name)
      const names = open.at(-1)
      if (names?.has(key) === true) throw new JwsError('a member is there twice')
      names?.add(key)
    } else if (token === '{' || token === '[') {
      if (open.push(token === '{' ? new Set() : undefined) > limits.depth_max)
        throw new JwsError(`it is nested more than ${limits.depth_max} deep`)
    } else if (token === '}' || token === ']') open.pop()
  }
}

function checkClaims(
  claims: Jwt['claims'],
  { client, issuer, now }: { client: Client; issuer: string; now: number },
): void {
  const { iss, aud, sub, client_id, nbf, exp } = claims
  if (iss !== client.id || client_id !== client.id)
    throw new JwsError('iss and client_id are the client that authenticates')
  // With such a `sub` it would pass for a client assertion (RFC 9101 §10.8).
  if (sub === client.id) throw new JwsError('sub is not the client')
  if (aud !== issuer && !(Array.isArray(aud) && aud.includes(issuer)))
    throw new JwsError('aud is the issuer identifier, or a list that holds it')
  checkTimes(claims, now)
  if (typeof nbf !== 'number' || typeof exp !== 'number')
    throw new JwsError('nbf and exp are required')
  if (exp > nbf + limits.lifetime_s_max)
    throw new JwsError(`exp is more than ${limits.lifetime_s_max} s after nbf`)
  if ('request' in claims || 'request_uri' in claims)
    throw new JwsError('it holds no request and no request_uri')
}

/** Parameters are strings, but for authorization_details, which are JSON as they are (RFC 9396 §3). */
function formOf(claims: Jwt['claims']): Form {
  const form = new Map<string, string>()
  for (const name of parameters) {
    const claim = claims[name]
    if (claim === undefined || claim === '') continue
    const value = name === 'authorization_details' ? textOf(claim) : claim
    if (typeof value !== 'string' || value.includes('\0'))
      throw new JwsError(`${name} is a string without NUL`)
    form.set(name, value)
  }
  return form
}

const textOf = (claim: unknown) => (typeof claim === 'string' ? claim : JSON.stringify(claim))
