import type { Response, Router } from 'express'
import { proveEntrySum, proveRangeSum } from '../broker/prove_sums.ts'
import {
  summariseEntries,
  summariseEpochs,
  summariseTime,
  type IndexRange,
  type TimeRange,
} from '../broker/summarise_ledger.ts'
import type { Summary } from '../ledger/summary.ts'
import { ContractError } from './contract.ts'
import { requireReader } from './reader.ts'
import { exactRouter, noSuchResource, notAllowed, type Api } from './resource.ts'
import { utc } from './time_range.ts'

interface AskedRange {
  readonly from_index?: number
  readonly to_index?: number
  readonly from?: string
  readonly to?: string
  readonly basis?: Summary['basis']
}

interface OfBank {
  readonly path: { readonly bank: string }
}

const open = { 'Cache-Control': 'public, max-age=1', 'Access-Control-Allow-Origin': '*' }
const closed = { 'Cache-Control': 'private, no-store' }

/**
 * What a ledger says that it amounts to, with proofs that anyone checks offline (docs/ledger-format.md, "Summaries"): from its epochs
 * for everyone, from its entries for whoever may read them.
 */
export function summaryRoutes(api: Api): Router {
  const { broker, contract } = api
  const summary = contract.reader<OfBank & { query: AskedRange }>('getSummary')
  const sum = contract.reader<OfBank & { query: Required<AskedRange> }>('getRangeSum')
  const entrySum = contract.reader<{ path: { bank: string; index: number } }>('getEntrySum')
  const router = exactRouter()

  router
    .route('/ledger/:bank/summary')
    .get(async (req, res) => {
      const { path, query } = summary(req)
      const asked = askedRange(query)
      if (query.basis === 'entries' || 'index' in asked) {
        await requireReader(api, req)
        const found =
          'index' in asked
            ? summariseEntries(broker, path.bank, asked.index)
            : summariseTime(broker, path.bank, asked.time ?? noTime())
        return send(res, closed, await found)
      }
      send(res, open, await summariseEpochs(broker, path.bank, asked.time))
    })
    .all(notAllowed('GET, HEAD'))

  router
    .route('/ledger/:bank/sum')
    .get(async (req, res) => {
      await requireReader(api, req)
      const { path, query } = sum(req)
      const range = indexRange(query)
      if (range.from === range.to) throw wrong('to_index', 'is not after from_index')
      send(res, closed, await proveRangeSum(broker, path.bank, range))
    })
    .all(notAllowed('GET, HEAD'))

  router
    .route('/ledger/:bank/sum/:index')
    .get(async (req, res) => {
      await requireReader(api, req)
      const { bank, index } = entrySum(req).path
      send(res, closed, await proveEntrySum(broker, bank, index))
    })
    .all(notAllowed('GET, HEAD'))

  return router
}

function send(res: Response, headers: Readonly<Record<string, string>>, found?: object): void {
  if (found === undefined) throw noSuchResource()
  res.set(headers).json(found)
}

/** A range by its indices or by its times, or none. Throws `ContractError`. */
function askedRange(query: AskedRange): { index: IndexRange } | { time?: TimeRange } {
  const byIndex = query.from_index !== undefined || query.to_index !== undefined
  const byTime = query.from !== undefined || query.to !== undefined
  if (byIndex && byTime) throw wrong('from', 'is not sent together with indices')
  if (byIndex && query.basis === 'epochs')
    throw wrong('basis', 'is of entries, where indices are sent')
  if (byIndex) return { index: indexRange(query) }
  return byTime ? { time: timesOf(query) } : {}
}

function indexRange({ from_index: from, to_index: to }: AskedRange): IndexRange {
  if (from === undefined) throw wrong('from_index', 'is missing')
  if (to === undefined) throw wrong('to_index', 'is missing')
  if (from > to) throw wrong('to_index', 'is before from_index')
  return { from, to }
}

/** The times [from, to) in UTC. Throws `ContractError` for a range that is none. */
export function timesOf({ from, to }: Pick<AskedRange, 'from' | 'to'>): TimeRange {
  if (from === undefined) throw wrong('from', 'is missing')
  if (to === undefined) throw wrong('to', 'is missing')
  const time = { from: utc(from, 'from', 0), to: utc(to, 'to', 0) }
  if (time.from >= time.to) throw wrong('to', 'is not after from')
  return time
}

function noTime(): never {
  throw wrong('from', 'is missing: a range of entries is by indices or by times')
}

const wrong = (name: string, detail: string) => new ContractError([{ in: 'query', name, detail }])
