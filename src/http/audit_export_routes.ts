import type { Request, Response, Router } from 'express'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import {
  beginExport,
  exportBytes,
  exportManifest,
  exportProof,
  findExport,
  type AuditExport,
} from '../broker/export_entries.ts'
import type { AuditFilter } from '../ledger/audit_filter.ts'
import type { ExportFormat } from '../ledger/export_line.ts'
import { readFilter } from './audit_filter.ts'
import { auditorOf, requireGrant, type Auditor } from './auditor.ts'
import { exactRouter, noSuchResource, notAllowed, type Api } from './resource.ts'
import { turnstile } from './turnstile.ts'

/** Exports, their proofs and manifests that a process makes at the same time. */
export const exports_at_once_max = { all: 4, bank: 2 } as const

/** Whoever takes nothing for so long is cut off, ms, and goes on under the export's id. */
const untaken_ms_max = 60_000

const contentTypes: Readonly<Record<ExportFormat, string>> = {
  ndjson: 'application/x-ndjson; charset=utf-8',
  csv: 'text/csv; charset=utf-8; header=present',
}

/** Exports of a bank's ledger, and what proves them. One that was broken off is taken up again under its id. */
export function auditExportRoutes(api: Api): Router {
  const { broker, contract } = api
  const begun = contract.reader<{ query: AuditFilter & { format?: ExportFormat } }>('exportEntries')
  const again = contract.reader<{ path: { id: string }; query: { after?: number } }>('getExport')
  const atOnce = turnstile(exports_at_once_max)
  const router = exactRouter()

  const found = async (auditor: Auditor, id: string): Promise<AuditExport> => {
    const asked = await findExport(broker, auditor.bank, { id, actor: auditor.actor })
    if (asked === undefined) throw noSuchResource()
    return asked
  }
  const send = (auditor: Auditor, res: Response, asked: AuditExport, after?: number) => {
    const { bank } = auditor
    const { format, read } = asked
    const self = `${broker.issuer}/audit/${bank}/exports/${read.id}`
    res.set({
      'Content-Type': contentTypes[format],
      'Content-Disposition': `attachment; filename="${bank}-${read.id}.${format}"`,
      'Countersign-Export': read.id,
      Link: `<${self}/manifest>; rel="describedby", <${self}/proof>; rel="related"`,
    })
    return stream(res, whileGranted(api, auditor, exportBytes(broker, bank, { asked, after })))
  }

  only(router, '/audit/:bank/export', async (req, res) => {
    const auditor = await auditorOf(api, req)
    const { format = 'ndjson', ...rest } = begun(req).query
    const filter = readFilter(rest)
    await atOnce(auditor.bank, async () => {
      const { bank, actor } = auditor
      await send(auditor, res, await beginExport(broker, bank, { actor, filter, format }))
    })
  })
  only(router, '/audit/:bank/exports/:id', async (req, res) => {
    const auditor = await auditorOf(api, req)
    const { path, query } = again(req)
    await atOnce(auditor.bank, async () =>
      send(auditor, res, await found(auditor, path.id), query.after),
    )
  })
  const manifest = contract.reader<{ path: { id: string } }>('getExportManifest')
  only(router, '/audit/:bank/exports/:id/manifest', async (req, res) => {
    const auditor = await auditorOf(api, req)
    const { id } = manifest(req).path
    await atOnce(auditor.bank, async () => {
      const note = await exportManifest(broker, auditor.bank, await found(auditor, id))
      res.set({ ...unkept, 'Content-Type': 'text/plain; charset=utf-8' }).send(note)
    })
  })
  const proof = contract.reader<{ path: { id: string } }>('getExportProof')
  only(router, '/audit/:bank/exports/:id/proof', async (req, res) => {
    const auditor = await auditorOf(api, req)
    const asked = await found(auditor, proof(req).path.id)
    await atOnce(auditor.bank, async () => {
      res.set('Content-Type', 'application/octet-stream')
      await stream(res, whileGranted(api, auditor, exportProof(broker, auditor.bank, asked)))
    })
  })
  return router
}

const unkept = { 'Cache-Control': 'no-store' }

/** A path with GET alone: HEAD would do all the work, and enter it, for nothing. */
function only(
  router: Router,
  path: string,
  answer: (req: Request, res: Response) => Promise<void>,
): void {
  router.route(path).head(notAllowed('GET')).get(answer).all(notAllowed('GET'))
}

/**
 * Sends pieces as fast as they are taken. What fails before the first is an answer like any other; what fails in the middle cuts it
 * off, and whoever goes away ends it.
 */
async function stream(res: Response, pieces: AsyncGenerator<Buffer>): Promise<void> {
  const first = await pieces.next()
  const all = async function* () {
    if (first.done !== true) yield first.value
    yield* pieces
  }
  res.set(unkept).setTimeout(untaken_ms_max, () => res.destroy())
  try {
    await pipeline(Readable.from(all(), { highWaterMark: 1 }), res)
  } catch (error) {
    if (!isGoneAway(error)) throw error
  }
}

const isGoneAway = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE'

/** Asks before each piece whether the auditor's grant still stands. Throws `RequestError` 403. */
async function* whileGranted(
  api: Api,
  auditor: Auditor,
  pieces: AsyncGenerator<Buffer>,
): AsyncGenerator<Buffer> {
  for await (const piece of pieces) {
    await requireGrant(api.broker, auditor)
    yield piece
  }
}
