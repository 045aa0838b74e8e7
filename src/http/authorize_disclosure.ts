import type { RequestHandler } from 'express'
import type { FdxAccount } from '../broker/bank_port.ts'
import type { Broker } from '../broker/broker.ts'
import { changedConsent } from '../broker/changed_consent.ts'
import { disclosureText } from '../consent/disclosure.ts'
import { limits, type RequestedTerms } from '../consent/terms.ts'
import { findOfLink, type Connection } from '../storage/connections.ts'
import { noteOffer } from '../storage/fetches.ts'
import { sha256Text } from '../storage/sha256.ts'
import { accountName } from '../web/account_name.ts'
import { disclosurePage } from '../web/disclosure.tsx'
import {
  alreadyAnswered,
  answerAgain,
  answerOnce,
  approve,
  decline,
  findRequested,
  sessionOver,
  unlessCannotReplace,
  type Browser,
  type Deciding,
} from './authorize_decision.ts'
import { bankOf, recordStep, type Returns } from './bank_login.ts'
import { enterSession, formToken, sessionOf } from './browser_session.ts'
import { formOf, only, sendOn, sendPage } from './page.ts'
import { PageRefused } from './page_errors.ts'
import type { Approving } from './stage.ts'

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
      const { consentId: consent } = request.pushed
      await noteOffer(broker.db, bank, { consent, interaction })
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

/** The disclosure: what would be shared, and with whom. */
export function disclose(deciding: Deciding): RequestHandler {
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
export function decideRequest(deciding: Deciding): RequestHandler {
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
