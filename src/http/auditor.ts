import type { Request } from 'express'
import { insufficientScope, requireScope } from '../authorization/resource_error.ts'
import type { Broker } from '../broker/broker.ts'
import { standingGrant, type AuditGrant, type AuditorKind } from '../storage/audit_grants.ts'
import { RequestError } from './problem.ts'
import { callerOf, type Entrance } from './resource.ts'
import { staffCalling } from './staff_session.ts'

/** Whoever may read a bank's ledger as its auditor now. */
export interface Auditor {
  readonly bank: string
  /** A client's id, or a random one that stands for a person: what the ledger says of who read. */
  readonly actor: string
  readonly grant: AuditGrant
}

/** Who asks, by whatever way they were recognised, before it is known whether they may. */
interface Recognised {
  readonly bank: string
  readonly kind: AuditorKind
  readonly auditor: string
}

/**
 * Recognises an auditor of the bank that the path names (its parameter `bank`), and asks whether a grant stands for them: at each
 * request, so that one that ends or is revoked ends at once. Throws `OAuthError` for a token that is none, or of another bank, and
 * `RequestError` 403 `audit_grant_required`.
 */
export async function auditorOf(api: Entrance, req: Request): Promise<Auditor> {
  const { bank, kind, auditor } = (await byLogin(api, req)) ?? (await byToken(api, req))
  if (bank !== req.params['bank'])
    throw insufficientScope('the auditor is of another bank', 'audit:read')
  const grant = await requireGrant(api.broker, { bank, actor: auditor, grant: { kind } })
  return { bank, actor: auditor, grant }
}

/** The grant that an auditor reads under, as it stands now. Throws `RequestError` 403 `audit_grant_required`. */
export async function requireGrant(
  { db }: Pick<Broker, 'db'>,
  {
    bank,
    actor,
    grant: { kind },
  }: Pick<Auditor, 'bank' | 'actor'> & {
    readonly grant: Pick<AuditGrant, 'kind'>
  },
): Promise<AuditGrant> {
  const grant = await standingGrant(db, bank, { kind, auditor: actor })
  if (grant !== undefined) return grant
  throw new RequestError(
    403,
    'audit_grant_required',
    'no audit grant stands for this auditor: it was never given, has not begun, has ended or was revoked',
  )
}

/** By the session of a login at the bank, in a page of the console; undefined where there is none, or a token is sent. */
async function byLogin(
  { broker, limits }: Entrance,
  req: Request,
): Promise<Recognised | undefined> {
  if (req.headers.authorization !== undefined) return undefined
  const staff = await staffCalling(broker, req)
  if (staff === undefined) return undefined
  await limits.byClient(req, `staff ${staff.id}`)
  return { bank: staff.bank, kind: 'staff', auditor: staff.id }
}

/** By an access token of an auditor's client for itself. */
async function byToken(api: Entrance, req: Request): Promise<Recognised> {
  const caller = await callerOf(api, req)
  requireScope(caller, 'audit:read')
  if (caller.bank === undefined || caller.consentId !== undefined)
    throw insufficientScope('the access token is of no bank')
  return { bank: caller.bank, kind: 'client', auditor: caller.clientId }
}
