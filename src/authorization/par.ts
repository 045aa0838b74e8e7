import type { Broker } from '../broker/broker.ts'
import { recordRefusal } from '../broker/record_refusal.ts'
import { mayBeApproved } from '../consent/class.ts'
import { scopeOf } from '../consent/cluster.ts'
import { notActive, permits } from '../consent/consent.ts'
import type { RequestedTerms } from '../consent/terms.ts'
import { findApproval } from '../storage/approvals.ts'
import { addEvent } from '../storage/authorization_events.ts'
import type { Recipient } from '../storage/clients.ts'
import { findConsent, insertRequested } from '../storage/consents.ts'
import { inBank } from '../storage/database.ts'
import { bankIdOf, random128, random256, routed } from '../storage/ids.ts'
import {
  insertPushedRequest,
  requestUriOf,
  type PushedRequest,
} from '../storage/pushed_requests.ts'
import { admit } from './admit.ts'
import { parseAuthorizationDetails, type AskedProfile } from './authorization_details.ts'
import type { Authorization } from './authorization.ts'
import type { Answer, EndpointRequest } from './endpoint.ts'
import { required, type Form } from './form.ts'
import { OAuthError, refusalError } from './oauth_error.ts'
import { checkedParameters } from './pushed_parameters.ts'
import { openRequestObject } from './request_object.ts'

/** How long a browser may take to arrive with a `request_uri` (FAPI 2.0 §5.3.2.2: less than 600 s). */
const expires_in = 300

/**
 * Pushed authorization request (RFC 9126). A recipient that asks at a known bank for what it can never have is refused there
 * and then, and the refusal is recorded before anything else about the request is looked at. Otherwise a consent in state
 * `requested` and what was pushed are kept, in one transaction. Throws `OAuthError`.
 */
export async function pushRequest(
  broker: Broker,
  authorization: Authorization,
  request: EndpointRequest,
): Promise<Answer> {
  const { client, binding, headers } = await admit(broker, authorization, request)
  if (client.kind !== 'recipient')
    throw new OAuthError('unauthorized_client', 'only a recipient asks customers for consent')
  const form = await requestedOf(broker, authorization, { client, form: request.form })
  const { terms, profile } = parseAuthorizationDetails(
    required(form, 'authorization_details'),
    client.id,
  )
  await refuseUnlessPermitted(broker, client, terms)
  const page_id = pageOf(client, profile)
  const handle = routed(terms.bank, random256())
  const checked = checkedParameters(form, { client, terms, binding })
  const replaces = await replacedGrant(broker, form, terms)
  const pushed: PushedRequest = {
    ...checked,
    ...(replaces === undefined ? {} : { replaces }),
    bank: terms.bank,
    clientId: client.id,
    consentId: routed(terms.bank, random128()),
    scope: scopeOf(terms.clusters),
    profile: { ...profile, page_id },
    expires: broker.now() + expires_in * 1000,
  }
  await inBank(broker.db, terms.bank, async (tx) => {
    await insertRequested(tx, { id: pushed.consentId, requested: terms })
    await insertPushedRequest(tx, broker.vault, { handle, pushed })
    const { consentId: consent } = pushed
    await addEvent(tx, terms.bank, {
      consent,
      event: 'requested',
      interaction: request.interaction,
    })
  })
  return { status: 201, headers, body: { request_uri: requestUriOf(handle), expires_in } }
}

/** What is asked: in a signed object, beside which nothing counts but what authenticates the client (RFC 9126 §3), or as it is. */
async function requestedOf(
  broker: Broker,
  authorization: Authorization,
  { client, form }: { client: Recipient; form: Form },
): Promise<Form> {
  if (form.has('request_uri'))
    throw new OAuthError('invalid_request', 'request_uri is not pushed (RFC 9126 section 2.1)')
  const object = form.get('request')
  if (object !== undefined) return openRequestObject(broker, authorization, { client, object })
  if (client.signedRequests)
    throw new OAuthError('invalid_request', 'the client is registered to sign its requests')
  return form
}

/**
 * The grant that the request replaces (Grant Management §5.1), when it does: an active one of this recipient, at the bank that is
 * asked. Whether the customer is its own shows only after the login.
 */
async function replacedGrant(
  broker: Broker,
  form: Form,
  { recipient, bank }: RequestedTerms,
): Promise<string | undefined> {
  const action = form.get('grant_management_action')
  const id = form.get('grant_id')
  if (action !== undefined && action !== 'create' && action !== 'replace')
    throw new OAuthError('invalid_request', 'grant_management_action is create or replace')
  if ((action === 'replace') !== (id !== undefined))
    throw new OAuthError('invalid_request', 'grant_id comes with replace, and replace with it')
  if (id === undefined) return undefined
  const at = new Date(broker.now()).toISOString()
  const ofBank = bankIdOf(id)
  const found = ofBank === undefined ? undefined : await findConsent(broker.db, ofBank, id)
  if (found?.consent.recipient !== recipient || notActive(found.consent, at) !== undefined)
    throw new OAuthError('invalid_grant_id', 'no active grant of this client', { status: 400 })
  if (ofBank !== bank)
    throw new OAuthError('invalid_authorization_details', 'the grant is at another bank')
  return id
}

/** The page that the customer writes to: the one that is named, or the recipient's only one. */
function pageOf({ pages }: Recipient, { page_id }: AskedProfile): string {
  const [only, another] = pages
  const page = page_id ?? (another === undefined ? only : undefined)
  if (page !== undefined && pages.includes(page)) return page
  throw new OAuthError(
    'invalid_authorization_details',
    "profile.page_id is not one of the client's registered pages",
  )
}

async function refuseUnlessPermitted(
  broker: Broker,
  client: Recipient,
  terms: RequestedTerms,
): Promise<void> {
  const { bank } = terms
  if (!broker.bankPort.banks.has(bank))
    throw new OAuthError(
      'invalid_authorization_details',
      'authorization_details name no known bank',
    )
  const approval = await inBank(broker.db, bank, (tx) => findApproval(tx, bank, client.id))
  const reason = mayBeApproved(client.class) ? permits(approval, terms) : 'class_denied'
  if (reason === undefined) return
  await recordRefusal(broker, { bank, client: client.id, class: client.class, reason })
  throw refusalError(reason)
}
