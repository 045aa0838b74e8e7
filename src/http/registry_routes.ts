import type { Request, Router } from 'express'
import type { AccessToken } from '../authorization/access_token.ts'
import {
  clientOfMetadata,
  metadataOf,
  type ClientMetadata,
} from '../authorization/client_metadata.ts'
import { disableForGood, registerClient } from '../authorization/register_client.ts'
import { insufficientScope, requireScope } from '../authorization/resource_error.ts'
import { approveRecipient, suspendRecipient } from '../broker/approve_recipient.ts'
import type { Bank } from '../broker/bank_port.ts'
import { ledgerOrigin, type Broker } from '../broker/broker.ts'
import { Refusal } from '../consent/refusal.ts'
import { findApproval } from '../storage/approvals.ts'
import { inBank } from '../storage/database.ts'
import type { ApprovalRecord } from '../storage/ledger_state.ts'
import {
  approvalHistory,
  findRegistered,
  listApprovals,
  listRegistered,
  type ApprovalEntry,
  type RegisteredClient,
} from '../storage/registry.ts'
import { jsonBody } from './contract.ts'
import { interaction } from './interaction.ts'
import { RequestError } from './problem.ts'
import { callerOf, exactRouter, noSuchResource, notAllowed, type Api } from './resource.ts'

/** Clients or approvals on one page of a list. */
export const page_registered = { default: 25, max: 100 } as const

/** Entries of a recipient's history at a bank that one answer tells, the newest. */
const history_max = 100

interface Listed {
  readonly query: { readonly limit?: number; readonly pageKey?: string }
}

interface OfClient {
  readonly path: { readonly id: string }
}

interface AtBank {
  readonly path: { readonly bank: string }
}

/** Which clients there are in a list: recipients, or all others. */
const lists = [
  { path: '/registry/recipients', name: 'recipients', one: 'Recipient', recipients: true },
  { path: '/registry/clients', name: 'clients', one: 'Client', recipients: false },
] as const

/**
 * The register: for the operator all of it; for a bank, by its own client, the recipients, and what it says of them at that bank and
 * at no other.
 */
export function registryRoutes(api: Api): Router {
  const { broker } = api
  const router = exactRouter()
  router.use('/registry', interaction)
  for (const list of lists) clientRoutes(api, router, list)
  bankRoutes(api, router)

  router
    .route('/registry/banks')
    .get(async (req, res) => {
      const caller = await registrar(api, req)
      if (caller.bank === undefined) requireScope(caller, 'registry:read')
      const banks = [...broker.bankPort.banks.values()].filter(({ id }) => maySee(caller, id))
      res
        .set('Cache-Control', 'no-store')
        .json({ banks: banks.map((bank) => bankOf(broker, bank)) })
    })
    .all(notAllowed('GET, HEAD'))
  return router
}

function clientRoutes(api: Api, router: Router, list: (typeof lists)[number]): void {
  const { broker, contract } = api
  const listed = contract.reader<Listed>(`list${list.one}s`)
  const shown = contract.reader<OfClient>(`get${list.one}`)
  const added = contract.reader<{ body: ClientMetadata }>(`register${list.one}`)
  const ended = contract.reader<OfClient>(`disable${list.one}`)

  /** The client of an id, if it is one of this list. */
  const named = async (id: string): Promise<RegisteredClient> => {
    const found = await findRegistered(broker.db, id)
    if (found === undefined || (found.client.kind === 'recipient') !== list.recipients)
      throw noSuchResource()
    return found
  }
  /** Banks see recipients, which they approve, without their pages, and none of the other clients. */
  const reader = async (req: Request): Promise<(found: RegisteredClient) => object> => {
    const caller = await registrar(api, req)
    if (caller.bank === undefined || !list.recipients) requireScope(caller, 'registry:read')
    return caller.bank === undefined ? registeredBody : withoutPages
  }

  router
    .route(list.path)
    .get(async (req, res) => {
      const shownAs = await reader(req)
      const { limit = page_registered.default, pageKey: after } = listed(req).query
      const { recipients } = list
      const found = await listRegistered(broker.db, { recipients, after, limit: limit + 1 })
      res.set('Cache-Control', 'no-store').json({
        page: pageOf(found, limit, ({ client }) => client.id),
        [list.name]: found.slice(0, limit).map(shownAs),
      })
    })
    .post(jsonBody, async (req, res) => {
      requireScope(await registrar(api, req), 'registry:write')
      const client = clientOfMetadata(added(req).body)
      await registerClient(broker, client)
      res
        .status(201)
        .set({
          'Cache-Control': 'no-store',
          Location: `${broker.issuer}${list.path}/${encodeURIComponent(client.id)}`,
        })
        .json(registeredBody(await named(client.id)))
    })
    .all(notAllowed('GET, HEAD, POST'))

  router
    .route(`${list.path}/:id`)
    .get(async (req, res) => {
      const shownAs = await reader(req)
      res.set('Cache-Control', 'no-store').json(shownAs(await named(shown(req).path.id)))
    })
    .all(notAllowed('GET, HEAD'))

  router
    .route(`${list.path}/:id/disablement`)
    .post(async (req, res) => {
      requireScope(await registrar(api, req), 'registry:write')
      const { id } = ended(req).path
      await named(id)
      await disableForGood(broker, id)
      res.set('Cache-Control', 'no-store').json(registeredBody(await named(id)))
    })
    .all(notAllowed('POST'))
}

