import { timingSafeEqual } from 'node:crypto'
import type { Request, Response } from 'express'
import type { Broker } from '../broker/broker.ts'
import { device_days, rememberDevice } from '../storage/devices.ts'
import { random256 } from '../storage/ids.ts'
import {
  beginSession,
  endSession,
  findSession,
  saveSession,
  type SessionKind,
  type StoredSession,
} from '../storage/sessions.ts'
import { isStage, type Stage } from './stage.ts'

/** A browser's session, at one stage. */
export interface Session {
  readonly stage: Stage
  readonly stored: StoredSession
}

/**
 * On https the `__Host-` prefix keeps any other host, sibling or child, from setting the cookie; on plain http, which is for
 * loopback only, browsers refuse the prefix.
 */
const cookieName = (broker: Broker, name: string): string =>
  isSecure(broker) ? `__Host-${name}` : name

const isSecure = ({ issuer }: Broker): boolean => issuer.startsWith('https:')

/** The cookie of each kind of session. */
const sessionCookies: Readonly<Record<SessionKind, string>> = {
  customer: 'countersign',
  staff: 'countersign-staff',
}

/** The cookie that a browser is remembered by for one bank. */
export const deviceCookie = (bank: string): string => `countersign-device-${bank}`

/** The value of one of our cookies. A name sent twice is no cookie of ours: one of the two was planted. */
export function readCookie(broker: Broker, req: Request, name: string): string | undefined {
  const wanted = `${cookieName(broker, name)}=`
  const found = (req.headers.cookie ?? '')
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(wanted))
  return found.length === 1 ? found[0]?.slice(wanted.length) : undefined
}

/** Sets a cookie that scripts cannot read and other sites cannot make a form send. `days`: else it ends with the browser. */
function setCookie(
  broker: Broker,
  res: Response,
  { name, value, days }: { name: string; value: string; days?: number },
): void {
  res.cookie(cookieName(broker, name), value, {
    httpOnly: true,
    sameSite: 'lax',
    secure: isSecure(broker),
    path: '/',
    ...(days === undefined ? {} : { maxAge: days * 86_400_000 }),
  })
}

/** This browser saw the login: for a while it may show what pointers of it lead to. */
export async function rememberBrowser(
  broker: Broker,
  res: Response,
  login: { bank: string; loginIndex: Buffer },
): Promise<void> {
  const value = await rememberDevice(broker, login)
  setCookie(broker, res, { name: deviceCookie(login.bank), value, days: device_days })
}

/** What is kept of the session that this request's cookie names, if it lives. */
export async function storedSession(
  broker: Broker,
  req: Request,
  kind: SessionKind,
): Promise<StoredSession | undefined> {
  const cookie = readCookie(broker, req, sessionCookies[kind])
  return cookie === undefined ? undefined : findSession(broker, kind, cookie)
}

/** Begins a session with a fresh cookie; the one of its kind that the browser had ends. Returns the token for forms. */
export async function beginWithCookie(
  broker: Broker,
  { req, res, kind, content }: { req: Request; res: Response; kind: SessionKind; content: unknown },
): Promise<string> {
  const name = sessionCookies[kind]
  const cookie = await beginSession(broker, content, {
    kind,
    follows: readCookie(broker, req, name),
  })
  setCookie(broker, res, { name, value: cookie })
  return csrfOf(broker, kind, cookie)
}

/** The session that this customer's browser names by its cookie, if it lives. */
export async function sessionOf(broker: Broker, req: Request): Promise<Session | undefined> {
  const stored = await storedSession(broker, req, 'customer')
  return stored && isStage(stored.content) ? { stage: stored.content, stored } : undefined
}

/** Begins a customer's session with a fresh cookie; the one that the browser had ends. Returns the token for forms. */
export function enterSession(
  broker: Broker,
  { req, res, stage }: { req: Request; res: Response; stage: Stage },
): Promise<string> {
  return beginWithCookie(broker, { req, res, kind: 'customer', content: stage })
}

/** Moves a session on without a gain of privilege. Undefined when another request of the same browser moved it first. */
export async function moveSession(
  broker: Broker,
  { stored }: Session,
  stage: Stage,
): Promise<Session | undefined> {
  const moved = await saveSession(broker, stored, stage)
  return moved && { stage, stored: moved }
}

export async function leaveSession(broker: Broker, { stored }: Session): Promise<void> {
  await endSession(broker, stored)
}

/**
 * The token for the forms of this browser. A browser without a cookie gets one that names no session and never will: it only
 * ties its forms to it.
 */
export function formToken(
  broker: Broker,
  req: Request,
  res: Response,
  kind: SessionKind = 'customer',
): string {
  const name = sessionCookies[kind]
  const known = readCookie(broker, req, name)
  if (known !== undefined) return csrfOf(broker, kind, known)
  const value = random256()
  setCookie(broker, res, { name, value })
  return csrfOf(broker, kind, value)
}

/** Whether a form's token is the one of this request's cookie; compared in constant time. */
export function isOwnToken(
  broker: Broker,
  req: Request,
  { token, kind }: { token: string; kind: SessionKind },
): boolean {
  const cookie = readCookie(broker, req, sessionCookies[kind])
  if (cookie === undefined) return false
  const [own, given] = [Buffer.from(csrfOf(broker, kind, cookie)), Buffer.from(token)]
  return own.length === given.length && timingSafeEqual(own, given)
}

/** Derived, so that it needs no storage, changes with every new cookie, and tells nothing about the cookie. */
const csrfOf = ({ vault }: Broker, kind: SessionKind, cookie: string): string =>
  vault.index('csrf', `${kind} ${cookie}`).toString('base64url')
