import type { Request } from 'express'
import { verifyAccessToken, type AccessToken } from '../authorization/access_token.ts'
import type { Authorization } from '../authorization/authorization.ts'
import { tokenType } from '../authorization/binding.ts'
import { checkProof } from '../authorization/dpop.ts'
import { OAuthError } from '../authorization/oauth_error.ts'
import { notAuthenticated, resourceError } from '../authorization/resource_error.ts'
import type { Broker } from '../broker/broker.ts'
import { kindOfStanding } from '../storage/client_tokens.ts'
import type { Client } from '../storage/clients.ts'
import { sha256Text } from '../storage/sha256.ts'
import { clientCertificateOf } from './client_certificate.ts'

/** Whoever calls a protected endpoint, authenticated and with proof of possession. What it may do is decided elsewhere. */
export interface Caller extends AccessToken {
  /** Of a client that calls for itself. */
  readonly kind?: Client['kind']
}

/**
 * Authenticates a call by its access token, in the `Authorization` header and nowhere else, and by proof of possession of the
 * token's key: a DPoP proof that is used up (RFC 9449 §7), or the client certificate (RFC 8705 §3). A token that is bound one
 * way is refused any other way. Of a token that opens a consent, whether it was revoked is asked where the consent is. Sets
 * `DPoP-Nonce` on the answer when the client should change to a new one. Throws `OAuthError` with a challenge.
 */
export async function authenticateResource(
  broker: Broker,
  authorization: Authorization,
  req: Request,
): Promise<Caller> {
  const [, scheme = '', token] =
    /^(DPoP|Bearer) ([A-Za-z0-9._~+/-]+=*)$/i.exec(req.headers.authorization ?? '') ?? []
  if (token === undefined) throw notAuthenticated()
  try {
    const tokenHash = sha256Text(token)
    const now = broker.now()
    const caller = await verifyAccessToken(authorization, { token, hash: tokenHash, now })
    const { binding } = caller
    if (tokenType(binding).toLowerCase() !== scheme.toLowerCase())
      throw new OAuthError('invalid_token', `the access token is of type ${tokenType(binding)}`)
    if ('jkt' in binding)
      await checkCallProof(authorization, req, { hash: tokenHash, jkt: binding.jkt, now })
    else checkCertificate(authorization, req, { expected: binding['x5t#S256'], now })
    if (caller.consentId !== undefined) return caller
    const kind = await kindOfStanding(broker.db, caller)
    if (kind === undefined) throw new OAuthError('invalid_token', 'the access token was revoked')
    return { ...caller, kind }
  } catch (error) {
    if (error instanceof OAuthError) throw resourceError(error)
    throw error
  }
}

async function checkCallProof(
  authorization: Authorization,
  req: Request,
  { now, ...token }: { hash: string; jkt: string; now: number },
): Promise<void> {
  const proof = req.headers['dpop']
  if (typeof proof !== 'string')
    throw new OAuthError('invalid_dpop_proof', 'a DPoP proof is required')
  const { method } = req
  const url = urlOf(authorization, req)
  const { once, freshNonce } = await checkProof(authorization, { proof, method, url, token, now })
  if (!(await authorization.claimOnce(once)))
    throw new OAuthError('invalid_dpop_proof', 'the proof was used before')
  if (freshNonce !== undefined) req.res?.set('DPoP-Nonce', freshNonce)
}

function checkCertificate(
  authorization: Authorization,
  req: Request,
  { expected, now }: { expected: string; now: number },
): void {
  if (clientCertificateOf(authorization, req, now)?.thumbprint !== expected)
    throw new OAuthError(
      'invalid_token',
      'the access token is bound to a client certificate, which was not shown',
    )
}

/** The URL of a request as its client knows it, whatever stands between: the issuer and the path. */
export const urlOf = ({ issuer }: Authorization, req: Request): string =>
  issuer + req.baseUrl + req.path
