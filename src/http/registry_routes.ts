import type { Request, Router } from 'express'
import type { AccessToken } from '../authorization/access_token.ts'
import {
  clientOfMetadata,
  metadataOf,
  type ClientMetadata,
} from '../authorization/client_metadata.ts'
import { disableForGood, registerClient } from '../authorization/register_client.ts'
import { requireScope } from '../authorization/resource_error.ts'
import { findRegistered, listRegistered, type RegisteredClient } from '../storage/registry.ts'
import { jsonBody } from './contract.ts'
import { interaction } from './interaction.ts'
import { callerOf, exactRouter, noSuchResource, notAllowed, type Api } from './resource.ts'

/** Clients or approvals on one page of a list. */
export const page_registered = { default: 25, max: 100 } as const

/** Which page of a list is asked for. */
export interface Listed {
  readonly query: { readonly limit?: number; readonly pageKey?: string }
}

interface OfClient {
  readonly path: { readonly id: string }
}

/** Which clients there are in a list: recipients, or all others. */
const lists = [
  { path: '/registry/recipients', name: 'recipients', one: 'Recipient', recipients: true },
  { path: '/registry/clients', name: 'clients', one: 'Client', recipients: false },
] as const

/** The register of clients: for the operator all of it; for a bank, by its own client, the recipients. */
export function registryRoutes(api: Api): Router {
  const router = exactRouter()
  router.use('/registry', interaction)
  for (const list of lists) clientRoutes(api, router, list)
  return router
}

function clientRoutes(api: Api, router: Router, list: (typeof lists)[number]): void {
  const { broker, contract } = api
  const listed = contract.reader<Listed>(`list${list.one}s`)
  const shown = contract.reader<OfClient>(`get${list.one}`)
  const added = contract.reader<{ body: ClientMetadata }>(`register${list.one}`)
  const ended = contract.reader<OfClient>(`disable${list.one}`)

  /** The client of an id, if it is one of this list. */
  const named = async (id: string): Promise<RegisteredClient> => {
    const found = await findRegistered(broker.db, id)
    if (found === undefined || (found.client.kind === 'recipient') !== list.recipients)
      throw noSuchResource()
    return found
  }
  /** Banks see recipients, which they approve, without their pages, and none of the other clients. */
  const reader = async (req: Request): Promise<(found: RegisteredClient) => object> => {
    const caller = await registrar(api, req)
    if (caller.bank === undefined || !list.recipients) requireScope(caller, 'registry:read')
    return caller.bank === undefined ? registeredBody : withoutPages
  }

  router
    .route(list.path)
    .get(async (req, res) => {
      const shownAs = await reader(req)
      const { limit = page_registered.default, pageKey: after } = listed(req).query
      const { recipients } = list
      const found = await listRegistered(broker.db, { recipients, after, limit: limit + 1 })
      res.set('Cache-Control', 'no-store').json({
        page: pageOf(found, limit, ({ client }) => client.id),
        [list.name]: found.slice(0, limit).map(shownAs),
      })
    })
    .post(jsonBody, async (req, res) => {
      requireScope(await registrar(api, req), 'registry:write')
      const client = clientOfMetadata(added(req).body)
      await registerClient(broker, client)
      res
        .status(201)
        .set({
          'Cache-Control': 'no-store',
          Location: `${broker.issuer}${list.path}/${encodeURIComponent(client.id)}`,
        })
        .json(registeredBody(await named(client.id)))
    })
    .all(notAllowed('GET, HEAD, POST'))

  router
    .route(`${list.path}/:id`)
    .get(async (req, res) => {
      const shownAs = await reader(req)
      res.set('Cache-Control', 'no-store').json(shownAs(await named(shown(req).path.id)))
    })
    .all(notAllowed('GET, HEAD'))

  router
    .route(`${list.path}/:id/disablement`)
    .post(async (req, res) => {
      requireScope(await registrar(api, req), 'registry:write')
      const { id } = ended(req).path
      await named(id)
      await disableForGood(broker, id)
      res.set('Cache-Control', 'no-store').json(registeredBody(await named(id)))
    })
    .all(notAllowed('POST'))
}

/** Whoever calls; of a bank, only its client that may approve. */
export async function registrar(api: Api, req: Request): Promise<AccessToken> {
  const caller = await callerOf(api, req)
  if (caller.bank !== undefined) requireScope(caller, 'registry:approve')
  return caller
}

/** How to ask for the next page, when there is more than `limit`. */
export function pageOf<T>(found: readonly T[], limit: number, idOf: (one: T) => string): object {
  const last = found[limit - 1]
  return found.length > limit && last !== undefined ? { nextPageKey: idOf(last) } : {}
}

const registeredBody = ({ client, registeredAt, disabledAt }: RegisteredClient): object => ({
  ...metadataOf(client),
  registered_at: registeredAt,
  ...(disabledAt === undefined ? {} : { disabled_at: disabledAt }),
})

/** What a bank needs of a recipient to approve it. */
const withoutPages = (found: RegisteredClient): object => {
  const { pages: _, ...body }: { pages?: unknown } = registeredBody(found)
  return body
}
