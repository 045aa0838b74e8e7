import { randomUUID } from 'node:crypto'
import express from 'express'
import type { NextFunction, Request, Response, Router } from 'express'
import { isCredit, maskedNumber } from './account.ts'
import type { Account, Transaction } from './account.ts'
import { FdxError } from './data_access.ts'
import type { Access } from './data_access.ts'

/** One answer that carried data, as the bank counts it. */
export interface Served {
  /** The `x-fapi-interaction-id` of request and answer. */
  readonly interactionId: string
  /** RFC 3339, UTC. */
  readonly at: string
  /** The bank's consent that it was served under. */
  readonly consentId: string
}

/**
 * The bank's data API in FDX v6 members: accounts and transactions of the bank's consent, and nothing besides. Balances come
 * only with BALANCES, transactions only with TRANSACTIONS and no older than the consent's lookback.
 */
export function fdxApi({
  open,
  served,
}: {
  open: (req: Request) => Promise<Access>
  served: (record: Served) => void
}): Router {
  const serve =
    (answer: (access: Access, req: Request) => object) => async (req: Request, res: Response) => {
      const access = await open(req)
      const body = answer(access, req)
      const interactionId = String(res.get('x-fapi-interaction-id'))
      served({ interactionId, at: new Date().toISOString(), consentId: access.consent.id })
      res.json(body)
    }
  return express
    .Router()
    .use((req, res, next) => {
      const asked = req.get('x-fapi-interaction-id')
      res.set('x-fapi-interaction-id', asked ?? randomUUID())
      res.set('cache-control', 'no-store')
      next()
    })
    .get('/accounts', serve(accountList))
    .get('/accounts/:accountId', serve(oneAccount))
    .get('/accounts/:accountId/transactions', serve(transactionPage))
    .use(() => {
      throw new FdxError(404, 404, 'there is no such resource')
    })
    .use((error: unknown, _req: Request, res: Response, next: NextFunction) => {
      if (!(error instanceof FdxError)) return next(error)
      if (error.status === 401) res.set('www-authenticate', 'DPoP error="invalid_token"')
      res.status(error.status).json({ code: error.code, message: error.message })
    })
}

function accountList({ customer, consent }: Access): object {
  const accounts = customer.accounts.flatMap((account) => {
    const clusters = clustersFor(account.accountId, consent)
    return clusters === undefined ? [] : [accountShape(account, clusters)]
  })
  return { page: { totalElements: accounts.length }, accounts }
}

function oneAccount(access: Access, req: Request): object {
  const { account, clusters } = accountIn(access, req)
  return accountShape(account, clusters)
}

function accountIn({ customer, consent }: Access, req: Request) {
  const account = customer.accounts.find(({ accountId }) => accountId === req.params['accountId'])
  const clusters = account && clustersFor(account.accountId, consent)
  // An account that was not picked is as unknown as one that does not exist.
  if (account === undefined || clusters === undefined)
    throw new FdxError(404, 701, 'there is no such account')
  return { account, clusters }
}

const clustersFor = (accountId: string, { resources }: Access['consent']) =>
  resources.find(({ resourceId }) => resourceId === accountId)?.dataClusters

function accountShape(account: Account, clusters: readonly string[]): object {
  const credit = isCredit(account.accountType)
  return {
    accountCategory: credit ? 'LOC_ACCOUNT' : 'DEPOSIT_ACCOUNT',
    accountId: account.accountId,
    accountType: account.accountType,
    productName: account.productName,
    status: 'OPEN',
    currency: { currencyCode: account.currencyCode },
    accountNumber: account.accountNumber,
    accountNumberDisplay: maskedNumber(account),
    ...(clusters.includes('BALANCES') && {
      balanceAsOf: account.balanceAsOf,
      currentBalance: account.currentBalance,
      [credit ? 'availableCredit' : 'availableBalance']: account.available,
    }),
  }
}

const page_default = 100
const page_max = 500

function transactionPage(access: Access, req: Request): object {
  const { account, clusters } = accountIn(access, req)
  if (!clusters.includes('TRANSACTIONS'))
    throw new FdxError(403, 403, 'the consent does not cover transactions')
  const { createdTime, lookbackPeriod } = access.consent
  const earliest = Date.parse(createdTime) - lookbackPeriod * 86_400_000
  const from = Math.max(earliest, timeIn(req, 'startTime') ?? earliest)
  const to = timeIn(req, 'endTime') ?? Infinity
  const within = account.transactions.filter(({ transactionTimestamp }) => {
    const at = Date.parse(transactionTimestamp)
    return from <= at && at < to
  })
  const start = wholeNumberIn(req, 'pageKey') ?? 0
  const limit = Math.max(1, Math.min(page_max, wholeNumberIn(req, 'limit') ?? page_default))
  const next = start + limit
  return {
    page: {
      totalElements: within.length,
      ...(next < within.length && { nextPageKey: String(next) }),
    },
    transactions: within.slice(start, next).map((one) => transactionShape(account, one)),
  }
}

const transactionShape = (account: Account, transaction: Transaction) => ({
  accountCategory: isCredit(account.accountType) ? 'LOC_ACCOUNT' : 'DEPOSIT_ACCOUNT',
  accountId: account.accountId,
  status: 'POSTED',
  ...transaction,
  postedTimestamp: transaction.transactionTimestamp,
})

function timeIn(req: Request, name: string): number | undefined {
  const text = req.query[name]
  if (text === undefined) return undefined
  const time = typeof text === 'string' ? Date.parse(text) : NaN
  if (Number.isNaN(time)) throw new FdxError(400, 703, `${name} is not a time`)
  return time
}

function wholeNumberIn(req: Request, name: string): number | undefined {
  const text = req.query[name]
  if (text === undefined) return undefined
  if (typeof text !== 'string' || !/^\d{1,9}$/.test(text))
    throw new FdxError(400, 401, `${name} is not a number`)
  return Number(text)
}
