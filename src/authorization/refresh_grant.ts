import type { Broker } from '../broker/broker.ts'
import { scopeOf } from '../consent/cluster.ts'
import { inBank } from '../storage/database.ts'
import { bankIdOf } from '../storage/ids.ts'
import { findRefreshToken } from '../storage/refresh_tokens.ts'
import { newTokenId } from '../storage/token_ids.ts'
import type { Asker } from './admit.ts'
import type { Authorization } from './authorization.ts'
import { asRecipient, consentTokens, readRedeemable, refuse } from './consent_token.ts'
import { required } from './form.ts'
import { OAuthError } from './oauth_error.ts'
import { sameScopes } from './scopes.ts'

/**
 * refresh_token: a new access token, bound to the key of this request, while the consent is active. The refresh token stays as
 * it is (FAPI 2.0 §5.3.2.1 no. 9).
 */
export async function refresh(
  broker: Broker,
  authorization: Authorization,
  { client, form, binding }: Asker,
): Promise<object> {
  const recipient = asRecipient(client)
  const clientId = recipient.id
  const token = required(form, 'refresh_token')
  const unknown = new OAuthError('invalid_grant', 'the refresh token is not known, or has ended')
  const bank = bankIdOf(token)
  if (bank === undefined) throw unknown
  const found = await inBank(broker.db, bank, async (tx) => {
    const held = await findRefreshToken(tx, bank, token)
    if (held === undefined) return undefined
    const { consentId } = held
    if (held.clientId !== clientId)
      return { refused: 'consent_of_another_recipient', consentId } as const
    const redeemable = await readRedeemable(tx, { bank, consentId, clientId, now: broker.now() })
    return held.ended && !('refused' in redeemable) ? undefined : redeemable
  })
  if (found === undefined) throw unknown
  if ('refused' in found) throw await refuse(broker, recipient, { bank, ...found })
  const scope = form.get('scope')
  if (scope !== undefined && !sameScopes(scope, scopeOf(found.consent.terms.clusters)))
    throw new OAuthError('invalid_scope', 'scope is not the one that was granted')
  const given = { ...found, bank, clientId, binding, jti: newTokenId(token) }
  return consentTokens(broker, authorization, given)
}
