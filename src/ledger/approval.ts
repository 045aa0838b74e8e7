import { isClass } from '../consent/class.ts'
import { isCluster } from '../consent/cluster.ts'
import { integerOf, openBankJws, type SignedFor } from './bank_jws.ts'
import { CanonicalError } from './canonical.ts'
import type { Bodies } from './entry.ts'
import type { JsonObject } from './json_object.ts'

/** The `typ` of a bank's signed approval of a recipient. */
export const approval_typ = 'countersign-approval+jwt'

/**
 * Opens a bank's signed approval: a compact JWS, `typ` as above, whose payload names this bank as `iss`, the ledger's origin
 * as `aud`, when it was signed as `iat`, and the recipient, class, purposes, clusters and encryption keys it admits. Throws `CanonicalError`.
 */
export function openApproval(jws: string, ledger: SignedFor): Bodies['recipient.approve'] {
  const claims = openBankJws(jws, { ...ledger, what: 'approval', typ: approval_typ })
  return { ...approved(claims), jws }
}

function approved(claims: JsonObject): Omit<Bodies['recipient.approve'], 'jws'> {
  const { recipient, class: named, clusters, purposes, keys } = claims
  if (typeof recipient !== 'string' || !isClass(named))
    throw new CanonicalError('the approval names no recipient or class')
  if (!isStrings(clusters) || !clusters.every(isCluster))
    throw new CanonicalError('the approval names an unknown cluster')
  if (!isStrings(purposes) || !isStrings(keys))
    throw new CanonicalError('the approval lacks purposes or keys')
  return { recipient, class: named, clusters, purposes, keys, iat: integerOf(claims, 'iat') }
}

const isStrings = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((one) => typeof one === 'string')

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
