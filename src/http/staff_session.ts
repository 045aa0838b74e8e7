import type { Request, Response } from 'express'
import type { LoginPending } from '../broker/bank_port.ts'
import type { Broker } from '../broker/broker.ts'
import { standingGrant } from '../storage/audit_grants.ts'
import { endSession, type StoredSession } from '../storage/sessions.ts'
import { beginWithCookie, isOwnToken, storedSession } from './browser_session.ts'
import { RequestError } from './problem.ts'

/**
 * Where a browser of a bank's staff stands: away for its login, or in the console. It is kept apart from a customer's: another
 * cookie, other rows, so that neither is ever taken for the other.
 */
export type StaffStage = AtProvider | Staff

/** Away for a login at the bank's identity provider. */
export interface AtProvider {
  readonly at: 'provider'
  readonly bank: string
  readonly pending: LoginPending
  /** The page of ours that was asked for: a path and a query under `/console/{bank}`. */
  readonly back: string
}

/** An auditor of one bank, logged in. */
export interface Staff {
  readonly at: 'console'
  readonly bank: string
  /** All that is ever written down of them. */
  readonly id: string
  /** The grant that the login gave. Once it is revoked, this is over. */
  readonly grant: string
  /** As the bank names them; shown to themselves. */
  readonly name?: string
  /** When this ends however much it is used, milliseconds since the epoch. */
  readonly until: number
  /** What a logout at the bank is asked with. */
  readonly idToken: string
}

/** Hours after a login at which it ends, used or not. `session_idle_minutes` ends it when it is not used. */
export const staff_hours = 8

export interface StaffSession<Stage extends StaffStage = StaffStage> {
  readonly stage: Stage
  readonly stored: StoredSession
}

/** The session that this browser of a bank's staff names by its cookie, if it lives. */
export async function staffSessionOf(
  broker: Broker,
  req: Request,
): Promise<StaffSession | undefined> {
  const stored = await storedSession(broker, req, 'staff')
  // What was sealed came from here.
  const stage = stored?.content as StaffStage | undefined
  if (stored === undefined || stage === undefined) return undefined
  return stage.at === 'console' && stage.until <= broker.now() ? undefined : { stage, stored }
}

/** Whoever is logged in to the console by this browser, and whose grant stands; a session without it ends. */
export async function staffOf(
  broker: Broker,
  req: Request,
): Promise<StaffSession<Staff> | undefined> {
  const session = await staffSessionOf(broker, req)
  const stage = session?.stage
  if (session === undefined || stage?.at !== 'console') return undefined
  const { bank, id: auditor, grant: id } = stage
  if ((await standingGrant(broker.db, bank, { kind: 'staff', auditor, id })) !== undefined)
    return { ...session, stage }
  await leaveStaffSession(broker, session)
  return undefined
}

/** Begins a session with a fresh cookie; the one that the browser had ends. */
export async function enterStaffSession(
  broker: Broker,
  { req, res, stage }: { req: Request; res: Response; stage: StaffStage },
): Promise<void> {
  await beginWithCookie(broker, { req, res, kind: 'staff', content: stage })
}

/** Ends a session. Whether it was this call that did. */
export function leaveStaffSession(broker: Broker, { stored }: StaffSession): Promise<boolean> {
  return endSession(broker, stored)
}

/**
 * Whoever of a bank's staff calls the API from a page of the console; undefined for a browser that is not logged in. Only our own
 * page may: browsers say where a request was made (`Sec-Fetch-Site`), other sites cannot send the cookie with anything but a link, and
 * what is not a GET needs the page's token in `x-csrf-token` too. Throws `RequestError` 403 for a request from elsewhere.
 */
export async function staffCalling(broker: Broker, req: Request): Promise<Staff | undefined> {
  const session = await staffOf(broker, req)
  if (session === undefined) return undefined
  const token = req.get('x-csrf-token') ?? ''
  const reads = req.method === 'GET' || req.method === 'HEAD'
  if (
    req.get('sec-fetch-site') !== 'same-origin' ||
    (!reads && !isOwnToken(broker, req, { token, kind: 'staff' }))
  )
    throw new RequestError(403, 'not_from_console', 'the console’s own pages alone may call so')
  return session.stage
}
