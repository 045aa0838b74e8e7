import { isClass } from '../consent/class.ts'
import { isCluster } from '../consent/cluster.ts'
import { CanonicalError } from './canonical.ts'
import { approval_jws_chars_max, type Bodies, type PublicJwk } from './entry.ts'
import { isJsonObject, type JsonObject } from './json_object.ts'

/** Verifies one JWS signature (RFC 7515) with a public key; `alg` is one of ES256, PS256, EdDSA. */
export type VerifyJws = (
  key: PublicJwk,
  alg: string,
  input: Uint8Array,
  signature: Uint8Array,
) => boolean

const algorithms: readonly string[] = ['ES256', 'PS256', 'EdDSA']

/** The `typ` of a bank's signed approval of a recipient. */
export const approval_typ = 'countersign-approval+jwt'

function signedPart(jws: string): string {
  return jws.slice(0, jws.lastIndexOf('.'))
}

/**
 * Opens a bank's signed approval: a compact JWS, `typ` as above, whose payload names this bank as `iss`, the ledger's origin
 * as `aud`, when it was signed as `iat`, and the recipient, class, purposes, clusters and encryption keys it admits. Throws `CanonicalError`.
 */
export function openApproval(
  jws: string,
  {
    bank,
    origin,
    key,
    verify,
  }: { bank: string; origin: string; key: PublicJwk; verify: VerifyJws },
): Bodies['recipient.approve'] {
  const [protectedHeader = '', payload = '', signature = '', ...rest] = jws.split('.')
  if (rest.length > 0 || jws.length > approval_jws_chars_max)
    throw new CanonicalError('not a compact JWS')
  const header = jsonOf(protectedHeader)
  const alg = header['alg']
  if (
    typeof alg !== 'string' ||
    !algorithms.includes(alg) ||
    header['typ'] !== approval_typ ||
    'crit' in header
  )
    throw new CanonicalError('not a signed approval')
  const input = new TextEncoder().encode(signedPart(jws))
  if (!verify(key, alg, input, bytesOf(signature)))
    throw new CanonicalError("the approval is not signed by the bank's key")
  const claims = jsonOf(payload)
  if (claims['iss'] !== bank || claims['aud'] !== origin)
    throw new CanonicalError('the approval is for another ledger')
  return { ...approved(claims), jws }
}

function approved(
  claims: Readonly<Record<string, unknown>>,
): Omit<Bodies['recipient.approve'], 'jws'> {
  const { recipient, class: named, clusters, purposes, keys, iat } = claims
  if (typeof recipient !== 'string' || !isClass(named))
    throw new CanonicalError('the approval names no recipient or class')
  if (!isStrings(clusters) || !clusters.every(isCluster))
    throw new CanonicalError('the approval names an unknown cluster')
  if (!isStrings(purposes) || !isStrings(keys))
    throw new CanonicalError('the approval lacks purposes or keys')
  if (typeof iat !== 'number' || !Number.isSafeInteger(iat) || iat < 0)
    throw new CanonicalError('the approval lacks the time it was signed at, iat')
  return { recipient, class: named, clusters, purposes, keys, iat }
}

const isStrings = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((one) => typeof one === 'string')

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

/** What is known of the approval that stands, or stood before it was suspended. */
export interface Dated {
  readonly iat: number
  readonly suspendedAt?: string
}

/**
 * Why an approval signed at `iat` (seconds since the epoch) does not follow the one before it, or undefined. Papers follow each
 * other as the bank signed them, and a suspension is lifted only by one signed after it: so none comes back, entered or kept.
 */
export function outOfOrder(
  before: Dated | undefined,
  { iat, at }: { iat: number; at: string },
): string | undefined {
  if (iat * 1000 > Date.parse(at) + 60_000) return 'it was signed at a time to come'
  if (before === undefined) return undefined
  if (iat <= before.iat) return 'it was signed no later than the approval before it'
  if (before.suspendedAt !== undefined && iat * 1000 <= Date.parse(before.suspendedAt))
    return 'the bank has suspended the recipient since it signed'
  return undefined
}
