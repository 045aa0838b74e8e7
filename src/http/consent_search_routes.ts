import type { Request, Router } from 'express'
import { insufficientScope, requireScope } from '../authorization/resource_error.ts'
import { consentTimeline, type Step } from '../broker/consent_timeline.ts'
import { Refusal } from '../consent/refusal.ts'
import { bankIdOf } from '../storage/ids.ts'
import { searchConsents, type ConsentFilter } from '../storage/consent_search.ts'
import { requireGrantOfAuditor } from './auditor.ts'
import { consentSummary, partyTypes } from './fdx_consent.ts'
import { interaction } from './interaction.ts'
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
      const bank = await bankOfStaff(api, req)
      const { limit = page_consents.default, pageKey, ...asked } = search(req).query
      const filter = lowered(asked)
      const about = { bank, filter }
      const after =
        pageKey === undefined ? undefined : openSearchKey(broker.vault, { ...about, pageKey })
      const found = await searchConsents(broker.db, bank, { filter, after, limit: limit + 1 })
      const shown = found.slice(0, limit)
      const last = found.length > limit ? shown.at(-1)?.place : undefined
      const seen = {
        bank: broker.bankPort.banks.get(bank),
        at: new Date(broker.now()).toISOString(),
      }
      res.set('Cache-Control', 'no-store').json({
        page: last ? { nextPageKey: sealSearchKey(broker.vault, { ...about, place: last }) } : {},
        consents: shown.map((one) => consentSummary(one.shown, seen)),
      })
    })
    .all(notAllowed('GET, HEAD'))

  router
    .route('/consents/:consentId/timeline')
    .get(async (req, res) => {
      const bank = await bankOfStaff(api, req)
      const { consentId } = told(req).path
      if (bankIdOf(consentId) !== bank) throw new Refusal('consent_unknown')
      const { consent, steps } = await consentTimeline(broker, bank, consentId)
      res
        .set('Cache-Control', 'no-store')
        .json({ id: consent.id, state: consent.state, steps: steps.map(stepOf) })
    })
    .all(notAllowed('GET, HEAD'))

  return router
}

/** The bank that the caller acts for and may see, and no other. Throws `OAuthError`, and what `requireGrantOfAuditor` throws. */
async function bankOfStaff(api: Api, req: Request): Promise<string> {
  const caller = await callerOf(api, req)
  if (!caller.scopes.includes('audit:read')) requireScope(caller, 'consents:read')
  if (caller.bank === undefined || caller.consentId !== undefined)
    throw insufficientScope('the access token is of no bank')
  await requireGrantOfAuditor(api, caller)
  return caller.bank
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
