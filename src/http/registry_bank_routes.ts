import type { Request, Router } from 'express'
import type { AccessToken } from '../authorization/access_token.ts'
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
  type ApprovalEntry,
} from '../storage/registry.ts'
import { jsonBody } from './contract.ts'
import { interaction } from './interaction.ts'
import { RequestError } from './problem.ts'
import { page_registered, pageOf, registrar, type Listed } from './registry_routes.ts'
import { exactRouter, noSuchResource, notAllowed, type Api } from './resource.ts'

/** Entries of a recipient's history at a bank that one answer tells, the newest. */
const history_max = 100

interface AtBank {
  readonly path: { readonly bank: string }
}

/**
 * The banks, and what each says of recipients: for the operator all of it; for a bank, by its own client, what is said at that bank
 * and at no other.
 */
export function registryBankRoutes(api: Api): Router {
  const { broker } = api
  const router = exactRouter()
  router.use('/registry/banks', interaction)
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
  approvalRoutes(api, router)
  return router
}

function approvalRoutes(api: Api, router: Router): void {
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