function bankRoutes(api: Api, router: Router): void {
  const { broker, contract } = api
  const listed = contract.reader<AtBank & Listed>('listApprovals')
  const shown = contract.reader<AtBank & { path: { recipient: string } }>('getApproval')
  const approved = contract.reader<AtBank & { body: { jws: string } }>('approveRecipient')
  const suspended = contract.reader<AtBank & { path: { recipient: string } }>('suspendRecipient')

  /** What a bank says of a recipient, and every entry that says so. */
  const approvalBody = async (bank: string, recipient: string): Promise<object> => {
    const [approval, history] = await Promise.all([
      inBank(broker.db, bank, (tx) => findApproval(tx, bank, recipient)),
      approvalHistory(broker.db, bank, { recipient, limit: history_max }),
    ])
    return {
      bank,
      ...(approval === undefined ? { recipient, state: 'none' } : stateOf(approval)),
      history: history.map(eventOf),
    }
  }

  router
    .route('/registry/banks/:bank/approvals')
    .get(async (req, res) => {
      await readerAt(api, req)
      const { path, query } = listed(req)
      const { limit = page_registered.default, pageKey: after } = query
      const found = await listApprovals(broker.db, path.bank, { after, limit: limit + 1 })
      res.set('Cache-Control', 'no-store').json({
        page: pageOf(found, limit, ({ recipient }) => recipient),
        approvals: found.slice(0, limit).map(stateOf),
      })
    })
    .post(jsonBody, async (req, res) => {
      await writerAt(api, req)
      const { path, body } = approved(req)
      const { recipient } = await approveRecipient(broker, { bank: path.bank, jws: body.jws })
      res.set('Cache-Control', 'no-store').json(await approvalBody(path.bank, recipient))
    })
    .all(notAllowed('GET, HEAD, POST'))

  router
    .route('/registry/banks/:bank/recipients/:recipient')
    .get(async (req, res) => {
      await readerAt(api, req)
      const { bank, recipient } = shown(req).path
      const { client } = (await findRegistered(broker.db, recipient)) ?? {}
      if (client?.kind !== 'recipient') throw noSuchResource()
      res.set('Cache-Control', 'no-store').json(await approvalBody(bank, recipient))
    })
    .all(notAllowed('GET, HEAD'))

  router
    .route('/registry/banks/:bank/recipients/:recipient/suspension')
    .post(async (req, res) => {
      const by = await writerAt(api, req)
      const { bank, recipient } = suspended(req).path
      await suspendRecipient(broker, { bank, recipient, by }).catch(conflict)
      res.set('Cache-Control', 'no-store').json(await approvalBody(bank, recipient))
    })
    .all(notAllowed('POST'))
}

/** Whoever calls; of a bank, only its client that may approve. */
async function registrar(api: Api, req: Request): Promise<AccessToken> {
  const caller = await callerOf(api, req)
  if (caller.bank !== undefined) requireScope(caller, 'registry:approve')
  return caller
}

const maySee = ({ bank }: AccessToken, id: string): boolean => bank === undefined || bank === id

async function readerAt(api: Api, req: Request): Promise<void> {
  await atBank(api, req, 'registry:read')
}

/** Who is recorded as the one who did it. */
async function writerAt(api: Api, req: Request): Promise<'bank' | 'operator'> {
  const { bank } = await atBank(api, req, 'registry:write')
  return bank === undefined ? 'operator' : 'bank'
}

/**
 * A caller that may act at the bank of the path: the operator's by this scope. To a bank's client, every other bank is as good as
 * none, and to whoever has no scope, every one.
 */
async function atBank(api: Api, req: Request, scope: string): Promise<AccessToken> {
  const bank = String(req.params['bank'])
  const caller = await registrar(api, req)
  if (caller.bank === undefined) requireScope(caller, scope)
  if (!maySee(caller, bank))
    throw insufficientScope('the access token is for another bank', 'registry:approve')
  if (!api.broker.bankPort.banks.has(bank)) throw noSuchResource()
  return caller
}

/** To suspend what is not approved, or is suspended, is no refusal of data. */
function conflict(error: unknown): never {
  throw error instanceof Refusal ? new RequestError(409, error.reason, error.message) : error
}

function pageOf<T>(found: readonly T[], limit: number, idOf: (one: T) => string): object {
  const last = found[limit - 1]
  return found.length > limit && last !== undefined ? { nextPageKey: idOf(last) } : {}
}

const registeredBody = ({ client, registeredAt, disabledAt }: RegisteredClient): object => ({
  ...metadataOf(client),
  registered_at: registeredAt,
  ...(disabledAt === undefined ? {} : { disabled_at: disabledAt }),
})

/** What a bank needs of a recipient to approve it. */
const withoutPages = (found: RegisteredClient): object => {
  const { pages: _, ...body }: { pages?: unknown } = registeredBody(found)
  return body
}

const stateOf = ({ suspended, suspendedAt, ...approval }: ApprovalRecord): object => ({
  state: suspended ? 'suspended' : 'approved',
  ...approval,
  ...(suspendedAt === undefined ? {} : { suspended_at: suspendedAt }),
})

const eventOf = ({ n, at, kind, body }: ApprovalEntry): object =>
  kind === 'recipient.suspend'
    ? { entry: n, at, event: 'suspended', by: body.by }
    : {
        ...{ entry: n, at, event: 'approved', iat: body.iat, class: body.class },
        ...{ purposes: body.purposes, clusters: body.clusters, keys: body.keys, jws: body.jws },
      }

const bankOf = ({ issuer }: Broker, bank: Bank): object => ({
  bank: bank.id,
  legal_name: bank.legalName,
  lei: bank.lei,
  issuer: bank.issuer,
  fdx_base_url: bank.fdxBaseUrl,
  key: bank.key,
  ledger: `${issuer}/ledger/${bank.id}`,
  origin: ledgerOrigin(issuer, bank.id),
})
