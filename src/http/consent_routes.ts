import type { Router } from 'express'
import { requireScope } from '../authorization/resource_error.ts'
import { revokeConsent } from '../broker/revoke_consent.ts'
import type { Actor } from '../consent/consent.ts'
import { Refusal } from '../consent/refusal.ts'
import type { RevocationReason } from '../ledger/entry.ts'
import { findShown } from '../storage/consent_search.ts'
import { bankIdOf } from '../storage/ids.ts'
import type { Caller } from './authenticate.ts'
import { jsonBody } from './contract.ts'
import {
  consentGrant,
  isGranted,
  revocationsOf,
  type GrantedConsent,
  type PartyType,
} from './fdx_consent.ts'
import { interaction } from './interaction.ts'
import { RequestError } from './problem.ts'
import { callerOf, exactRouter, notAllowed, refuseRevoked, type Api } from './resource.ts'

interface Named {
  readonly path: { readonly consentId: string }
}

interface Revocation {
  readonly reason: RevocationReason
  readonly initiator: PartyType
}

/** What looking at a consent and ending it need, of a bank's client and of a recipient. */
const scopes = {
  look: { bank: 'consents:read', recipient: 'grant_management_query' },
  end: { bank: 'consents:revoke', recipient: 'grant_management_revoke' },
} as const

/**
 * FDX consents, for the recipient that holds one and for the bank that it is at. One of another recipient or bank is as unknown
 * as one that never was.
 */
export function consentRoutes(api: Api): Router {
  const { broker, contract } = api
  const shown = contract.reader<Named>('getConsent')
  const listed = contract.reader<Named>('listRevocations')
  const ended = contract.reader<Named & { body: Revocation }>('revokeConsent')
  const router = exactRouter()
  router.use('/fdx/v6/consents', interaction)

  router
    .route('/fdx/v6/consents/:consentId')
    .get(async (req, res) => {
      const caller = await callerOf(api, req)
      const found = await findOwn(api, caller, shown(req).path.consentId)
      const bank = broker.bankPort.banks.get(found.requested.bank)
      const at = new Date(broker.now()).toISOString()
      const url = `${broker.issuer}/fdx/v6/consents/${found.consent.id}`
      res.set('Cache-Control', 'no-store').json(consentGrant(found, { bank, at, url }))
    })
    .all(notAllowed('GET, HEAD'))

  router
    .route('/fdx/v6/consents/:consentId/revocation')
    .get(async (req, res) => {
      const caller = await callerOf(api, req)
      const found = await findOwn(api, caller, listed(req).path.consentId)
      res.set('Cache-Control', 'no-store').json({ revocations: revocationsOf(found) })
    })
    .put(jsonBody, async (req, res) => {
      const caller = await callerOf(api, req)
      requireTo('end', caller)
      const { path, body } = ended(req)
      const { at, now } = await revokeConsent(broker, {
        bank: bankFor(api, caller, path.consentId),
        consentId: path.consentId,
        reason: body.reason,
        ...revokerOf(caller, body),
      })
      if (!now) throw new RequestError(409, 'consent_ended', `the consent ended at ${at}`)
      res.status(204).end()
    })
    .all(notAllowed('GET, HEAD, PUT'))

  return router
}

/** Banks and their auditors have tokens bound to the bank, and to no consent. */
const isOfBank = ({ bank, consentId }: Caller) => bank !== undefined && consentId === undefined

/** Throws `OAuthError`. */
const requireTo = (act: keyof typeof scopes, caller: Caller) =>
  requireScope(caller, scopes[act][isOfBank(caller) ? 'bank' : 'recipient'])

/** The bank of a consent that this caller may name. Throws `Refusal`. */
function bankFor({ broker }: Api, caller: Caller, consentId: string): string {
  const bank = bankIdOf(consentId)
  if (bank === undefined || !broker.bankPort.banks.has(bank)) throw new Refusal('consent_unknown')
  if (isOfBank(caller) && caller.bank !== bank) throw new Refusal('consent_unknown')
  return bank
}

/**
 * A granted consent of this caller: a bank's or a recipient's by the scope to look at it, a recipient's by the consent's own
 * token too. Throws `OAuthError`, or `Refusal('consent_unknown')`.
 */
async function findOwn(api: Api, caller: Caller, consentId: string): Promise<GrantedConsent> {
  if (caller.consentId !== consentId) requireTo('look', caller)
  await refuseRevoked(api, caller)
  const found = await findShown(api.broker.db, bankFor(api, caller, consentId), consentId)
  if (found === undefined || !isGranted(found)) throw new Refusal('consent_unknown')
  if (!isOfBank(caller) && found.consent.recipient !== caller.clientId)
    throw new Refusal('consent_unknown')
  return found
}

/**
 * Who is recorded as having ended a consent: the caller, whatever it says of the initiator, but for a customer's own wish at the
 * bank.
 */
function revokerOf(
  caller: Caller,
  { reason, initiator }: Revocation,
): { by: Actor; client?: string } {
  if (isOfBank(caller))
    return { by: initiator === 'INDIVIDUAL' && reason === 'USER_ACTION' ? 'customer' : 'bank' }
  return { by: 'recipient', client: caller.clientId }
}
