import { randomUUID } from 'node:crypto'
import type { RequestHandler, Router } from 'express'
import type { Broker } from '../broker/broker.ts'
import { commitment } from '../broker/commitment.ts'
import { canonical } from '../ledger/canonical.ts'
import { findClient } from '../storage/clients.ts'
import { random256 } from '../storage/ids.ts'
import { findPushedRequest } from '../storage/pushed_requests.ts'
import { interstitialPage } from '../web/interstitial.tsx'
import {
  alreadyAnswered,
  answerAgain,
  answerOnce,
  decline,
  findRequested,
  sessionOver,
  type Deciding,
} from './authorize_decision.ts'
import { decideRequest, disclose } from './authorize_disclosure.ts'
import { bankOf, recordStep } from './bank_login.ts'
import { enterSession, moveSession, sessionOf, type Session } from './browser_session.ts'
import { formSteps, leadingOn, only, pageHeaders, sendOn, sendPage } from './page.ts'
import { pageErrors, PageRefused } from './page_errors.ts'
import type { Arrived, AtBank } from './stage.ts'
import { exactRouter } from './resource.ts'

/** A second “continue” within this time is the same one; later it is a customer who came back from the bank. */
const double_click_ms = 3_000

/** The authorization endpoint (RFC 6749 §3.1, by pushed requests only) and the pages behind it. */
export function authorizeRoutes(deciding: Deciding): Router {
  const { broker } = deciding
  const page = [...pageHeaders(broker, { referrer: 'same-origin' }), leadingOn(broker)]
  const form = [...page, ...formSteps(broker)]
  const router = exactRouter()
  router.get('/oauth/authorize', ...page, arrive(broker))
  router.post('/oauth/authorize/continue', ...form, goToBank(broker))
  router.post('/oauth/authorize/cancel', ...form, cancel(deciding))
  router.get('/oauth/authorize/disclosure', ...page, disclose(deciding))
  router.post('/oauth/authorize/decision', ...form, decideRequest(deciding))
  router.use(pageErrors)
  return router
}

/**
 * `client_id` and `request_uri` are read and nothing else is. Whatever is wrong with them is said here: no address that has not
 * been pushed by an authenticated client is ever redirected to. A request can be opened again until it is decided.
 */
function arrive(broker: Broker): RequestHandler {
  return async (req, res) => {
    const query = new URL(req.originalUrl, broker.issuer).searchParams
    const clientId = only(query, 'client_id')
    const requestUri = only(query, 'request_uri')
    const request =
      clientId === undefined || requestUri === undefined
        ? undefined
        : await findRequest(broker, { clientId, requestUri })
    if (request === undefined)
      throw new PageRefused(400, {
        title: 'This link does not work',
        what: 'It has expired, was already answered, or is not complete.',
        todo: 'Go back to Messenger and ask for a new link. Nothing was passed on.',
      })
    const { pushed, recipient } = request
    const csrf = await enterSession(broker, { req, res, stage: { at: 'interstitial', request } })
    await recordStep(broker, request, 'arrived')
    const bank = bankOf(broker, pushed.bank).legalName
    sendPage(res, interstitialPage({ recipient, profile: pushed.profile.display_name, bank, csrf }))
  }
}

/** A pushed request that may still be opened, and who pushed it. */
async function findRequest(
  broker: Broker,
  named: { clientId: string; requestUri: string },
): Promise<Arrived | undefined> {
  const pushed = await findPushedRequest(broker.db, broker.vault, named)
  if (pushed === undefined || pushed.expires <= broker.now()) return undefined
  const client = await findClient(broker.db, pushed.clientId)
  const undecided = (await findRequested(broker, pushed)) !== undefined
  return client && undecided
    ? { pushed, recipient: client.legalName, interaction: randomUUID() }
    : undefined
}

/** Continue: off to the bank, with a nonce that commits to the terms, so that the bank's signed answer binds the login to them. */
function goToBank(broker: Broker): RequestHandler {
  return async (req, res) => {
    const session = await sessionOf(broker, req)
    const request = session && undecidedRequest(session)
    if (session === undefined || request === undefined) throw sessionOver()
    if (isDoubleClick(broker, session)) return sendOn(res, session.stage.url)
    const requested = await findRequested(broker, request.pushed)
    if (requested === undefined) throw alreadyAnswered()
    const bank = bankOf(broker, request.pushed.bank)
    const termsSalt = random256()
    const nonce = commitment(Buffer.from(termsSalt, 'base64url'), canonical({ ...requested }))
    const { clusters, lookback_days, one_time, duration_days } = requested
    const consentRequest = { clusters, lookback_days, one_time, duration_days }
    const { url, pending } = await broker.bankPort.startLogin(bank, { nonce, consentRequest })
    const purpose = { for: 'authorize', request, termsSalt } as const
    const began = broker.now()
    const stage = { at: 'bank', bank: bank.id, url, began, pending, purpose } as const
    const moved = await moveSession(broker, session, stage)
    // Two clicks at once began two logins: both go to the one that was kept.
    const kept = moved?.stage ?? (await sessionOf(broker, req))?.stage
    if (kept?.at !== 'bank') throw sessionOver()
    if (moved !== undefined) await recordStep(broker, request, 'bank_login_begun')
    sendOn(res, kept.url)
  }
}

/** Whichever of two answers a browser follows, it must be sent to the login that the session remembers. */
function isDoubleClick(
  broker: Broker,
  session: Session,
): session is Session & { readonly stage: AtBank } {
  const { stage } = session
  return stage.at === 'bank' && broker.now() - stage.began < double_click_ms
}

/** The request of a session that is before the login, or back from an unfinished one by the back button. */
function undecidedRequest({ stage }: Session): Arrived | undefined {
  if (stage.at === 'interstitial') return stage.request
  return stage.at === 'bank' && stage.purpose.for === 'authorize'
    ? stage.purpose.request
    : undefined
}

function cancel(deciding: Deciding): RequestHandler {
  const { broker } = deciding
  return async (req, res) => {
    const session = await sessionOf(broker, req)
    const request = session && undecidedRequest(session)
    if (session === undefined || request === undefined) return answerAgain(broker, req, res)
    const cancelled = { why: 'the customer cancelled', event: 'cancelled' } as const
    await answerOnce(broker, { req, res, session }, () =>
      decline(deciding, { request, ...cancelled }),
    )
  }
}
