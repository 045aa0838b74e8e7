import express from 'express'
import type { NextFunction, Request, Response, Router } from 'express'
import { errors } from 'oidc-provider'
import type { InteractionResults, Provider } from 'oidc-provider'
import type { Customer } from './account.ts'
import { acr } from './authorization_server.ts'
import { grantConsent, isRequestedDetail } from './consent_grant.ts'
import type { GrantedDetail, RequestedDetail } from './consent_grant.ts'
import { accountsPage, errorPage, loginPage } from './pages.tsx'
import type { Brand } from './pages.tsx'
import type { StaffMember } from './staff.ts'

interface Desk {
  readonly brand: Brand
  readonly provider: Provider
  readonly customers: readonly Customer[]
  readonly staff: readonly StaffMember[]
  /** The client that asks for the staff; any other asks for customers. */
  readonly staffClientId: string | undefined
}

/** Whoever may log in at one request. */
interface Person {
  readonly accountId: string
  readonly username: string
  readonly password: string
}

/**
 * The bank's pages between the broker's request and the bank's answer: login, then account choice where accounts were asked
 * for. Each posts to its own address. A request without a consent request is for the identity alone, a customer's or, by another
 * client, a member of staff's, and ends at the login.
 */
export function customerRoutes(desk: Desk): Router {
  return express
    .Router()
    .use((_, res, next) => {
      res.set({ 'content-security-policy': policy, 'cache-control': 'no-store' })
      next()
    })
    .get('/:uid', (req, res) => show(desk, req, res))
    .post('/:uid', express.text({ type: 'application/x-www-form-urlencoded' }), (req, res) =>
      decide(desk, req, res),
    )
    .use((error: unknown, _req: Request, res: Response, next: NextFunction) => {
      if (!(error instanceof errors.SessionNotFound)) return next(error)
      res.status(400).type('html').send(errorPage(desk.brand, 'This request has expired.'))
    })
}

// No form-action: browsers apply it to every redirect after a form, and those lead on to the broker and beyond.
const policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"

async function show(desk: Desk, req: Request, res: Response, error?: string): Promise<void> {
  const { prompt, params, session } = await desk.provider.interactionDetails(req, res)
  const customer = desk.customers.find(({ customerId }) => customerId === session?.accountId)
  const detail = requestedDetail(params)
  res.status(error === undefined ? 200 : 422).type('html')
  if (prompt.name === 'consent' && customer !== undefined && detail !== undefined) {
    const { accounts } = customer
    res.send(accountsPage(desk.brand, { accounts, request: detail.consentRequest, error }))
  } else {
    const { who, people } = askedFor(desk, params)
    const logins = people.slice(0, 2).map((one) => `${one.username} / ${one.password}`)
    res.send(loginPage(desk.brand, { who, logins, error }))
  }
}

async function decide(desk: Desk, req: Request, res: Response): Promise<void> {
  const form = new URLSearchParams(typeof req.body === 'string' ? req.body : '')
  const { prompt, params, session } = await desk.provider.interactionDetails(req, res)
  const detail = requestedDetail(params)
  const finish = (result: InteractionResults) =>
    desk.provider.interactionFinished(req, res, result, { mergeWithLastSubmission: true })

  if (form.get('decision') === 'deny')
    return finish({ error: 'access_denied', error_description: 'the customer declined' })

  if (prompt.name === 'login') {
    const person = askedFor(desk, params).people.find(
      ({ username, password }) =>
        username === form.get('username') && password === form.get('password'),
    )
    if (person === undefined) return show(desk, req, res, 'Wrong username or password.')
    const login = { accountId: person.accountId, acr, amr: ['pwd'] }
    if (detail !== undefined) return finish({ login })
    return finish({ login, consent: { grantId: await saveGrant(desk, params, person) } })
  }

  const customer = desk.customers.find(({ customerId }) => customerId === session?.accountId)
  const accountIds = (customer?.accounts ?? [])
    .map(({ accountId }) => accountId)
    .filter((accountId) => form.getAll('account').includes(accountId))
  if (customer === undefined || detail === undefined || accountIds.length === 0)
    return show(desk, req, res, 'Choose at least one account, or deny.')
  const granted = grantConsent(detail, { accountIds, now: new Date() })
  return finish({
    consent: { grantId: await saveGrant(desk, params, personOf(customer), granted) },
  })
}

function askedFor(
  { customers, staff, staffClientId }: Desk,
  params: Readonly<Record<string, unknown>>,
): { who: 'customers' | 'staff'; people: readonly Person[] } {
  return staffClientId !== undefined && params['client_id'] === staffClientId
    ? { who: 'staff', people: staff.map((one) => ({ ...one, accountId: one.staffId })) }
    : { who: 'customers', people: customers.map(personOf) }
}

const personOf = ({ customerId: accountId, username, password }: Customer): Person => {
  return { accountId, username, password }
}

function saveGrant(
  { provider }: Desk,
  params: Readonly<Record<string, unknown>>,
  { accountId }: Person,
  granted?: GrantedDetail,
): Promise<string> {
  const grant = new provider.Grant({ accountId, clientId: String(params['client_id']) })
  grant.addOIDCScope(String(params['scope']))
  if (granted !== undefined) grant.addRar({ ...granted })
  return grant.save()
}

function requestedDetail(params: Readonly<Record<string, unknown>>): RequestedDetail | undefined {
  const { authorization_details: text } = params
  const details: unknown = typeof text === 'string' ? JSON.parse(text) : []
  return Array.isArray(details) ? details.find((detail) => isRequestedDetail(detail)) : undefined
}
