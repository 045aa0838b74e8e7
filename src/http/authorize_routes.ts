import { randomUUID } from 'node:crypto'
import { Router, type RequestHandler } from 'express'
import type { FdxAccount } from '../broker/bank_port.ts'
import type { Broker } from '../broker/broker.ts'
import { changedConsent } from '../broker/changed_consent.ts'
import { commitment } from '../broker/commitment.ts'
import { disclosureText } from '../consent/disclosure.ts'
import { limits, type RequestedTerms } from '../consent/terms.ts'
import { canonical } from '../ledger/canonical.ts'
import { findClient } from '../storage/clients.ts'
import { findOfLink, type Connection } from '../storage/connections.ts'
import { findConsent } from '../storage/consents.ts'
import { random256 } from '../storage/ids.ts'
import { findPushedRequest, type PushedRequest } from '../storage/pushed_requests.ts'
import { sha256Text } from '../storage/sha256.ts'
import { accountName } from '../web/account_name.ts'
import { disclosurePage } from '../web/disclosure.tsx'
import { interstitialPage } from '../web/interstitial.tsx'
import {
  alreadyAnswered,
  answerAgain,
  answerOnce,
  approve,
  decline,
  unlessCannotReplace,
  type Browser,
  type Deciding,
} from './authorize_decision.ts'
import { bankOf, recordStep, type Returns } from './bank_login.ts'
import { enterSession, formToken, moveSession, sessionOf, type Session } from './browser_session.ts'
import { formOf, formSteps, leadingOn, only, pageHeaders, sendOn, sendPage } from './page.ts'
import { pageErrors, PageRefused } from './page_errors.ts'
import type { Approving, Arrived, AtBank } from './stage.ts'

/** A second “continue” within this time is the same one; later it is a customer who came back from the bank. */
const double_click_ms = 3_000

