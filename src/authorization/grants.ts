import type { Broker } from '../broker/broker.ts'
import { revokeConsent } from '../broker/revoke_consent.ts'
import { scopeOf } from '../consent/cluster.ts'
import { notActive } from '../consent/consent.ts'
import { Refusal } from '../consent/refusal.ts'
import { readShown } from '../storage/consent_search.ts'
import { isDisabled } from '../storage/clients.ts'
import { inBank } from '../storage/database.ts'
import { bankIdOf } from '../storage/ids.ts'
import { isRevoked } from '../storage/revoked_tokens.ts'
import type { AccessToken } from './access_token.ts'
import type { Authorization } from './authorization.ts'
import { grantedDetails } from './authorization_details.ts'
import { OAuthError } from './oauth_error.ts'
import { requireScope } from './resource_error.ts'

/**
 * The status of a grant (Grant Management §6.3), to its own client: with the scope for it, or with the consent's own access
 * token. A grant that is not active any more, or not yet, is not there. Throws `OAuthError`.
 */
export async function queryGrant(
  broker: Broker,
  { resource }: Authorization,
  { caller, id }: { caller: AccessToken; id: string },
): Promise<object> {
  if (caller.consentId !== id) requireScope(caller, 'grant_management_query')
  const bank = bankIdOf(id)
  if (bank === undefined) throw unknown()
  const { found, revoked } = await inBank(broker.db, bank, async (tx) => ({
    found: await readShown(tx, bank, id),
    revoked: caller.consentId !== undefined && (await isRevoked(tx, bank, caller.jti)),
  }))
  if (revoked || (await isDisabled(broker.db, caller.clientId)))
    throw new OAuthError('invalid_token', 'the access token was revoked')
  if (
    found?.consent.state !== 'active' ||
    found.consent.recipient !== caller.clientId ||
    notActive(found.consent, new Date(broker.now()).toISOString()) !== undefined
  )
    throw unknown()
  const { consent, requested, firstGranted, updatedBy } = found
  const { terms, granted } = consent
  return {
    scopes: [{ scope: scopeOf(terms.clusters), resource: [resource] }],
    authorization_details: grantedDetails(consent, requested),
    created_at: seconds(firstGranted ?? granted),
    last_updated: seconds(granted),
    updated_by: updatedBy,
    expires_at: seconds(terms.expires),
  }
}

/**
 * Revokes a grant of this client (Grant Management §6.4), in effect before this returns; doing so again changes nothing.
 * Throws `OAuthError`.
 */
export async function revokeGrant(
  broker: Broker,
  { caller, id }: { caller: AccessToken; id: string },
): Promise<void> {
  requireScope(caller, 'grant_management_revoke')
  const bank = bankIdOf(id)
  if (bank === undefined || !broker.bankPort.banks.has(bank)) throw unknown()
  try {
    await revokeConsent(broker, {
      bank,
      consentId: id,
      by: 'recipient',
      reason: 'USER_ACTION',
      client: caller.clientId,
    })
  } catch (error) {
    if (error instanceof Refusal && error.reason === 'consent_unknown') throw unknown()
    throw error
  }
}

const unknown = () => new OAuthError('invalid_grant_id', 'no such grant of this client')

const seconds = (time: string) => Math.floor(Date.parse(time) / 1000)
