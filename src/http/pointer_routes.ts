import { randomUUID } from 'node:crypto'
import type { Request, RequestHandler, Router } from 'express'
import type { Broker } from '../broker/broker.ts'
import { bankOfPointer, openPointer, pointer_form, showDelivery } from '../broker/deliver.ts'
import { lastArrival } from '../broker/last_arrival.ts'
import { revokeConsent } from '../broker/revoke_consent.ts'
import { findDevice } from '../storage/devices.ts'
import { loginIndexOf } from '../storage/links.ts'
import { chooseBankPage } from '../web/choose_bank.tsx'
import { endedPage } from '../web/confirmation.tsx'
import { deliveryPage, pointerPage } from '../web/delivery.tsx'
import { bankOf, toIdentityLogin, type Returns } from './bank_login.ts'
import {
  deviceCookie,
  enterSession,
  formToken,
  leaveSession,
  readCookie,
  rememberBrowser,
  sessionOf,
} from './browser_session.ts'
import { formSteps, leadingOn, pageHeaders, sendOn, sendPage } from './page.ts'
import { pageErrors, PageRefused } from './page_errors.ts'
import { dropAfter } from './send_released.ts'
import { exactRouter } from './resource.ts'

/**
 * The page behind a pointer. A pointer is never a credential: opened, it shows and consumes nothing and is not even looked up.
 * The figures come on a form sent from a browser that has proven the bank login; the pointer alone can only stop things.
 */
export function pointerRoutes(broker: Broker): Router {
  const page = pageHeaders(broker, { referrer: 'no-referrer' })
  const form = [...page, ...formSteps(broker)]
  const router = exactRouter()
  router.get('/d/:pointer', ...page, (req, res) => {
    const csrf = formToken(broker, req, res)
    sendPage(res, pointerPage({ pointer: pointerOf(req), csrf }))
  })
  router.post('/d/:pointer', ...form, show(broker))
  router.post('/d/:pointer/stop', ...form, stop(broker))
  router.get('/d/:pointer/login', ...page, leadingOn(broker), (req, res) => {
    sendPage(
      res,
      chooseBankPage({
        title: 'Log in to see it',
        why: 'This browser has not been used with your bank yet, or not for a while.',
        action: `/d/${pointerOf(req)}/login`,
        banks: [...broker.bankPort.banks.values()],
        csrf: formToken(broker, req, res),
      }),
    )
  })
  router.post(
    '/d/:pointer/login',
    ...form,
    toIdentityLogin(broker, (req) => ({ for: 'pointer', pointer: pointerOf(req) })),
  )
  router.use(pageErrors)
  return router
}

/** Back from the bank: a new cookie, and the pointer's page again, since figures are shown on a form only. */
export const returnToPointer: Returns['pointer'] = async (
  broker,
  { req, res, session, login },
  { bank, purpose: { pointer } },
) => {
  if (login === 'cancelled') await leaveSession(broker, session)
  else {
    const index = loginIndexOf(broker.vault, { bank, bankSubject: login.subject })
    const stage = { at: 'pointer', bank, login: index.toString('base64url') } as const
    await enterSession(broker, { req, res, stage })
  }
  sendOn(res, `/d/${pointer}`)
}

function show(broker: Broker): RequestHandler {
  return async (req, res) => {
    const pointer = pointerOf(req)
    const proven = await provenLogin(broker, req, bankOfPointer(broker, pointer) ?? '')
    if (proven === undefined) return sendOn(res, `/d/${pointer}/login`)
    const { loginIndex } = proven
    const delivery = await openPointer(broker, pointer)
    if (delivery === undefined || !delivery.loginIndex.equals(loginIndex)) throw nothingHere()
    const { bank } = delivery
    if (proven.by === 'session') await rememberBrowser(broker, res, { bank, loginIndex })
    const wish = { pointer, loginIndex, interaction: randomUUID() }
    const { released, figures } = await showDelivery(broker, wish)
    const entry = { n: released.n, hash: Buffer.from(released.hash).toString('base64') }
    const html = deliveryPage({ bank: bankOf(broker, bank).legalName, figures, entry })
    dropAfter(res, released.deadline)
    sendPage(res.set('countersign-entry', `${entry.n} ${entry.hash}`), html)
  }
}

/** The login of this bank that the browser has proven: just now, or when it was remembered. */
async function provenLogin(
  broker: Broker,
  req: Request,
  bank: string,
): Promise<{ by: 'session' | 'device'; loginIndex: Buffer } | undefined> {
  const stage = (await sessionOf(broker, req))?.stage
  if ((stage?.at === 'pointer' || stage?.at === 'connections') && stage.bank === bank)
    return { by: 'session', loginIndex: Buffer.from(stage.login, 'base64url') }
  const cookie = readCookie(broker, req, deviceCookie(bank))
  const loginIndex = cookie === undefined ? undefined : await findDevice(broker, { bank, cookie })
  return loginIndex && { by: 'device', loginIndex }
}

function stop(broker: Broker): RequestHandler {
  return async (req, res) => {
    const delivery = await openPointer(broker, pointerOf(req))
    if (delivery === undefined) throw nothingHere()
    const { bank, consentId } = delivery
    const { at } = await revokeConsent(broker, {
      bank,
      consentId,
      by: 'customer',
      reason: 'USER_ACTION',
    })
    sendPage(res, endedPage({ ended: [{ endedAt: at, lastArrival: lastArrival(at) }] }))
  }
}

/** The pointer of this address, if it has the form of one. */
function pointerOf(req: Request): string {
  const pointer = req.params['pointer']
  if (typeof pointer === 'string' && pointer_form.test(pointer)) return pointer
  throw nothingHere()
}

const nothingHere = () =>
  new PageRefused(404, {
    title: 'There is nothing here',
    what: 'This link has expired, or it belongs to another bank login than the one you used.',
    todo: 'Ask for a new link in Messenger, or open your connections below.',
  })
