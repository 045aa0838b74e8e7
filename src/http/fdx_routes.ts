import type { Response, Router } from 'express'
import { BadPageKey } from '../broker/page_key.ts'
import { readAccount, readAccounts, readTransactions } from '../broker/read_accounts.ts'
import type { Released } from '../broker/release.ts'
import { ContractError } from './contract.ts'
import { interaction } from './interaction.ts'
import { askingOf, callerOf, exactRouter, notAllowed, type Api } from './resource.ts'
import { sendReleased } from './send_released.ts'
import { timeRange, type TimeRange } from './time_range.ts'

/**
 * The data path: FDX accounts and transactions, for a recipient that reads them itself. A HEAD would be a release that carries
 * nothing, so there is none.
 */
export function fdxRoutes(api: Api): Router {
  const { broker, contract, limits } = api
  const accounts = contract.reader<object>('listAccounts')
  const account = contract.reader<{ path: { accountId: string } }>('getAccount')
  const transactions = contract.reader<{
    path: { accountId: string }
    query: TimeRange & { pageKey?: string; limit?: number }
  }>('listTransactions')
  const answer = async (res: Response, reading: Promise<Released>) =>
    sendReleased(res, await limits.tellingFrequency(res, reading))
  const router = exactRouter()
  router.use('/fdx/v6/accounts', interaction)

  router
    .route('/fdx/v6/accounts')
    .head(notAllowed('GET'))
    .get(async (req, res) => {
      const asking = askingOf(await callerOf(api, req), res)
      accounts(req)
      await answer(res, readAccounts(broker, { ...asking, delivery: 'in_thread' }))
    })
    .all(notAllowed('GET'))

  router
    .route('/fdx/v6/accounts/:accountId')
    .head(notAllowed('GET'))
    .get(async (req, res) => {
      const asking = askingOf(await callerOf(api, req), res)
      const { path } = account(req)
      const reading = readAccount(broker, { ...asking, delivery: 'in_thread' }, path.accountId)
      await answer(res, reading)
    })
    .all(notAllowed('GET'))

  router
    .route('/fdx/v6/accounts/:accountId/transactions')
    .head(notAllowed('GET'))
    .get(async (req, res) => {
      const asking = askingOf(await callerOf(api, req), res)
      const { path, query } = transactions(req)
      const { pageKey, limit } = query
      const reading = readTransactions(
        broker,
        { ...asking, delivery: 'in_thread' },
        {
          handle: path.accountId,
          ...timeRange(query, broker.now()),
          ...(pageKey === undefined ? {} : { pageKey }),
          ...(limit === undefined ? {} : { limit }),
        },
      ).catch(refusePageKey)
      await answer(res, reading)
    })
    .all(notAllowed('GET'))

  return router
}

function refusePageKey(error: unknown): never {
  if (!(error instanceof BadPageKey)) throw error
  throw new ContractError([{ in: 'query', name: 'pageKey', detail: error.message }])
}
