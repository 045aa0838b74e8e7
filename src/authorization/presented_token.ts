import type { Broker } from '../broker/broker.ts'
import { bankIdOf } from '../storage/ids.ts'
import { sha256Text } from '../storage/sha256.ts'
import { verifyAccessToken, type AccessToken } from './access_token.ts'
import type { Authorization } from './authorization.ts'
import { OAuthError } from './oauth_error.ts'

/**
 * A token of ours that someone presents to be told about it or to have it ended: an access token that is good by itself, or
 * something that has the form of a refresh token.
 */
export type Presented =
  | { readonly access: AccessToken }
  | { readonly refresh: { readonly token: string; readonly bank: string } }

/**
 * Recognises a token by its form; `token_type_hint` is not needed for it, and so cannot mislead (RFC 7009 §2.1, RFC 7662 §2.1).
 * Undefined for what is no token of ours, or none any more.
 */
export async function recognise(
  broker: Broker,
  authorization: Authorization,
  token: string,
): Promise<Presented | undefined> {
  const bank = bankIdOf(token)
  if (bank !== undefined)
    return broker.bankPort.banks.has(bank) ? { refresh: { token, bank } } : undefined
  try {
    const hash = sha256Text(token)
    return { access: await verifyAccessToken(authorization, { token, hash, now: broker.now() }) }
  } catch (error) {
    if (error instanceof OAuthError) return undefined
    throw error
  }
}
