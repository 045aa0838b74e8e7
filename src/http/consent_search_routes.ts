import type { Request, Router } from 'express'
import { requireScope } from '../authorization/resource_error.ts'
import { consentTimeline, type Step } from '../broker/consent_timeline.ts'
import { enterAccess, type Asked } from '../broker/enter_access.ts'
import { Refusal } from '../consent/refusal.ts'
import { bankIdOf } from '../storage/ids.ts'
import { signedSize } from '../storage/signed.ts'
import { searchConsents, type ConsentFilter } from '../storage/consent_search.ts'
import { cursor_ms_max } from './audit_cursor.ts'
import { consentSummary, partyTypes } from './fdx_consent.ts'
import { interaction } from './interaction.ts'
import { readerOf, type Reader } from './reader.ts'
import { callerOf, exactRouter, notAllowed, type Api } from './resource.ts'
import { openSearchKey, sealSearchKey } from './search_key.ts'

/** Consents on one page of a search. */
export const page_consents = { default: 25, max: 100 } as const

interface Search {
  readonly query: ConsentFilter & { readonly limit?: number; readonly pageKey?: string }
}

/**
 * For a bank's support staff and its auditors: its consents by whatever the caller on the phone has, and what happened to one.
 * Both are the bank's own and nobody else's, whatever is asked.
 */
export function consentSearchRoutes(api: Api): Router {
  const { broker, contract } = api
  const search = contract.reader<Search>('searchConsents')
  const told = contract.reader<{ path: { consentId: string } }>('getTimeline')
  const router = exactRouter()
  router.use('/consents', interaction)

  router
    .route('/consents')
    .get(async (req, res) => {
      const reader = await staffOrAuditor(api, req)
      const { limit = page_consents.default, pageKey, ...asked } = search(req).query
      const filter = lowered(asked)
      const { bank } = reader
      const [about, now] = [{ ...reader, filter }, broker.now()]
      const after =
        pageKey === undefined ? undefined : openSearchKey(broker.vault, { ...about, pageKey, now })
      if (after === undefined)
        await entered(api, reader, { what: 'consents', asked: { ...filter } })
      const found = await searchConsents(broker.db, bank, { filter, after, limit: limit + 1 })
      const shown = found.slice(0, limit)
      const last = found.length > limit ? shown.at(-1)?.place : undefined
      const until = after?.until ?? now + cursor_ms_max
      const place = last && { ...last, ...(reader.auditor !== undefined && { until }) }
      const seen = {
        bank: broker.bankPort.banks.get(bank),
        at: new Date(now).toISOString(),
      }
      res.set('Cache-Control', 'no-store').json({
        page: place ? { nextPageKey: sealSearchKey(broker.vault, { ...about, place }) } : {},
        consents: shown.map((one) => consentSummary(one.shown, seen)),
      })
    })
    .all(notAllowed('GET, HEAD'))

  router
    .route('/consents/:consentId/timeline')
    .get(async (req, res) => {
      const reader = await staffOrAuditor(api, req)
      const { bank } = reader
      const { consentId } = told(req).path
      if (bankIdOf(consentId) !== bank) throw new Refusal('consent_unknown')
      await entered(api, reader, { what: 'timeline', asked: { consentId } })
      const { consent, steps } = await consentTimeline(broker, bank, consentId)
      res
        .set('Cache-Control', 'no-store')
        .json({ id: consent.id, state: consent.state, steps: steps.map(stepOf) })
    })
    .all(notAllowed('GET, HEAD'))

  return router
}

/** A bank's own client, or an auditor of it under a grant. Throws `OAuthError`, and `RequestError` 403 `audit_grant_required`. */
async function staffOrAuditor(api: Api, req: Request): Promise<Reader> {
  const caller = await callerOf(api, req)
  if (!caller.scopes.includes('audit:read')) requireScope(caller, 'consents:read')
  return readerOf(api, caller)
}

/** Enters what an auditor asks for. What a bank asks of itself, no ledger says. */
async function entered(
  { broker }: Api,
  { bank, auditor: actor }: Reader,
  question: Pick<Asked, 'what' | 'asked'>,
): Promise<void> {
  if (actor === undefined) return
  const size = await signedSize(broker.db, bank)
  await enterAccess(broker, bank, { ...question, actor, size })
}

/** UUIDs are kept in lower case. */
const lowered = (filter: ConsentFilter): ConsentFilter =>
  filter.interactionId === undefined
    ? filter
    : { ...filter, interactionId: filter.interactionId.toLowerCase() }

const stepOf = ({ event, at, interaction: id, by, ...rest }: Step): object => ({
  event,
  at,
  ...(id === undefined ? {} : { interactionId: id }),
  ...(by === undefined ? {} : { by: partyTypes[by] }),
  ...rest,
})
