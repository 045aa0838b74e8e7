import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer as createHttpServer, type Server } from 'node:http'
import express, { type Express, type Response } from 'express'
import helmet from 'helmet'
import { admit } from '../src/authorization/admit.ts'
import { openAuthorization } from '../src/authorization/authorization.ts'
import { startHousekeeping } from '../src/broker/housekeeping.ts'
import { loadConfig } from '../src/config.ts'
import { interaction } from '../src/http/interaction.ts'
import { endpointOf, formBody } from '../src/http/oauth_routes.ts'
import { problems } from '../src/http/problem.ts'
import { callerOf, exactRouter, type Api } from '../src/http/resource.ts'
import { openContract } from '../src/http/contract.ts'
import { openLimits } from '../src/http/limits.ts'
import { createServer } from '../src/http/server.ts'
import { compose } from '../src/compose.ts'
import type { Log } from '../src/observe/log.ts'
import { limitingOf } from '../src/main.ts'
import { openDatabase } from '../src/storage/database.ts'
import { openNaiveDoor } from './naive_door.ts'
import { admitted_path, rungs, type Rung } from './orders.ts'
import { tokenKeysNow } from '../sandbox/token_keys.ts'

/** The server of all rungs, a process: the product's own for D, and beside it, on ports of their own, A to C and N. */
process.once('disconnect', () => process.exit(1))
process.noDeprecation = true // N's statements wait for each other in a queue of pg's that its next version drops
const config = { ...loadConfig(), sandbox: true }
const { broker, log } = await compose(config)
const limiting = limitingOf(config, openDatabase(config.databaseUrl, { connections_max: 4 }))
const authorization = openAuthorization(broker, {
  keys: await tokenKeysNow(broker),
  nonceKey: randomBytes(32),
})
startHousekeeping(broker, {
  epochSeconds: config.epochSeconds,
  failed: (duty, bank, error) => log.failed(duty, bank, error),
})
const naive = { ...broker, door: openNaiveDoor(config.databaseUrl, broker.signer) }
const lower = await listen(
  createHttpServer(
    lowerRungs(
      {
        ...{ broker, authorization, contract: openContract() },
        limits: openLimits(limiting, log.metrics),
      },
      log,
    ),
  ),
)
const ports: Record<Rung, number> = {
  A: lower,
  B: lower,
  C: lower,
  D: await listen(createServer(broker, authorization, log, { limiting })),
  N: await listen(createServer(naive, authorization, log, { limiting })),
}
process.on('message', () => void settle().then((told) => process.send?.(told)))
process.send?.(ports)

async function listen(server: Server): Promise<number> {
  server.keepAliveTimeout = 65_000
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('not listening on a port')
  return address.port
}

/** Signs what was appended, so that no rung works off what another has left. Tells the memory that is used. */
async function settle(): Promise<{ rss_bytes: number }> {
  for (const bank of broker.bankPort.banks.keys()) await broker.signer.sign(bank)
  return { rss_bytes: process.memoryUsage.rss() }
}

/** A to C in an app with the settings, the log and the headers of the product's own. */
function lowerRungs(api: Api, log: Log): Express {
  const { bankPort } = api.broker
  const app = express()
  app.set('query parser', 'simple')
  app.set('trust proxy', false)
  app.disable('x-powered-by')
  app.use((req, res, next) => {
    const began = performance.now()
    res.once('close', () =>
      log.request({
        method: req.method,
        route: String(req.route),
        status: res.statusCode,
        duration_ms: Math.round((performance.now() - began) * 10) / 10,
      }),
    )
    next()
  })
  app.use(
    helmet({
      contentSecurityPolicy: {
        useDefaults: false,
        directives: { 'default-src': ["'none'"], 'frame-ancestors': ["'none'"] },
      },
      strictTransportSecurity: false,
    }),
  )
  const router = exactRouter()
  router
    .route(rungs.A)
    .all(interaction)
    .get((_req, res) => send(res, {}))
  router
    .route(rungs.B)
    .all(interaction)
    .get(async (req, res) => {
      await callerOf(api, req)
      send(res, {})
    })
  router
    .route(rungs.C)
    .all(interaction)
    .get(async (req, res) => {
      const caller = await callerOf(api, req)
      const bank = bankPort.banks.get(caller.bank ?? '')
      if (bank === undefined) throw new Error('the token is of no bank')
      const access = {
        accessToken: caller.jti,
        interaction: String(res.getHeader('x-fapi-interaction-id')),
      }
      send(res, { accounts: await bankPort.accounts(bank, access) })
    })
  router
    .route(admitted_path)
    .all(interaction)
    .post(
      formBody,
      endpointOf(api)(async (broker, authorization, request) => {
        const { headers } = await admit(broker, authorization, request)
        return { status: 200, headers, body: {} }
      }),
    )
  return app.use(router, problems(api.broker.issuer))
}

/** As `sendReleased` does, without an entry and a deadline. */
function send(res: Response, body: object): void {
  const text = JSON.stringify(body)
  res.writeHead(200, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
  })
  res.end(text)
}
