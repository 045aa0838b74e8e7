import type { ErrorRequestHandler, Request, RequestHandler, Response, Router } from 'express'
import { BankRefused, BankUnavailable, type Bank, type StaffLogin } from '../broker/bank_port.ts'
import { ledgerOrigin, type Broker } from '../broker/broker.ts'
import { grantAudit } from '../broker/grant_audit.ts'
import { revokeGrant } from '../storage/audit_grants.ts'
import { signedSize } from '../storage/signed.ts'
import { staffIdOf } from '../storage/staff.ts'
import { consoleErrorPage, consoleLoginPage, consolePage } from '../web/console.tsx'
import { formToken } from './browser_session.ts'
import { openConsoleAssets, serveAsset, type ConsoleAssets } from './console_assets.ts'
import { formOf, formSteps, only, pageHeaders, sendOn, sendPage } from './page.ts'
import { errorPages, PageRefused } from './page_errors.ts'
import { exactRouter } from './resource.ts'
import {
  enterStaffSession,
  leaveStaffSession,
  staff_hours,
  staffOf,
  staffSessionOf,
  type AtProvider,
  type Staff,
} from './staff_session.ts'

/** The auditor's console: a login at the bank's identity provider, and one page for every address under `/console/{bank}`. */
export function consoleRoutes(broker: Broker): Router {
  const assets = openConsoleAssets()
  const page = pageHeaders(broker, { referrer: 'same-origin', leadsOn: true, runsScripts: true })
  const form = [...page, ...formSteps(broker, 'staff')]
  const router = exactRouter()
  router.get('/console/assets/:file', serveAsset(assets))
  router.get('/console', ...page, arrive(broker))
  router.get('/console/login', ...page, (req, res) => sendLogin(broker, { req, res }))
  router.post('/console/login', ...form, toLogin(broker))
  router.get('/console/callback/:bank', ...page, callback(broker))
  router.post('/console/logout', ...form, logout(broker))
  router.get('/console/:bank', ...page, show(broker, assets))
  router.get('/console/:bank/*place', ...page, show(broker, assets))
  router.use('/console', consoleErrors)
  return router
}

const consoleErrors: ErrorRequestHandler = errorPages({
  render: consoleErrorPage,
  notices: {
    notConfirmed: {
      title: 'Your bank did not confirm the login',
      what: 'Its answer did not match the login that was begun here.',
      todo: 'You are not logged in. Begin again; if it stays, tell whoever runs Countersign.',
    },
    bankSilent: {
      title: 'Your bank’s login is not answering',
      what: 'The bank’s identity provider did not answer, or not in the way it should.',
      todo: 'You are not logged in. Wait a few minutes and try again.',
    },
    busy: {
      title: 'Please try again in a moment',
      what: 'The ledger cannot be reached right now.',
      todo: 'Wait a few seconds and open the page again.',
    },
    tooMany: {
      title: 'Please wait a minute',
      what: 'Too many pages were asked for from where you are, by you or by others.',
      todo: 'Wait a minute and try again.',
    },
    unreadable: {
      title: 'This request cannot be read',
      what: 'The form was too long, or not in the form that a browser sends.',
      todo: 'Go back and try again.',
    },
    unforeseen: {
      title: 'Something went wrong',
      what: 'That is our fault, and it has been noted.',
      todo: 'Wait a moment and open the page again.',
    },
  },
})

/** The console of whoever is logged in; else the login. */
function arrive(broker: Broker): RequestHandler {
  return async (req, res) => {
    const session = await staffOf(broker, req)
    if (session === undefined) return sendLogin(broker, { req, res })
    sendOn(res, `/console/${session.stage.bank}`)
  }
}

/** The choice of a bank, or the way to the one that the address names, and back to that address. */
function sendLogin(
  broker: Broker,
  { req, res, bank }: { req: Request; res: Response; bank?: Bank },
): void {
  const csrf = formToken(broker, req, res, 'staff')
  const banks = [...broker.bankPort.banks.values()].filter(({ staff }) => staff !== undefined)
  const back = bank === undefined ? undefined : backTo(broker, bank, req.originalUrl)
  sendPage(res, consoleLoginPage({ banks: bank === undefined ? banks : [bank], back, csrf }))
}

/** A bank of the directory whose staff log in here. Throws `PageRefused` 404. */
function bankOfConsole(broker: Broker, id: string | undefined): Bank {
  const bank = id === undefined ? undefined : broker.bankPort.banks.get(id)
  if (bank?.staff !== undefined) return bank
  throw new PageRefused(404, {
    title: 'There is no such console',
    what: 'The address or the form names a bank whose staff do not log in here.',
    todo: 'Open /console and choose a bank from the list.',
  })
}

const address_chars_max = 2_000

/**
 * An address of one bank's console as a path and a query, and nothing but that: a browser is never sent elsewhere, whatever an
 * address or a form says. What is no such address leads to the console's first page.
 */
export function backTo({ issuer }: Pick<Broker, 'issuer'>, { id }: Bank, said: string): string {
  const home = `/console/${id}`
  if (said.length > address_chars_max || !URL.canParse(said, issuer)) return home
  const { origin, pathname, search } = new URL(said, issuer)
  const own = origin === issuer && (pathname === home || pathname.startsWith(`${home}/`))
  return own ? pathname + search : home
}

