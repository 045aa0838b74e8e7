import type { Broker } from '../broker/broker.ts'
import { recordRefusal } from '../broker/record_refusal.ts'
import { scopeOf } from '../consent/cluster.ts'
import { notActive, standing, type ActiveConsent } from '../consent/consent.ts'
import type { RefusalReason } from '../consent/refusal.ts'
import type { RequestedTerms } from '../consent/terms.ts'
import { findApproval } from '../storage/approvals.ts'
import type { Client, Recipient } from '../storage/clients.ts'
import { readConsent } from '../storage/consents.ts'
import type { Tx } from '../storage/database.ts'
import { mintAccessToken, token_s_max } from './access_token.ts'
import type { Authorization } from './authorization.ts'
import { grantedDetails } from './authorization_details.ts'
import { tokenType, type Binding } from './binding.ts'
import { OAuthError, refusalError } from './oauth_error.ts'

/** A consent that tokens may be given for, at this moment. */
export interface Redeemable {
  readonly consent: ActiveConsent
  readonly requested: RequestedTerms
  readonly sub: string
}

/** Why no token may be given for a consent, and is not; to be recorded. */
export interface Refused {
  readonly refused: RefusalReason
  readonly consentId: string
}

/** Reads a consent for its recipient, and whether both still stand. */
export async function readRedeemable(
  tx: Tx,
  {
    bank,
    consentId,
    clientId,
    now,
  }: { bank: string; consentId: string; clientId: string; now: number },
): Promise<Redeemable | Refused> {
  const found = await readConsent(tx, bank, consentId)
  const approval = await findApproval(tx, bank, clientId)
  const consent = found?.consent
  const refused = standing(approval) ?? notActive(consent, new Date(now).toISOString())
  if (refused !== undefined) return { refused, consentId }
  if (found?.recipientSub === undefined || consent?.state !== 'active')
    throw new Error(`consent ${consentId} is active without a link`)
  return { consent, requested: found.requested, sub: found.recipientSub }
}

/** Records why a recipient gets no token, and gives the error that tells it. */
export async function refuse(
  broker: Broker,
  recipient: Recipient,
  { bank, refused, consentId }: Refused & { bank: string },
): Promise<OAuthError> {
  await recordRefusal(broker, {
    bank,
    client: recipient.id,
    class: recipient.class,
    reason: refused,
    consent: consentId,
  })
  return refusalError(refused)
}

/** The token response for a consent. The access token never outlives the consent's own end. */
export function consentTokens(
  broker: Broker,
  authorization: Authorization,
  given: {
    bank: string
    clientId: string
    binding: Binding
    jti: string
    refreshToken?: string
  } & Redeemable,
) {
  const { bank, consent, refreshToken } = given
  const now = broker.now()
  const left_s = Math.floor((Date.parse(consent.terms.expires) - now) / 1000)
  const lifetime_s = Math.min(token_s_max, left_s)
  const details = grantedDetails(consent, given.requested)
  const scope = scopeOf(consent.terms.clusters)
  const access_token = mintAccessToken(
    authorization,
    {
      clientId: given.clientId,
      sub: given.sub,
      jti: given.jti,
      scope,
      binding: given.binding,
      bank,
      consent: { id: consent.id, details },
      lifetime_s,
    },
    now,
  )
  return {
    access_token,
    token_type: tokenType(given.binding),
    expires_in: lifetime_s,
    ...(refreshToken === undefined ? {} : { refresh_token: refreshToken }),
    scope,
    authorization_details: details,
    grant_id: consent.id,
    fdxConsentId: consent.id,
  }
}

/** Only a recipient holds codes and refresh tokens. Throws `OAuthError`. */
export function asRecipient(client: Client): Recipient {
  if (client.kind === 'recipient') return client
  throw new OAuthError('unauthorized_client', 'only a recipient has codes and refresh tokens')
}
