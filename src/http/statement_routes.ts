import express, { type Request, type RequestHandler, type Router } from 'express'
import { insufficientScope, requireScope } from '../authorization/resource_error.ts'
import { enterStatement } from '../broker/enter_statement.ts'
import type { Broker } from '../broker/broker.ts'
import { interactionOfFetch } from '../storage/ids.ts'
import {
  mismatchesOf,
  reconciliationsOf,
  statementsBefore,
  type Mismatch,
  type ReconcileEntry,
  type StatementEntry,
} from '../storage/statements.ts'
import { requireReader } from './reader.ts'
import { callerOf, exactRouter, notAllowed, type Api } from './resource.ts'

/** A statement's body is at most this long: 50,000 ids and a signature. */
const statement_bytes_max = 2 * 1024 * 1024

const page_statements = { default: 50, max: 500 } as const

interface Posted {
  readonly path: { readonly bank: string }
  readonly body: { readonly statement: string; readonly interactions: readonly string[] }
}

interface Listed {
  readonly path: { readonly bank: string }
  readonly query: { readonly limit?: number; readonly pageKey?: number }
}

/** What a bank states that it served to the broker, and what became of it: for the bank, and to read for its auditors. */
export function statementRoutes(api: Api): Router {
  const { broker, contract } = api
  const posted = contract.reader<Posted>('postStatement')
  const listed = contract.reader<Listed>('listStatements')
  const router = exactRouter()
  router
    .route('/ledger/:bank/statements')
    .get(async (req, res) => {
      await requireReader(api, req)
      const { path, query } = listed(req)
      const { limit = page_statements.default, pageKey: before } = query
      const found = await statementsBefore(broker.db, path.bank, { before, limit: limit + 1 })
      const shown = found.slice(0, limit)
      const last = shown.at(-1)
      res.set('Cache-Control', 'no-store').json({
        page: found.length > limit && last !== undefined ? { nextPageKey: last.n } : {},
        statements: await bodiesOf(broker, path.bank, shown),
      })
    })
    // Whoever may not post is refused before a body is read.
    .post(forBank(api, 'statements:write'), longBody, async (req, res) => {
      const { path, body } = posted(req)
      const { statement: jws, interactions } = body
      const entered = await enterStatement(broker, { bank: path.bank, jws, interactions })
      const [shown] = await bodiesOf(broker, path.bank, [entered])
      res.set('Cache-Control', 'no-store').json(shown)
    })
    .all(notAllowed('GET, HEAD, POST'))
  return router
}

const longBody: RequestHandler = express.json({
  limit: statement_bytes_max,
  inflate: false,
  strict: false,
  type: 'application/json',
})

/** A caller with this scope, at the bank of the path. */
const forBank =
  (api: Api, scope: string): RequestHandler =>
  async (req: Request, _res, next) => {
    const caller = await callerOf(api, req)
    requireScope(caller, scope)
    if (caller.bank !== req.params['bank'])
      throw insufficientScope('the access token is for another bank', scope)
    next()
  }

async function bodiesOf(
  { db }: Broker,
  bank: string,
  statements: readonly StatementEntry[],
): Promise<object[]> {
  if (statements.length === 0) return []
  const indexes = statements.map(({ n }) => n)
  const reconciled = await reconciliationsOf(db, bank, indexes)
  const mismatches = await mismatchesOf(db, bank, indexes)
  return statements.map((statement) =>
    bodyOf(statement, {
      reconciled: reconciled.get(statement.n),
      mismatches: mismatches.filter((one) => one.statement === statement.n),
    }),
  )
}

function bodyOf(
  { n, at, body }: StatementEntry,
  {
    reconciled,
    mismatches,
  }: { reconciled: ReconcileEntry | undefined; mismatches: readonly Mismatch[] },
): object {
  const { from, to, count, root, iat } = body
  return {
    ...{ entry: n, at, from, to, count, root, iat },
    ...(reconciled && { reconciliation: reconciliationOf(reconciled, mismatches) }),
  }
}

function reconciliationOf(
  { n, at, body }: ReconcileEntry,
  mismatches: readonly Mismatch[],
): object {
  const { statement: _, ...counts } = body
  return { entry: n, at, ...counts, mismatches: mismatches.map(mismatchOf) }
}

const mismatchOf = ({ fetch, release }: Mismatch): object => ({
  interaction: interactionOfFetch(fetch),
  ...(release === undefined ? { what: 'unknown' } : { what: 'missing', release }),
})
