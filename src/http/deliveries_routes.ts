import type { Router } from 'express'
import { createDelivery, pointer_hours } from '../broker/deliver.ts'
import type { Cluster } from '../consent/cluster.ts'
import { jsonBody } from './contract.ts'
import { interaction } from './interaction.ts'
import { askingOf, callerOf, exactRouter, notAllowed, type Api } from './resource.ts'

/** Pointers for threads: the recipient gets a link to a page of ours, and no figures. */
export function deliveriesRoutes(api: Api): Router {
  const { broker, contract } = api
  const wish = contract.reader<{ body: { clusters: readonly Cluster[]; hours?: number } }>(
    'createDelivery',
  )
  const router = exactRouter()
  router
    .route('/deliveries')
    .all(interaction)
    .post(jsonBody, async (req, res) => {
      const asking = askingOf(await callerOf(api, req), res)
      const { clusters, hours = pointer_hours.default } = wish(req).body
      const { pointer, expires } = await createDelivery(broker, asking, { clusters, hours })
      const pointer_url = `${broker.issuer}/d/${pointer}`
      res
        .status(201)
        .set({ 'Cache-Control': 'no-store', Location: pointer_url })
        .json({ pointer_url, expires })
    })
    .all(notAllowed('POST'))
  return router
}
