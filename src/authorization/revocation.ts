import type { Broker } from '../broker/broker.ts'
import { endTokens } from '../broker/end_tokens.ts'
import { revokeClientToken } from '../storage/client_tokens.ts'
import type { Client } from '../storage/clients.ts'
import { inBank } from '../storage/database.ts'
import { findRefreshToken } from '../storage/refresh_tokens.ts'
import { JwsError } from '../storage/jws.ts'
import { familyOf } from '../storage/token_ids.ts'
import { revocation_kept_s, signedByUs, token_typ, type AccessToken } from './access_token.ts'
import { admit } from './admit.ts'
import type { Authorization } from './authorization.ts'
import type { Answer, EndpointRequest } from './endpoint.ts'
import { required } from './form.ts'
import { OAuthError } from './oauth_error.ts'
import { parseJwt } from './jwt.ts'
import type { TokenKeys } from './keys.ts'
import { recognise } from './presented_token.ts'

/**
 * Token revocation (RFC 7009): of the client's own tokens, in effect before this returns. An access token ends alone; a refresh
 * token ends with every access token that came with it or by it (§2.1). The consent stays, and ends by calls of its own. What is
 * not known, has ended, or is another client's is answered alike, and nothing happens (§2.2). Throws `OAuthError`:
 * `unsupported_token_type` for a JWT of ours that is no access token.
 */
export async function revoke(
  broker: Broker,
  authorization: Authorization,
  request: EndpointRequest,
): Promise<Answer> {
  const { client, headers } = await admit(broker, authorization, request)
  const token = required(request.form, 'token')
  const found = await recognise(broker, authorization, token)
  if (found === undefined) await refuseOtherKinds(authorization, token)
  else if ('refresh' in found) await endRefreshToken(broker, { client, ...found.refresh })
  else if (found.access.clientId === client.id) await endAccessToken(broker, found.access)
  return { status: 200, headers }
}

async function endAccessToken(
  broker: Broker,
  { bank, consentId, jti }: AccessToken,
): Promise<void> {
  if (bank === undefined || consentId === undefined)
    await revokeClientToken(broker.db, { jti, kept_s: revocation_kept_s })
  else await endTokens(broker, { bank, ending: { jti }, kept_s: revocation_kept_s })
}

/** Also one that has ended: access tokens that it gave may not have. */
async function endRefreshToken(
  broker: Broker,
  { client, bank, token }: { client: Client; bank: string; token: string },
): Promise<void> {
  const held = await inBank(broker.db, bank, (tx) => findRefreshToken(tx, bank, token))
  if (held?.clientId !== client.id) return
  const ending = { family: familyOf(token) }
  await endTokens(broker, { bank, ending, kept_s: revocation_kept_s })
}

/** What we have signed and cannot take back must not be answered as though it had ended. */
async function refuseOtherKinds({ keys }: Authorization, token: string): Promise<void> {
  const typ = await typeOf(keys, token)
  if (typ !== undefined && typ !== token_typ)
    throw new OAuthError(
      'unsupported_token_type',
      'only access tokens and refresh tokens are revoked',
    )
}

async function typeOf(keys: TokenKeys, token: string): Promise<unknown> {
  try {
    return (await signedByUs(keys, parseJwt(token)))?.typ
  } catch (error) {
    if (error instanceof JwsError) return undefined
    throw error
  }
}
