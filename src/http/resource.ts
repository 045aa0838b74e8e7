import { Router, type Request, type RequestHandler, type Response } from 'express'
import type { Authorization } from '../authorization/authorization.ts'
import { insufficientScope } from '../authorization/resource_error.ts'
import type { Broker } from '../broker/broker.ts'
import type { Asking } from '../broker/release.ts'
import { Refusal } from '../consent/refusal.ts'
import { isDisabled } from '../storage/clients.ts'
import { inBank } from '../storage/database.ts'
import { isRevoked } from '../storage/revoked_tokens.ts'
import { authenticateResource, type Caller } from './authenticate.ts'
import type { Contract } from './contract.ts'
import { interactionOf } from './interaction.ts'
import type { Limits } from './limits.ts'
import { RequestError } from './problem.ts'

/** What it takes to know who calls, and to count the call. */
export interface Entrance {
  readonly broker: Broker
  readonly authorization: Authorization
  readonly limits: Pick<Limits, 'byClient'>
}

/** What the routes of the JSON API are made of. */
export interface Api extends Entrance {
  readonly contract: Contract
  readonly limits: Pick<Limits, 'byClient' | 'tellingFrequency'>
}

/** A router to which a path has one spelling. */
export const exactRouter = (): Router => Router({ caseSensitive: true, strict: true })

/**
 * Authenticates a call, names the caller to the log, and counts the call among the caller's. Throws `OAuthError` with a
 * challenge, or `RequestError` 429.
 */
export async function callerOf(
  { broker, authorization, limits }: Entrance,
  req: Request,
): Promise<Caller> {
  const caller = await authenticateResource(broker, authorization, req)
  if (req.res !== undefined) req.res.locals['caller'] = caller
  await limits.byClient(req, caller.clientId)
  return caller
}

/** Who asks for data under a consent. Throws `OAuthError` for a token that opens none. */
export function askingOf(
  { bank, consentId, clientId, jti }: Caller,
  res: Response,
): Omit<Asking, 'delivery'> {
  if (bank === undefined || consentId === undefined)
    throw insufficientScope('the access token opens no consent')
  return {
    ...{ bank, consentId, client: clientId, jti, interaction: interactionOf(res) },
    unattended: isUnattended(res.req),
  }
}

/** FDX has a header for it. FAPI tells the address of a customer who is there, which is not looked at. */
function isUnattended({ headers }: Request): boolean {
  const actor = headers['fdx-api-actor-type']
  return actor === undefined
    ? headers['x-fapi-customer-ip-address'] === undefined
    : actor !== 'USER'
}

/**
 * Refuses a consent's token that was revoked (RFC 7009), or whose client was disabled. For where nothing is released: a release
 * looks itself, under the lock. Throws `Refusal('token_revoked')`.
 */
export async function refuseRevoked(
  { broker }: Api,
  { bank, consentId, clientId, jti }: Caller,
): Promise<void> {
  if (bank === undefined || consentId === undefined) return
  const ended =
    (await inBank(broker.db, bank, (tx) => isRevoked(tx, bank, jti))) ||
    (await isDisabled(broker.db, clientId))
  if (ended) throw new Refusal('token_revoked')
}

export const noSuchResource = () => new RequestError(404, 'not_found', 'there is no such resource')

/** For every method that a path has not. */
export const notAllowed = (allow: string): RequestHandler => {
  return () => {
    throw new RequestError(405, 'method_not_allowed', `the methods are ${allow}`, { Allow: allow })
  }
}
