import type { Request, RequestHandler, Response } from 'express'
import { BankRefused, type Bank, type BankLogin } from '../broker/bank_port.ts'
import type { Broker } from '../broker/broker.ts'
import { recordEvent, type AuthorizationEvent } from '../storage/authorization_events.ts'
import { random256 } from '../storage/ids.ts'
import { enterSession, leaveSession, sessionOf, type Session } from './browser_session.ts'
import { formOf, only, sendOn } from './page.ts'
import { PageRefused } from './page_errors.ts'
import type { Arrived, AtBank, Purpose } from './stage.ts'

/** A browser that is back from its bank: logged in, or with a login that the customer broke off. */
export interface Returned {
  readonly req: Request
  readonly res: Response
  readonly session: Session
  readonly login: BankLogin | 'cancelled'
}

/** What each purpose of a login does when the browser is back. */
export type Returns = {
  readonly [For in Purpose['for']]: (
    broker: Broker,
    returned: Returned,
    atBank: AtBank & { readonly purpose: Extract<Purpose, { for: For }> },
  ) => Promise<void>
}

/** A bank of the directory. */
export function bankOf(broker: Broker, id: string | undefined): Bank {
  const bank = id === undefined ? undefined : broker.bankPort.banks.get(id)
  if (bank !== undefined) return bank
  throw new PageRefused(400, {
    title: 'That bank is not known here',
    what: 'The address or the form names a bank that Countersign does not serve.',
    todo: 'Go back and choose a bank from the list.',
  })
}

/** Sends a browser to the bank that its form names, to show who the customer is and nothing else. */
export function toIdentityLogin(
  broker: Broker,
  purpose: (req: Request) => Exclude<Purpose, { for: 'authorize' }>,
): RequestHandler {
  return async (req, res) => {
    const bank = bankOf(broker, only(formOf(req), 'bank'))
    const { url, pending } = await broker.bankPort.startLogin(bank, { nonce: random256() })
    const began = broker.now()
    const stage = { at: 'bank', bank: bank.id, url, began, pending, purpose: purpose(req) } as const
    await enterSession(broker, { req, res, stage })
    sendOn(res, url)
  }
}

/**
 * Where every bank sends the browser back to. An answer that does not carry the `state` of the login that this browser began
 * changes nothing, so that another site cannot break a login off; one that does is tried once.
 */
export function bankCallback(broker: Broker, returns: Returns): RequestHandler {
  return async (req, res) => {
    const answer = new URL(req.originalUrl, broker.issuer)
    const session = await sessionOf(broker, req)
    const stage = session?.stage
    if (
      session === undefined ||
      stage?.at !== 'bank' ||
      stage.bank !== req.params['bank'] ||
      stage.pending.state !== only(answer.searchParams, 'state')
    )
      throw new PageRefused(400, {
        title: 'There is no login under way',
        what: 'This browser has not begun a login at this bank, or too much time has passed since.',
        todo: 'Go back to where you started, in Messenger or on your connections page, and begin again.',
      })
    await recordLoginStep(broker, stage, 'bank_login_returned')
    const login = await finish(broker, { answer, session, stage })
    await goOn(broker, { req, res, session, login }, { returns, stage })
  }
}

async function finish(
  broker: Broker,
  { answer, session, stage }: { answer: URL; session: Session; stage: AtBank },
): Promise<Returned['login']> {
  try {
    return await broker.bankPort.finishLogin(bankOf(broker, stage.bank), answer, stage.pending)
  } catch (error) {
    if (error instanceof BankRefused && error.why === 'cancelled') return 'cancelled'
    await leaveSession(broker, session)
    await recordLoginStep(broker, stage, 'bank_login_failed')
    throw error
  }
}

/** Records what a browser did about a pushed request. */
export function recordStep(
  broker: Broker,
  { pushed, interaction }: Arrived,
  event: AuthorizationEvent,
): Promise<void> {
  return recordEvent(broker.db, pushed.bank, { consent: pushed.consentId, event, interaction })
}

/** A login for another purpose is no step of a consent's. */
async function recordLoginStep(
  broker: Broker,
  { purpose }: AtBank,
  event: AuthorizationEvent,
): Promise<void> {
  if (purpose.for === 'authorize') await recordStep(broker, purpose.request, event)
}

function goOn(
  broker: Broker,
  returned: Returned,
  { returns, stage }: { returns: Returns; stage: AtBank },
): Promise<void> {
  const { purpose } = stage
  switch (purpose.for) {
    case 'authorize':
      return returns.authorize(broker, returned, { ...stage, purpose })
    case 'connections':
      return returns.connections(broker, returned, { ...stage, purpose })
    case 'pointer':
      return returns.pointer(broker, returned, { ...stage, purpose })
  }
}
