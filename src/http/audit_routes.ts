import type { Router } from 'express'
import { enterAccess } from '../broker/enter_access.ts'
import { entriesPage } from '../broker/entries_page.ts'
import { seeEntry } from '../ledger/facts.ts'
import { leafHash } from '../merkle/tree.ts'
import { indexProgress } from '../storage/audit_index.ts'
import type { Order } from '../storage/audit_search.ts'
import type { AuditFilter } from '../ledger/audit_filter.ts'
import { nodeHasher } from '../storage/node_crypto.ts'
import { cursor_ms_max, openCursor, sealCursor, type Place } from './audit_cursor.ts'
import { readFilter } from './audit_filter.ts'
import { auditorOf, type Auditor } from './auditor.ts'
import { exactRouter, notAllowed, type Api } from './resource.ts'

/** Entries on one page. */
export const page_entries = { default: 50, max: 200 } as const

interface Query {
  readonly query: AuditFilter & {
    readonly order?: Order
    readonly limit?: number
    readonly cursor?: string
  }
}

/** For a bank's auditors, while a grant stands: its ledger by what entries say, each answer entered in it before it is given. */
export function auditRoutes(api: Api): Router {
  const { broker, contract } = api
  const query = contract.reader<Query>('queryEntries')
  const grant = contract.reader<object>('getAuditGrant')
  const router = exactRouter()

  router
    .route('/audit/:bank/grant')
    .get(async (req, res) => {
      const auditor = await auditorOf(api, req)
      grant(req)
      res.set('Cache-Control', 'no-store').json(grantShown(auditor))
    })
    .all(notAllowed('GET, HEAD'))

  router
    .route('/audit/:bank/entries')
    .get(async (req, res) => {
      const auditor = await auditorOf(api, req)
      const { order = 'desc', limit = page_entries.default, cursor, ...rest } = query(req).query
      const filter = readFilter(rest)
      const asked = { ...filter, order }
      const question = { ...auditor, asked }
      const now = broker.now()
      const place =
        cursor === undefined ? undefined : openCursor(broker.vault, question, { cursor, now })
      const page = await pageOf(api, auditor, { filter, order, limit, place })
      const { access, size, last } = page
      const until = place?.until ?? now + cursor_ms_max
      res.set('Cache-Control', 'no-store').json({
        ...{ bank: auditor.bank, size, signed_size: page.signed, access, entries: page.entries },
        page:
          last === undefined
            ? {}
            : {
                next_cursor: sealCursor(broker.vault, question, {
                  ...{ after: last, size, access, until },
                }),
              },
      })
    })
    .all(notAllowed('GET, HEAD'))

  return router
}

const grantShown = ({ bank, actor, grant }: Auditor) => ({
  ...{ bank, auditor: actor, kind: grant.kind },
  ...{ from: grant.from, until: grant.until, granted_by: grant.grantedBy },
})

/** A page of entries, under the `access` entry of the first one. `last` is where the next one goes on, if there is one. */
async function pageOf(
  { broker }: Api,
  { bank, actor }: Auditor,
  asked: { filter: AuditFilter; order: Order; limit: number; place: Place | undefined },
) {
  const { filter, order, limit, place } = asked
  const progress = await indexProgress(broker.db, bank)
  const size = place?.size ?? progress.size
  const { access } = place ?? {
    access: (
      await enterAccess(broker, bank, {
        ...{ actor, what: 'entries', asked: { ...filter, order }, size },
      })
    ).n,
  }
  const { found, last } = await entriesPage(broker, bank, {
    ...{ filter, order, size, limit },
    ...(place === undefined ? {} : { after: place.after }),
  })
  return {
    ...{ access, size, signed: progress.signed, last },
    entries: found.map(({ n, leaf }) => entryShown(n, leaf)),
  }
}

/** An entry for people and programs, with the hash that its proof is about. */
export function entryShown(n: number, leaf: Uint8Array) {
  return {
    ...seeEntry(leaf),
    n,
    leaf_hash: Buffer.from(leafHash(nodeHasher, leaf)).toString('base64'),
  }
}
