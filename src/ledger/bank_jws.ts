import { CanonicalError } from './canonical.ts'
import { bank_jws_chars_max, type PublicJwk } from './entry.ts'
import { isJsonObject, type JsonObject } from './json_object.ts'

/** Verifies one JWS signature (RFC 7515) with a public key; `alg` is one of ES256, PS256, EdDSA. */
export type VerifyJws = (
  key: PublicJwk,
  alg: string,
  input: Uint8Array,
  signature: Uint8Array,
) => boolean

/** The ledger for which a bank signs, with the bank's key as `genesis` names it. */
export interface SignedFor {
  readonly bank: string
  readonly origin: string
  readonly key: PublicJwk
  readonly verify: VerifyJws
}

const algorithms: readonly string[] = ['ES256', 'PS256', 'EdDSA']

/**
 * Opens what a bank signed for its ledger: a compact JWS (RFC 7515) of this `typ`, whose payload names the bank as `iss` and the
 * ledger's origin as `aud`. Returns the claims of the payload, of which nothing else is checked. Throws `CanonicalError`, whose
 * message calls it `what`.
 */
export function openBankJws(
  jws: string,
  { what, typ, bank, origin, key, verify }: SignedFor & { what: string; typ: string },
): JsonObject {
  const [protectedHeader = '', payload = '', signature = '', ...rest] = jws.split('.')
  if (rest.length > 0 || jws.length > bank_jws_chars_max)
    throw new CanonicalError('not a compact JWS')
  const header = jsonOf(protectedHeader)
  const alg = header['alg']
  if (
    typeof alg !== 'string' ||
    !algorithms.includes(alg) ||
    header['typ'] !== typ ||
    'crit' in header
  )
    throw new CanonicalError(`not a signed ${what}`)
  const input = new TextEncoder().encode(`${protectedHeader}.${payload}`)
  if (!verify(key, alg, input, bytesOf(signature)))
    throw new CanonicalError(`the ${what} is not signed by the bank's key`)
  const claims = jsonOf(payload)
  if (claims['iss'] !== bank || claims['aud'] !== origin)
    throw new CanonicalError(`the ${what} is for another ledger`)
  return claims
}

/** A claim that is an integer from 0, as a time in seconds is. Throws `CanonicalError`. */
export function integerOf(claims: JsonObject, name: string): number {
  const value = claims[name]
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
    throw new CanonicalError(`the claim ${name} is not an integer from 0`)
  return value
}

function jsonOf(part: string): JsonObject {
  try {
    const value: unknown = JSON.parse(
      new TextDecoder('utf-8', { fatal: true }).decode(bytesOf(part)),
    )
    if (isJsonObject(value)) return value
  } catch {
    // Said below: whatever is not a JSON object is not a JWS part.
  }
  throw new CanonicalError('not a compact JWS')
}

function bytesOf(part: string): Uint8Array {
  if (!/^[A-Za-z0-9_-]+$/.test(part) || part.length % 4 === 1)
    throw new CanonicalError('not base64url')
  const binary = atob(part.replaceAll('-', '+').replaceAll('_', '/'))
  return Uint8Array.from(binary, (char) => char.charCodeAt(0))
}
