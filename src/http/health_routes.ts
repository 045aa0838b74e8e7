import type { Request, Router } from 'express'
import { checkHealth, checkLost, checkWitnesses } from '../broker/check_health.ts'
import type { Broker } from '../broker/broker.ts'
import type { Metrics } from '../observe/metrics.ts'
import { databaseUnavailable } from '../storage/unavailable.ts'
import { exactRouter, noSuchResource, notAllowed } from './resource.ts'

/** For whoever runs the broker: whether data can be released, and counts. */
export function healthRoutes(broker: Broker, metrics: Metrics): Router {
  const router = exactRouter()
  // Nobody is limited here, so that however many ask at once are one question to the database.
  let asked: ReturnType<typeof healthOf> | undefined
  const health = () => (asked ??= healthOf(broker).finally(() => (asked = undefined)))
  router
    .route('/health')
    .get(async (_req, res) => {
      const found = await health()
      res
        .status(found.status === 'ok' ? 200 : 503)
        .set('Cache-Control', 'no-store')
        .json(found)
    })
    .all(notAllowed('GET, HEAD'))
  router
    .route('/metrics')
    .get((req, res) => {
      if (!isFromThisMachine(req)) throw noSuchResource()
      res
        .set('Cache-Control', 'no-store')
        .type('text/plain; version=0.0.4; charset=utf-8')
        .send(metrics.render())
    })
    .all(notAllowed('GET, HEAD'))
  return router
}

async function healthOf(broker: Broker) {
  const lost = await checkLost(broker)
  try {
    const ledgers = await checkHealth(broker)
    const status = ledgers.length + lost.length === 0 ? 'ok' : 'unavailable'
    const unwitnessed = await checkWitnesses(broker)
    return { status, database: 'ok', ledgers, lost, unwitnessed } as const
  } catch (error) {
    if (!databaseUnavailable(error)) throw error
    const unknown = { ledgers: [], lost, unwitnessed: [] }
    return { status: 'unavailable', database: 'unavailable', ...unknown } as const
  }
}

/** Whether a request comes from this machine and was not passed on by a proxy that runs on it. */
function isFromThisMachine({ socket, headers }: Request): boolean {
  const forwarded = ['forwarded', 'via', 'x-forwarded-for', 'x-real-ip']
  return (
    ['127.0.0.1', '::1', '::ffff:127.0.0.1'].includes(socket.remoteAddress ?? '') &&
    !forwarded.some((name) => name in headers)
  )
}
