import type { Request, Router } from 'express'
import type { Broker } from '../broker/broker.ts'
import { lastArrival } from '../broker/last_arrival.ts'
import { narrowConsent } from '../broker/narrow_consent.ts'
import { revokeConsent } from '../broker/revoke_consent.ts'
import type { Connection } from '../storage/connections.ts'
import { loginIndexOf } from '../storage/links.ts'
import { chooseBankPage } from '../web/choose_bank.tsx'
import { endedPage, narrowedPage } from '../web/confirmation.tsx'
import { connectionsPage } from '../web/connections.tsx'
import { bankOf, toIdentityLogin, type Returns } from './bank_login.ts'
import { enterSession, formToken, leaveSession, sessionOf } from './browser_session.ts'
import { formOf, formSteps, leadingOn, only, pageHeaders, sendOn, sendPage } from './page.ts'
import { ownConnection, requireOwner, type Owner } from './connections_owner.ts'
import { pageErrors } from './page_errors.ts'
import { exactRouter } from './resource.ts'

/** Where a customer sees every connection of a bank login, and ends or narrows it in one step. */
export function connectionsRoutes(broker: Broker): Router {
  const page = pageHeaders(broker, { referrer: 'same-origin' })
  const form = [...page, ...formSteps(broker)]
  const router = exactRouter()
  router.get('/connections', ...page, leadingOn(broker), async (req, res) => {
    const session = await sessionOf(broker, req)
    const csrf = formToken(broker, req, res)
    sendPage(
      res,
      session?.stage.at === 'connections'
        ? await listPage(broker, await requireOwner(broker, req), { csrf })
        : pickerPage(broker, csrf),
    )
  })
  router.post(
    '/connections/login',
    form,
    toIdentityLogin(broker, () => ({ for: 'connections' })),
  )
  router.post('/connections/revoke', ...form, async (req, res) => {
    const owner = await requireOwner(broker, req)
    sendPage(res, await revokeAll(broker, owner, [namedConnection(owner, req)]))
  })
  router.post('/connections/revoke-all', ...form, async (req, res) => {
    const owner = await requireOwner(broker, req)
    const active = owner.connections.filter(({ consent }) => consent.state === 'active')
    sendPage(res, await revokeAll(broker, owner, active))
  })
  router.post('/connections/narrow', ...form, async (req, res) => {
    const owner = await requireOwner(broker, req)
    const connection = namedConnection(owner, req)
    const kept = formOf(req).getAll('account')
    if (kept.length > 0) return sendPage(res, await narrow(broker, owner, { connection, kept }))
    const problem = 'Tick at least one account to keep, or end the access altogether.'
    const csrf = formToken(broker, req, res)
    sendPage(res, await listPage(broker, owner, { csrf, problem }), 422)
  })
  router.post('/connections/leave', ...form, async (req, res) => {
    const session = await sessionOf(broker, req)
    if (session !== undefined) await leaveSession(broker, session)
    sendOn(res, '/connections')
  })
  router.use(pageErrors)
  return router
}

/** Back from the bank: a new cookie, and the list. */
export const returnToConnections: Returns['connections'] = async (
  broker,
  { req, res, session, login },
  { bank },
) => {
  if (login === 'cancelled') await leaveSession(broker, session)
  else {
    const index = loginIndexOf(broker.vault, { bank, bankSubject: login.subject })
    const stage = { at: 'connections', bank, login: index.toString('base64url') } as const
    await enterSession(broker, { req, res, stage })
  }
  sendOn(res, '/connections')
}

/** The connection that a form names. */
const namedConnection = (owner: Owner, req: Request): Connection =>
  ownConnection(owner, only(formOf(req), 'consent'))

const pickerPage = (broker: Broker, csrf: string): string =>
  chooseBankPage({
    title: 'Your connections',
    why: 'Log in at your bank to see who has access to your accounts through Countersign, and to end it.',
    action: '/connections/login',
    banks: [...broker.bankPort.banks.values()],
    csrf,
  })

async function listPage(
  broker: Broker,
  { bank, connections }: Owner,
  shown: { csrf: string; problem?: string },
): Promise<string> {
  const at = new Date(broker.now()).toISOString()
  return connectionsPage({ bank: bankOf(broker, bank).legalName, connections, at, ...shown })
}

/** Ends each, in effect before the answer; one that had ended already answers with when it did. */
async function revokeAll(
  broker: Broker,
  { bank }: Owner,
  connections: readonly Connection[],
): Promise<string> {
  const ended = await Promise.all(
    connections.map(async ({ consent, recipient }) => {
      const { at } = await revokeConsent(broker, {
        bank,
        consentId: consent.id,
        by: 'customer',
        reason: 'USER_ACTION',
      })
      return { recipient, endedAt: at, lastArrival: lastArrival(at) }
    }),
  )
  return endedPage({ ended, back: '/connections' })
}

async function narrow(
  broker: Broker,
  { bank }: Owner,
  { connection, kept }: { connection: Connection; kept: readonly string[] },
): Promise<string> {
  const { consent, recipient, accounts } = connection
  const handles = [...new Set(kept)]
  const { at } = await narrowConsent(broker, { bank, consentId: consent.id, accounts: handles })
  return narrowedPage({
    recipient,
    accounts: accounts.filter(({ handle }) => kept.includes(handle)).map(({ display }) => display),
    lastArrival: lastArrival(at),
    back: '/connections',
  })
}
