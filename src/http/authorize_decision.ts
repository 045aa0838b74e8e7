import { setTimeout as sleep } from 'node:timers/promises'
import type { Request, Response } from 'express'
import type { Authorization } from '../authorization/authorization.ts'
import { authorizationResponse } from '../authorization/authorization_response.ts'
import { issueCode } from '../authorization/code.ts'
import type { BankLogin } from '../broker/bank_port.ts'
import type { Broker } from '../broker/broker.ts'
import { TokensGivenBack } from '../broker/bank_tokens.ts'
import { CannotReplace } from '../broker/changed_consent.ts'
import { declineConsent } from '../broker/decline_consent.ts'
import { grantConsent } from '../broker/grant_consent.ts'
import { Refusal } from '../consent/refusal.ts'
import type { Delivery, RequestedTerms, ShownDisclosure } from '../consent/terms.ts'
import { findConsent } from '../storage/consents.ts'
import { loginIndexOf } from '../storage/links.ts'
import type { PushedRequest } from '../storage/pushed_requests.ts'
import { bankOf } from './bank_login.ts'
import { moveSession, rememberBrowser, sessionOf, type Session } from './browser_session.ts'
import { sendOn } from './page.ts'
import { PageRefused } from './page_errors.ts'
import type { Approving, Arrived } from './stage.ts'

/** For how long a second submit of the same form is answered like the first: as long as a code lives. */
const answer_kept_ms = 60_000

/** How long a second submit waits for the first to be through. */
const answer_wait_ms = 4_000

/** Why an approval comes to nothing for good: trying it again would not help. */
const comesToNothing = [Refusal, CannotReplace, TokensGivenBack] as const

/** What decisions are made with. */
export interface Deciding {
  readonly broker: Broker
  readonly authorization: Authorization
}

export interface Browser {
  readonly req: Request
  readonly res: Response
  readonly session: Session
}

/**
 * Decides a request once and sends the browser back to the recipient. Whoever moves the session first decides; a second submit,
 * by a double click or the back button, gets the same answer and decides nothing. When deciding fails, the session is as before.
 */
export async function answerOnce(
  broker: Broker,
  { req, res, session }: Browser,
  decide: () => Promise<string>,
): Promise<void> {
  const claimed = await moveSession(broker, session, { at: 'deciding' })
  if (claimed === undefined) return answerAgain(broker, req, res)
  const location = await decide().catch(async (error: unknown) => {
    await moveSession(broker, claimed, session.stage)
    throw error
  })
  const until = broker.now() + answer_kept_ms
  await moveSession(broker, claimed, { at: 'answered', location, until })
  sendOn(res, location)
}

/** The answer that another request of this browser gave, or is about to give. */
export async function answerAgain(broker: Broker, req: Request, res: Response): Promise<void> {
  for (let waited_ms = 0; waited_ms < answer_wait_ms; waited_ms += 100) {
    const stage = (await sessionOf(broker, req))?.stage
    if (stage?.at === 'answered' && stage.until > broker.now()) return sendOn(res, stage.location)
    if (stage?.at !== 'deciding') break
    await sleep(100)
  }
  throw alreadyAnswered()
}

export const alreadyAnswered = () =>
  new PageRefused(409, {
    title: 'You have already answered this request',
    what: 'It was approved or declined before, in this browser or in another one.',
    todo: 'Go back to Messenger. To see or end what you approved, open your connections below.',
  })

export const sessionOver = () =>
  new PageRefused(400, {
    title: 'This page has timed out',
    what: 'Too much time has passed, or this browser has begun something else since.',
    todo: 'Go back to Messenger and ask for a new link. Nothing was passed on.',
  })

/** What a request asks for, while it is not decided. */
export async function findRequested(
  broker: Broker,
  { bank, consentId }: PushedRequest,
): Promise<RequestedTerms | undefined> {
  const record = await findConsent(broker.db, bank, consentId)
  return record?.consent.state === 'requested' ? record.requested : undefined
}

/** The customer approves: grant, code, and where the browser goes with it. */
export async function approve(
  deciding: Deciding,
  res: Response,
  {
    stage,
    accounts,
    delivery,
    disclosure,
  }: {
    stage: Approving
    accounts: Approving['accounts']
    delivery: Delivery
    disclosure: ShownDisclosure
  },
): Promise<string> {
  const { broker, authorization } = deciding
  const { login, termsSalt, termsCommitment, request } = stage
  const { pushed, interaction } = request
  const { bank, consentId, profile, replaces } = pushed
  try {
    const granted = await grantConsent(broker, {
      bank,
      consentId,
      profile,
      login,
      termsSalt,
      termsCommitment,
      accounts,
      disclosure,
      interaction,
      ...(replaces === undefined ? {} : { replaces }),
    })
    const code = await issueCode(broker, pushed, granted.consentId)
    if (delivery === 'link_out') {
      const loginIndex = loginIndexOf(broker.vault, { bank, bankSubject: login.subject })
      await rememberBrowser(broker, res, { bank, loginIndex })
    }
    return authorizationResponse(authorization, pushed, { outcome: { code }, now: broker.now() })
  } catch (error) {
    if (!(error instanceof Error) || !comesToNothing.some((known) => error instanceof known))
      throw error
    return decline(deciding, { request, login, why: error.message, event: 'refused' })
  }
}

/** Goes on, unless the grant that a request is to replace cannot be: then the request is declined and the browser sent back. */
export async function unlessCannotReplace(
  deciding: Deciding,
  browser: Browser,
  { request, login, goOn }: { request: Arrived; login: BankLogin; goOn: () => Promise<void> },
): Promise<void> {
  try {
    await goOn()
  } catch (error) {
    if (!(error instanceof CannotReplace)) throw error
    await answerOnce(deciding.broker, browser, () =>
      decline(deciding, { request, login, why: error.message, event: 'refused' }),
    )
  }
}

/** The customer says no, or a rule does: the consent is declined, and the bank is told to forget the login's tokens. */
export async function decline(
  { broker, authorization }: Deciding,
  {
    request,
    login,
    why,
    event,
  }: {
    request: Arrived
    login?: BankLogin
    why: string
    event: 'declined' | 'cancelled' | 'refused'
  },
): Promise<string> {
  const { pushed, interaction } = request
  const { bank, consentId } = pushed
  await declineConsent(broker, { bank, consentId, event, interaction }).catch((error: unknown) => {
    throw error instanceof Refusal ? alreadyAnswered() : error
  })
  // The answer does not wait on the bank's health: tokens that nobody keeps end by themselves.
  if (login !== undefined)
    await broker.bankPort.revoke(bankOf(broker, bank), login.tokens).catch(() => undefined)
  const outcome = { error: 'access_denied', error_description: why } as const
  return authorizationResponse(authorization, pushed, { outcome, now: broker.now() })
}