/** The authorization endpoint (RFC 6749 §3.1, by pushed requests only) and the pages behind it, up to the decision. */
export function authorizeRoutes(deciding: Deciding): Router {
  const { broker } = deciding
  const page = [...pageHeaders(broker, { referrer: 'same-origin' }), leadingOn(broker)]
  const form = [...page, ...formSteps(broker)]
  const router = Router()
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

async function findRequested(
  broker: Broker,
  { bank, consentId }: PushedRequest,
): Promise<RequestedTerms | undefined> {
  const record = await findConsent(broker.db, bank, consentId)
  return record?.consent.state === 'requested' ? record.requested : undefined
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

/** Back from the bank: what it says of the accounts stays in this session, which gets a new cookie with the login. */
export const returnToDisclosure =
  (deciding: Deciding): Returns['authorize'] =>
  async (
    broker,
    { req, res, session, login },
    { bank, pending, purpose: { request, termsSalt } },
  ) => {
    if (login === 'cancelled')
      return answerOnce(broker, { req, res, session }, () =>
        decline(deciding, {
          request,
          why: 'the customer cancelled at the bank',
          event: 'cancelled',
        }),
      )
    const { interaction } = request
    const goOn = async () => {
      if ((await asked(broker, { request, login })) === undefined) throw alreadyAnswered()
      const access = { accessToken: login.tokens.access_token, interaction }
      const accounts = offered(await broker.bankPort.accounts(bankOf(broker, bank), access))
      const termsCommitment = pending.nonce
      const logged = { request, login, termsSalt, termsCommitment, accounts }
      await enterSession(broker, { req, res, stage: { at: 'disclosure', ...logged } })
      await recordStep(broker, request, 'accounts_picked')
      sendOn(res, '/oauth/authorize/disclosure')
    }
    await unlessCannotReplace(deciding, { req, res, session }, { request, login, goOn })
  }

/** The accounts of a bank's answer, as the customer is asked about them. */
function offered(found: readonly FdxAccount[]): Approving['accounts'] {
  if (found.length > 0)
    return found.map((account) => ({
      bankAccountId: account.accountId,
      display: accountName(account),
    }))
  throw new PageRefused(400, {
    title: 'No account was chosen',
    what: 'Your bank gave no account that could be shared.',
    todo: 'Begin again from Messenger, and choose at least one account at your bank.',
  })
}

function disclose(deciding: Deciding): RequestHandler {
  const { broker } = deciding
  return async (req, res) => {
    const session = await sessionOf(broker, req)
    const stage = session?.stage
    if (stage?.at === 'answered' || stage?.at === 'deciding') throw alreadyAnswered()
    if (session === undefined || stage?.at !== 'disclosure') throw sessionOver()
    const goOn = async () => {
      const shown = await disclosureOf(broker, stage)
      if (shown === undefined) throw alreadyAnswered()
      sendPage(res, shown.page({ csrf: formToken(broker, req, res) }))
    }
    await unlessCannotReplace(deciding, { req, res, session }, { ...stage, goOn })
  }
}

/**
 * What a request asks of whoever has logged in, and the permission of theirs that approving it would change, if any; undefined
 * once it is decided. Throws `CannotReplace`.
 */
async function asked(
  broker: Broker,
  { request: { pushed }, login }: Pick<Approving, 'request' | 'login'>,
): Promise<{ requested: RequestedTerms; before: Connection | undefined } | undefined> {
  const { bank, profile, consentId, replaces } = pushed
  const named = { bank, profile, bankSubject: login.subject, id: replaces }
  const ofLink = await findOfLink(broker, named)
  // Read after the other: a second submit must not take what the first has changed for what is to be changed.
  const requested = await findRequested(broker, pushed)
  if (requested === undefined) return undefined
  const at = new Date(broker.now()).toISOString()
  const terms = { ...requested, consentId, at, ...(replaces === undefined ? {} : { replaces }) }
  return { requested, before: changedConsent(ofLink, terms) }
}

/** The text as it stands now, what a grant keeps of it, and the page that shows it; undefined once the request is decided. */
async function disclosureOf(broker: Broker, { request, login, accounts }: Approving) {
  const { pushed, recipient } = request
  const now = await asked(broker, { request, login })
  if (now === undefined) return undefined
  const { requested, before } = now
  const { text, parts, version, language } = disclosureText({
    requested,
    recipient,
    bank: bankOf(broker, pushed.bank).legalName,
    connectionsUrl: new URL('/connections', broker.issuer).href,
    ...(before === undefined ? {} : { before: before.consent }),
    at: broker.now(),
  })
  const sha256 = sha256Text(text)
  return {
    delivery: requested.delivery,
    disclosure: { version, language, text },
    sha256,
    page: (shown: { csrf: string; ticked?: readonly number[]; problem?: string }) =>
      disclosurePage({
        parts,
        sha256,
        profile: pushed.profile.display_name,
        accounts: accounts.map(({ display }) => display),
        sharedBefore: before?.accounts.map(({ display }) => display),
        ticked: (index) => shown.ticked?.includes(index) ?? true,
        problem: shown.problem,
        csrf: shown.csrf,
      }),
  }
}

/** Approve or decline. What is approved is the text whose hash the form brings back, and only while that is still the text. */
function decideRequest(deciding: Deciding): RequestHandler {
  const { broker } = deciding
  return async (req, res) => {
    const session = await sessionOf(broker, req)
    const stage = session?.stage
    if (session === undefined || stage?.at !== 'disclosure') return answerAgain(broker, req, res)
    const form = formOf(req)
    const { request, login } = stage
    if (only(form, 'decision') === 'decline')
      return answerOnce(broker, { req, res, session }, () =>
        decline(deciding, { request, login, why: 'the customer declined', event: 'declined' }),
      )
    const goOn = () => approveShown(deciding, { req, res, session }, { stage, form })
    await unlessCannotReplace(deciding, { req, res, session }, { request, login, goOn })
  }
}

/** Approves what was shown, while it is what would be shown now; else shows what has changed, or is missing. */
async function approveShown(
  deciding: Deciding,
  { req, res, session }: Browser,
  { stage, form }: { stage: Approving; form: URLSearchParams },
): Promise<void> {
  const { broker } = deciding
  const { accounts } = stage
  const shown = await disclosureOf(broker, stage)
  if (shown === undefined) return answerAgain(broker, req, res)
  const { delivery, disclosure, sha256, page } = shown
  const ticked = tickedIn(form, accounts.length)
  const problem =
    problemWith(ticked) ??
    (only(form, 'decision') === 'approve' ? undefined : 'Please choose “Approve” or “Decline”.') ??
    (only(form, 'disclosure') === sha256
      ? undefined
      : 'The text below has changed since you opened it. Please read it again.')
  if (problem !== undefined)
    return sendPage(res, page({ csrf: formToken(broker, req, res), ticked, problem }), 422)
  const approved = accounts.filter((_, index) => ticked.includes(index))
  await answerOnce(broker, { req, res, session }, () =>
    approve(deciding, res, { stage, accounts: approved, delivery, disclosure }),
  )
}

/** The numbers of the accounts that a form ticks; others than we offered are no accounts. */
const tickedIn = (form: URLSearchParams, count: number): number[] =>
  Array.from({ length: count }, (_, index) => index).filter((index) =>
    form.getAll('account').includes(String(index)),
  )

function problemWith(ticked: readonly number[]): string | undefined {
  if (ticked.length === 0) return 'Tick at least one account to approve, or choose “Decline”.'
  return ticked.length > limits.accounts_max
    ? `Tick at most ${limits.accounts_max} accounts.`
    : undefined
}

const sessionOver = () =>
  new PageRefused(400, {
    title: 'This page has timed out',
    what: 'Too much time has passed, or this browser has begun something else since.',
    todo: 'Go back to Messenger and ask for a new link. Nothing was passed on.',
  })
