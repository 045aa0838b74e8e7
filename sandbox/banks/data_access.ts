import { createHash } from 'node:crypto'
import type { Request } from 'express'
import { EmbeddedJWK, calculateJwkThumbprint, errors, jwtVerify } from 'jose'
import { LRUCache } from 'lru-cache'
import type { Provider } from 'oidc-provider'
import type { Customer } from './account.ts'
import { isGrantedDetail } from './consent_grant.ts'
import type { ConsentGrant } from './consent_grant.ts'

/** Whose data a request may see, and which of it. */
export interface Access {
  readonly customer: Customer
  readonly consent: ConsentGrant
}

/** A request that the data API refuses: an HTTP status and FDX's error body. */
export class FdxError extends Error {
  override readonly name = 'FdxError'
  readonly status: number
  readonly code: number

  constructor(status: number, code: number, message: string) {
    super(message)
    this.status = status
    this.code = code
  }
}

const unauthorized = (message: string) => new FdxError(401, 1205, message)

const proof_age_s = 60

/**
 * The data API's gate: the access token must be live, its grant too, and the request must carry a fresh DPoP proof of the key
 * that the token is bound to (RFC 9449 §4.3). Throws `FdxError`.
 */
export function dataGate({
  provider,
  customers,
}: {
  provider: Provider
  customers: readonly Customer[]
}): (req: Request) => Promise<Access> {
  const seen = new LRUCache<string, true>({ max: 100_000, ttl: 2 * proof_age_s * 1000 })

  return async (req) => {
    const [scheme, value] = (req.get('authorization') ?? '').split(' ')
    if (scheme?.toLowerCase() !== 'dpop' || !value) throw unauthorized('a DPoP token is required')
    const proof = await openProof(req, { value, issuer: provider.issuer })
    if (seen.has(proof.jti)) throw unauthorized('the DPoP proof was used before')
    seen.set(proof.jti, true)

    const token = await provider.AccessToken.find(value)
    if (token?.jkt === undefined || token.jkt !== proof.jkt)
      throw unauthorized('the token is not live, or not bound to this key')
    const grant = await provider.Grant.find(token.grantId)
    const customer = customers.find(({ customerId }) => customerId === token.accountId)
    if (grant === undefined || customer === undefined)
      throw unauthorized('the consent behind the token has ended')
    const [detail] = token.rar ?? []
    if (!isGrantedDetail(detail)) throw new FdxError(403, 403, 'the token opens no data')
    return { customer, consent: detail.consentGrant }
  }
}

async function openProof(
  req: Request,
  { value, issuer }: { value: string; issuer: string },
): Promise<{ jti: string; jkt: string }> {
  try {
    const { payload, protectedHeader } = await jwtVerify(req.get('dpop') ?? '', EmbeddedJWK, {
      typ: 'dpop+jwt',
      algorithms: ['ES256', 'PS256', 'EdDSA', 'Ed25519'],
      requiredClaims: ['jti', 'htm', 'htu', 'ath'],
      maxTokenAge: proof_age_s,
      clockTolerance: 10,
    })
    const { jti, htm, htu, ath } = payload
    const { origin, pathname } = new URL(req.originalUrl, issuer)
    const meant =
      htm === req.method &&
      htu === `${origin}${pathname}` &&
      ath === createHash('sha256').update(value).digest('base64url')
    if (meant && jti !== undefined && protectedHeader.jwk !== undefined)
      return { jti, jkt: await calculateJwkThumbprint(protectedHeader.jwk) }
  } catch (error) {
    if (!(error instanceof errors.JOSEError)) throw error
  }
  throw unauthorized('no valid DPoP proof for this request')
}
