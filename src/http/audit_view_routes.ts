import type { Router } from 'express'
import { enterAccess } from '../broker/enter_access.ts'
import { proveWholeEntry } from '../broker/prove_entry.ts'
import { proveHistory } from '../broker/prove_history.ts'
import { classNames } from '../consent/class.ts'
import { encodeBase64 } from '../merkle/encoding.ts'
import { indexProgress } from '../storage/audit_index.ts'
import { readSeries, SeriesTooLong, type Series, type SeriesKey } from '../storage/audit_series.ts'
import { findLedger } from '../storage/ledgers.ts'
import { readFilter } from './audit_filter.ts'
import { entryShown } from './audit_routes.ts'
import { auditorOf } from './auditor.ts'
import { ContractError } from './contract.ts'
import { exactRouter, noSuchResource, notAllowed, type Api } from './resource.ts'

interface SeriesQuery {
  readonly from: string
  readonly to: string
  readonly step?: 'hour' | 'day'
  readonly by?: SeriesKey
}

/** For a bank's auditors: one entry with its proof, that one checkpoint extends another, and counts over time. */
export function auditViewRoutes(api: Api): Router {
  const { broker, contract } = api
  const { db } = broker
  const one = contract.reader<{ path: { index: number } }>('getAuditedEntry')
  const history = contract.reader<{ query: { from: number; to?: number } }>('getConsistency')
  const counted = contract.reader<{ query: SeriesQuery }>('getSeries')
  const router = exactRouter()

  router
    .route('/audit/:bank/entries/:index')
    .get(async (req, res) => {
      const { bank, actor } = await auditorOf(api, req)
      const { index } = one(req).path
      if (index >= ((await findLedger(db, bank))?.size ?? 0)) throw noSuchResource()
      const asked = { index }
      const { n: access } = await enterAccess(broker, bank, {
        ...{ actor, what: 'entry', asked, size: index + 1 },
      })
      const proven = await proveWholeEntry(broker, { bank, index })
      if (proven === undefined) throw noSuchResource()
      const { leaf, proof } = proven
      res.set(unkept).json({
        ...{ bank, access, ...entryShown(index, leaf), bytes: leaf.toString('base64'), proof },
      })
    })
    .all(notAllowed('GET, HEAD'))

  router
    .route('/audit/:bank/consistency')
    .get(async (req, res) => {
      const { bank } = await auditorOf(api, req)
      const { from, to } = history(req).query
      const proven = await proveHistory(broker, bank, { from, to })
      if (proven === undefined) throw noSuchResource()
      res.set(unkept).json({ bank, ...proven, proof: proven.proof.map(encodeBase64) })
    })
    .all(notAllowed('GET, HEAD'))

  router
    .route('/audit/:bank/series')
    .get(async (req, res) => {
      const { bank, actor } = await auditorOf(api, req)
      const { step = 'hour', by = 'class', ...range } = counted(req).query
      const { from, to } = { ...range, ...readFilter(range) }
      const asked = { from, to, step, by }
      const { size, signed } = await indexProgress(db, bank)
      const { n: access } = await enterAccess(broker, bank, { actor, what: 'series', asked, size })
      const series = await readSeries(db, bank, asked).catch(tooLong)
      res.set(unkept).json({
        ...{ bank, access, size, signed_size: signed, ...asked },
        series: by === 'class' ? withZeroLines(series) : series,
      })
    })
    .all(notAllowed('GET, HEAD'))

  return router
}

const unkept = { 'Cache-Control': 'no-store' }

/** A class of which there is nothing is said to have nothing: that is what auditors come for. */
function withZeroLines(series: readonly Series[]): Series[] {
  return (['refusal', 'release'] as const).flatMap((direction) =>
    classNames.map(
      (value) =>
        series.find((one) => one.direction === direction && one.value === value) ?? {
          ...{ direction, value, points: [] },
        },
    ),
  )
}

function tooLong(error: unknown): never {
  if (!(error instanceof SeriesTooLong)) throw error
  const detail = `would have ${error.message}: ask for days, or for less time`
  throw new ContractError([{ in: 'query', name: 'from', detail }])
}
