import type { Request } from 'express'
import { insufficientScope, requireScope } from '../authorization/resource_error.ts'
import { enterAccess } from '../broker/enter_access.ts'
import { signedSize } from '../storage/signed.ts'
import type { Caller } from './authenticate.ts'
import { requireGrant } from './auditor.ts'
import { callerOf, type Entrance } from './resource.ts'

/** Whoever may read now what is a bank's own. */
export interface Reader {
  readonly bank: string
  /** The client's id, where it is not the bank's own: what is shown to it is entered in the ledger. */
  readonly auditor?: string
}

/**
 * Whether a client for itself may read what is the bank's own: the bank's clients may, and all others while an audit grant stands for
 * them. Throws `OAuthError` for a token of no bank, and `RequestError` 403 `audit_grant_required`.
 */
export async function readerOf({ broker }: Entrance, caller: Caller): Promise<Reader> {
  const { bank, clientId: actor, consentId, kind } = caller
  if (bank === undefined || consentId !== undefined)
    throw insufficientScope('the access token is of no bank')
  if (kind === 'bank') return { bank }
  await requireGrant(broker, { bank, actor, grant: { kind: 'client' } })
  return { bank, auditor: actor }
}

/**
 * Lets whoever may read the entries of the ledger that the path names go on. Of an auditor that is entered first, once for all that
 * an access token reads. Throws `OAuthError`, `RequestError` 403 `audit_grant_required`, and what `enterAccess` throws.
 */
export async function requireReader(api: Entrance, req: Request): Promise<void> {
  const caller = await callerOf(api, req)
  requireScope(caller, 'ledger:read')
  if (caller.bank !== req.params['bank'])
    throw insufficientScope('the access token is for another ledger', 'ledger:read')
  const { bank, auditor: actor } = await readerOf(api, caller)
  if (actor === undefined) return
  const { jti: token } = caller
  const size = await signedSize(api.broker.db, bank)
  await enterAccess(api.broker, bank, { actor, what: 'ledger', asked: { token }, size, token })
}