/** Off to the bank, with a fresh cookie that the answer must come back with. */
function toLogin(broker: Broker): RequestHandler {
  return async (req, res) => {
    const form = formOf(req)
    const bank = bankOfConsole(broker, only(form, 'bank'))
    const { url, pending } = await broker.bankPort.staff.start(bank)
    const back = backTo(broker, bank, only(form, 'back') ?? '')
    const stage = { at: 'provider', bank: bank.id, pending, back } as const
    await enterStaffSession(broker, { req, res, stage })
    sendOn(res, url)
  }
}

/**
 * Where a bank's identity provider sends the browser back to. An answer that does not carry the `state` of the login that this browser
 * began changes nothing; one that does is tried once, by whichever request comes first.
 */
function callback(broker: Broker): RequestHandler {
  return async (req, res) => {
    const answer = new URL(req.originalUrl, broker.issuer)
    const session = await staffSessionOf(broker, req)
    const stage = session?.stage
    if (
      session === undefined ||
      stage?.at !== 'provider' ||
      stage.bank !== req.params['bank'] ||
      stage.pending.state !== only(answer.searchParams, 'state') ||
      !(await leaveStaffSession(broker, session))
    )
      throw new PageRefused(400, {
        title: 'There is no login under way',
        what: 'This browser has not begun a login at this bank, or too much time has passed since.',
        todo: 'Open /console and begin again.',
      })
    const staff = await finish(broker, stage, answer)
    if (staff !== undefined) await enterStaffSession(broker, { req, res, stage: staff })
    sendOn(res, stage.back)
  }
}

/** Whoever logged in; undefined for a login that was broken off. Throws `PageRefused` 403 for whoever may not audit. */
async function finish(
  broker: Broker,
  { bank: id, pending }: AtProvider,
  answer: URL,
): Promise<Staff | undefined> {
  const bank = bankOfConsole(broker, id)
  try {
    return await auditorAt(broker, bank, await broker.bankPort.staff.finish(bank, answer, pending))
  } catch (error) {
    if (!(error instanceof BankRefused)) throw error
    if (error.why === 'cancelled') return undefined
    if (error.why !== 'not_an_auditor') throw error
    throw new PageRefused(403, {
      title: 'This login may not audit',
      what: `${bank.legalName} does not say of this login that it is an auditor’s.`,
      todo: 'Log in as somebody else, or ask the bank’s administrators for the role.',
    })
  }
}

/** Milliseconds: the database's clock, by which grants stand, may be behind ours by less. */
const clock_ms_max = 10_000

/** The bank's word is the leave to audit, for as long as the session may last: a grant like any other, which can be revoked. */
async function auditorAt(
  broker: Broker,
  { id: bank, staff }: Bank,
  { subject, name, idToken }: StaffLogin,
): Promise<Staff> {
  const id = await staffIdOf(broker, { bank, issuer: staff?.issuer ?? '', subject })
  const now = broker.now()
  const until = now + staff_hours * 3_600_000
  const grant = await grantAudit(broker, bank, {
    ...{ kind: 'staff', auditor: id, grantedBy: 'the bank, by a login of its staff' },
    from: new Date(now - clock_ms_max).toISOString(),
    until: new Date(until).toISOString(),
  })
  return {
    ...{ at: 'console', bank, id, grant: grant.id, until, idToken },
    ...(name === undefined ? {} : { name }),
  }
}

/** Ends the session here, and its grant, and goes on to the bank to end it there. */
function logout(broker: Broker): RequestHandler {
  return async (req, res) => {
    const session = await staffOf(broker, req)
    if (session === undefined) return sendOn(res, '/console')
    await leaveStaffSession(broker, session)
    await revokeGrant(broker.db, session.stage.bank, session.stage.grant)
    sendOn(res, (await logoutAtBank(broker, session.stage)) ?? '/console')
  }
}

async function logoutAtBank(
  broker: Broker,
  { bank: id, idToken }: Staff,
): Promise<string | undefined> {
  const bank = broker.bankPort.banks.get(id)
  try {
    return (
      bank &&
      (await broker.bankPort.staff.logoutUrl(bank, { idToken, back: `${broker.issuer}/console` }))
    )
  } catch (error) {
    if (error instanceof BankUnavailable) return undefined
    throw error
  }
}

/** The console's one page, at every address of a bank's console: what the address says is for the script to read. */
function show(broker: Broker, assets: () => ConsoleAssets): RequestHandler {
  return async (req, res) => {
    const bank = bankOfConsole(broker, String(req.params['bank']))
    const session = await staffOf(broker, req)
    if (session === undefined) return sendLogin(broker, { req, res, bank })
    const { id, name, until, bank: own } = session.stage
    if (own !== bank.id)
      throw new PageRefused(403, {
        title: 'You are logged in at another bank',
        what: `This address is of ${bank.legalName}’s console.`,
        todo: 'Open /console and log out, then open this address again and log in there.',
      })
    const { script, style } = assets()
    const told = {
      bank: { id: bank.id, legalName: bank.legalName },
      origin: ledgerOrigin(broker.issuer, bank.id),
      vkey: broker.keys.get(bank.id)?.vkey ?? '',
      size: await signedSize(broker.db, bank.id),
      staff: { id, ...(name === undefined ? {} : { name }) },
      until: new Date(until).toISOString(),
      csrf: formToken(broker, req, res, 'staff'),
    }
    sendPage(res, consolePage({ told, script, style }))
  }
}
