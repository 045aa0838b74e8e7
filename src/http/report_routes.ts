import type { RequestHandler, Router } from 'express'
import { reportRange } from '../broker/report_range.ts'
import type { RangeReport } from '../ledger/range_report.ts'
import { parseNote } from '../merkle/note.ts'
import { parseTlogProof } from '../merkle/tlog_proof.ts'
import { reportPage } from '../web/report.tsx'
import { auditorOf } from './auditor.ts'
import { pageHeaders, sendPage } from './page.ts'
import { exactRouter, noSuchResource, notAllowed, type Api } from './resource.ts'
import { timesOf } from './summary_routes.ts'
import { turnstile } from './turnstile.ts'

interface Query {
  readonly path: { readonly bank: string }
  readonly query: { readonly from: string; readonly to: string; readonly format?: 'json' | 'html' }
}

/** Reports that a process makes at the same time. */
export const reports_at_once_max = { all: 8, bank: 4 } as const

/** What happened at a bank in a time, for its auditors while a grant stands: a file that can be checked, or a page to print. */
export function reportRoutes(api: Api): Router {
  const { broker, contract } = api
  const report = contract.reader<Query>('getReport')
  const atOnce = turnstile(reports_at_once_max)
  const router = exactRouter()

  router
    .route('/audit/:bank/report')
    .get(...pageHeaders(broker, { referrer: 'same-origin' }).map(wherePage), async (req, res) => {
      const { bank, actor } = await auditorOf(api, req)
      const { from, to, format = 'json' } = report(req).query
      const time = timesOf({ from, to })
      const made = await atOnce(bank, () => reportRange(broker, bank, { time, auditor: actor }))
      if (made === undefined) throw noSuchResource()
      if (format === 'json') {
        const name = `report-${bank}-${time.from.slice(0, 10)}-${time.to.slice(0, 10)}.json`
        const headers = { 'Content-Disposition': `attachment; filename="${name}"` }
        res.set({ ...headers, 'Cache-Control': 'no-store' }).json(made)
        return
      }
      const legalName = broker.bankPort.banks.get(bank)?.legalName ?? bank
      const saved = `report?${new URLSearchParams({ ...time }).toString()}`
      sendPage(res, reportPage({ report: made, legalName, signers: signersOf(made), saved }))
    })
    .all(notAllowed('GET, HEAD'))

  return router
}

/** Only what is shown as a page is sent as one. */
const wherePage =
  (handler: RequestHandler): RequestHandler =>
  (req, res, next) => {
    if (req.query['format'] === 'html') handler(req, res, next)
    else next()
  }

/** The names on the checkpoint beside the ledger's own. Whether they are witnesses, the reader's policy says. */
function signersOf({ summary: { origin, proofs } }: RangeReport): string[] {
  const [proof] = Object.values(proofs)
  if (proof === undefined) return []
  const { signatures } = parseNote(parseTlogProof(proof).checkpoint)
  return [...new Set(signatures.map(({ name }) => name))].filter((name) => name !== origin)
}
