import express, { type Request, type RequestHandler, type Response } from 'express'
import helmet from 'helmet'
import type { Broker } from '../broker/broker.ts'
import type { SessionKind } from '../storage/sessions.ts'
import type { Notice } from '../web/error.tsx'
import { isOwnToken } from './browser_session.ts'
import { PageRefused } from './page_errors.ts'

/** A form is at most this long; the longest has 32 accounts ticked. */
const form_bytes_max = 16 * 1024

/** What a page may do beside showing itself. */
interface Policy {
  /** Its forms lead to other sites, as those to a bank's login and back to a recipient do. */
  readonly leadsOn?: boolean
  /** It runs scripts, which are files of ours, and which call nobody but us. */
  readonly runsScripts?: boolean
}

/**
 * What every page is sent with: nothing but our own stylesheet and logo may load, nobody may frame it, no cache keeps it, no
 * crawler lists it. `referrer`: what an address tells the place a link leads to.
 */
export function pageHeaders(
  broker: Broker,
  { referrer, ...policy }: Policy & { referrer: 'same-origin' | 'no-referrer' },
): RequestHandler[] {
  return [
    helmet({
      contentSecurityPolicy: { useDefaults: false, directives: directives(broker, policy) },
      crossOriginResourcePolicy: { policy: 'same-origin' },
      referrerPolicy: { policy: referrer },
      strictTransportSecurity: broker.issuer.startsWith('https:'),
      xFrameOptions: { action: 'deny' },
    }),
    (_req, res, next) => {
      res.set({ 'cache-control': 'no-store', 'x-robots-tag': 'noindex' })
      next()
    },
  ]
}

const directives = ({ issuer }: Broker, { leadsOn = false, runsScripts = false }: Policy) => ({
  'default-src': ["'none'"],
  ...(runsScripts ? { 'script-src': ["'self'"], 'connect-src': ["'self'"] } : {}),
  'style-src': ["'self'"],
  'img-src': runsScripts ? ["'self'", 'data:'] : ["'self'"],
  'form-action': leadsOn ? ["'self'", 'https:', ...loopbackOf(issuer)] : ["'self'"],
  'frame-ancestors': ["'none'"],
  'base-uri': ["'none'"],
})

const loopbackOf = (issuer: string): string[] =>
  issuer.startsWith('http:') ? ['http://127.0.0.1:*', 'http://localhost:*'] : []

/**
 * Lets the forms of this page lead to other sites. Chromium holds `form-action` against every redirect that follows a form,
 * however many sites on: a bank's login may live on a host that no metadata names, and a recipient goes on to Messenger. So any
 * https site is allowed; with `default-src 'none'` and nothing secret typed into these pages there is no form to steal.
 */
export function leadingOn(broker: Broker): RequestHandler {
  return helmet.contentSecurityPolicy({
    useDefaults: false,
    directives: directives(broker, { leadsOn: true }),
  })
}

export function sendPage(res: Response, html: string, status = 200): void {
  res.status(status).type('html').send(html)
}

/** Where a form's answer sends the browser on: 303, so that the form itself is never sent along. */
export function sendOn(res: Response, location: string): void {
  res.redirect(303, location)
}

/** A form that was not sent from the page as this browser has it now. */
const outOfDate: Readonly<Record<SessionKind, Notice>> = {
  customer: {
    title: 'This page is out of date',
    what: 'It was opened in another browser, or you have begun something else since, or too much time has passed.',
    todo: 'Go back to where you started, in Messenger or on your connections page, and begin again. Nothing was changed.',
  },
  staff: {
    title: 'This page is out of date',
    what: 'It was opened in another browser, or you have logged in or out since.',
    todo: 'Open the page again and go on from there. Nothing was changed.',
  },
}

/** The steps before every form's handler: read it, and see that it was sent from a page of ours in this browser. */
export function formSteps(broker: Broker, kind: SessionKind = 'customer'): RequestHandler[] {
  return [
    express.text({ type: 'application/x-www-form-urlencoded', limit: form_bytes_max }),
    (req, _res, next) => {
      const token = formOf(req).get('csrf') ?? ''
      if (!isFromOurPage(broker, req) || !isOwnToken(broker, req, { token, kind }))
        throw new PageRefused(403, outOfDate[kind])
      next()
    },
  ]
}

/** The fields of a form. */
export function formOf(req: Request): URLSearchParams {
  return new URLSearchParams(typeof req.body === 'string' ? req.body : '')
}

/** The value of a field or query parameter that is there exactly once. */
export function only(fields: URLSearchParams, name: string): string | undefined {
  const values = fields.getAll(name)
  return values.length === 1 ? values[0] : undefined
}

/**
 * A second lock beside the token. Browsers name the origin that a form was sent from, or say that it is ours; `null` comes from
 * our own pages that send no referrer, and then `Sec-Fetch-Site` must vouch.
 */
function isFromOurPage({ issuer }: Broker, req: Request): boolean {
  const site = req.get('sec-fetch-site')
  if (site !== undefined && site !== 'same-origin') return false
  const origin = req.get('origin')
  return origin === 'null'
    ? site !== undefined
    : origin === undefined || origin === new URL(issuer).origin
}
