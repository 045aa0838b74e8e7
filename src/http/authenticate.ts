import { hash } from 'node:crypto'
import type { Request } from 'express'
import { verifyAccessToken, type AccessToken } from '../authorization/access_token.ts'
import type { Authorization } from '../authorization/authorization.ts'
import { checkProof } from '../authorization/dpop.ts'
import { OAuthError } from '../authorization/oauth_error.ts'
import { notAuthenticated, resourceError } from '../authorization/resource_error.ts'
import type { Broker } from '../broker/broker.ts'
import { clientTokenStands } from '../storage/client_tokens.ts'

/** Whoever calls a protected endpoint, authenticated and with proof of possession. What it may do is decided elsewhere. */
export type Caller = AccessToken

/**
 * Authenticates a call by its access token and DPoP proof (RFC 9449 §7), both in headers and nowhere else. The proof is
 * verified and used up at each call. Of a token that opens a consent, whether it was revoked is asked where the consent is. Sets `DPoP-Nonce` on the answer when the client should change to a new one. Throws
 * `OAuthError` with a challenge.
 */
export async function authenticateResource(
  broker: Broker,
  authorization: Authorization,
  req: Request,
): Promise<Caller> {
  const [, token] = /^DPoP ([A-Za-z0-9._~+/-]+=*)$/i.exec(req.headers.authorization ?? '') ?? []
  if (token === undefined) throw notAuthenticated()
  try {
    const now = broker.now()
    const tokenHash = hash('sha256', token, 'base64url')
    const caller = await verifyAccessToken(authorization, { token, hash: tokenHash, now })
    if (!('jkt' in caller.binding))
      throw new OAuthError('invalid_token', 'the access token is not bound by DPoP')
    const { once, freshNonce } = await checkProof(authorization, {
      proof: proofOf(req),
      method: req.method,
      url: urlOf(authorization, req),
      token: { hash: tokenHash, jkt: caller.binding.jkt },
      now,
    })
    if (!(await authorization.claimOnce(once)))
      throw new OAuthError('invalid_dpop_proof', 'the proof was used before')
    if (caller.consentId === undefined && !(await clientTokenStands(broker.db, caller)))
      throw new OAuthError('invalid_token', 'the access token was revoked')
    if (freshNonce !== undefined) req.res?.set('DPoP-Nonce', freshNonce)
    return caller
  } catch (error) {
    if (error instanceof OAuthError) throw resourceError(error)
    throw error
  }
}

function proofOf(req: Request): string {
  const proof = req.headers['dpop']
  if (typeof proof === 'string') return proof
  throw new OAuthError('invalid_dpop_proof', 'a DPoP proof is required')
}

/** The URL of a request as its client knows it, whatever stands between: the issuer and the path. */
export const urlOf = ({ issuer }: Authorization, req: Request): string =>
  issuer + req.baseUrl + req.path
