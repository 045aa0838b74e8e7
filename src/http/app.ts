import express, { type Express, type RequestHandler } from 'express'
import helmet from 'helmet'
import type { Authorization } from '../authorization/authorization.ts'
import type { Broker } from '../broker/broker.ts'
import type { Log } from '../observe/log.ts'
import { memoryCounters } from '../storage/rate_counters.ts'
import type { Caller } from './authenticate.ts'
import { auditExportRoutes } from './audit_export_routes.ts'
import { auditRoutes } from './audit_routes.ts'
import { auditViewRoutes } from './audit_view_routes.ts'
import { consentRoutes } from './consent_routes.ts'
import { consentSearchRoutes } from './consent_search_routes.ts'
import { openContract } from './contract.ts'
import { deliveriesRoutes } from './deliveries_routes.ts'
import { fdxRoutes } from './fdx_routes.ts'
import { healthRoutes } from './health_routes.ts'
import { ledgerRoutes } from './ledger_routes.ts'
import { summaryRoutes } from './summary_routes.ts'
import { answersAsItsSurface, openLimits, type RateLimiting } from './limits.ts'
import { oauthRoutes } from './oauth_routes.ts'
import { pageRoutes } from './page_routes.ts'
import { problems } from './problem.ts'
import { rateLimits } from './rate_limits.ts'
import { registryBankRoutes } from './registry_bank_routes.ts'
import { registryRoutes } from './registry_routes.ts'
import { reportRoutes } from './report_routes.ts'
import { noSuchResource } from './resource.ts'
import { statementRoutes } from './statement_routes.ts'

/** The whole public surface; without `pages`, what is for programs. openapi.yaml describes each route, and a test holds the two together. */
export function createApp(
  broker: Broker,
  authorization: Authorization,
  log: Log,
  {
    limiting = { counter: memoryCounters(), budgets: rateLimits },
    pages = true,
  }: { limiting?: RateLimiting | undefined; pages?: boolean } = {},
): Express {
  const limits = openLimits(limiting, log.metrics)
  const api = { broker, authorization, contract: openContract(), limits }
  const app = express()
  app.set('query parser', 'simple')
  app.set('trust proxy', authorization.mtls.proxies?.have ?? false)
  app.disable('x-powered-by')
  app.disable('etag')
  app.use(logged(log), headers(broker))
  app.use(limits.byAddress, answersAsItsSurface(broker))

  app.use(fdxRoutes(api)) // /fdx/v6/accounts …: data, for recipients
  app.use(deliveriesRoutes(api)) // /deliveries: pointers, for recipients
  app.use(consentRoutes(api)) // /fdx/v6/consents/…: for recipients and banks
  app.use(consentSearchRoutes(api)) // /consents, …/timeline: for a bank's support staff and its auditors
  app.use(oauthRoutes(api)) // /oauth/{jwks,par,token,introspect,revoke,grants}, /.well-known/…: for clients
  app.use(ledgerRoutes(api)) // /ledger/{bank}/…: for everyone; the entries, for the bank's auditors
  app.use(summaryRoutes(api)) // /ledger/{bank}/summary, sum: totals with their proofs
  app.use(auditRoutes(api), auditViewRoutes(api), auditExportRoutes(api)) // /audit/{bank}/…: for a bank's auditors, while a grant stands
  app.use(reportRoutes(api)) // /audit/{bank}/report: the same, of a time, to be checked or printed
  app.use(statementRoutes(api)) // /ledger/{bank}/statements: for banks, and their auditors to read
  app.use(registryBankRoutes(api)) // /registry/banks/…: for operators, and for banks what is theirs
  app.use(registryRoutes(api)) // /registry/{recipients,clients}/…: for operators, and the recipients for banks
  app.use(healthRoutes(broker, log.metrics)) // /health, /metrics: for operators
  if (pages) app.use(pageRoutes(broker, authorization)) // /oauth/authorize, /connections, /d/…, /banks/…, /web/…: for customers

  app.use(() => {
    throw noSuchResource()
  })
  app.use(problems(broker.issuer))
  return app
}

/** What a browser heeds in answers that are no pages. Pages set their own; the rest of helmet's is left out on the hot path. */
const headers = ({ issuer }: Broker): RequestHandler =>
  helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: { 'default-src': ["'none'"], 'frame-ancestors': ["'none'"] },
    },
    strictTransportSecurity: issuer.startsWith('https:'),
    crossOriginOpenerPolicy: false,
    originAgentCluster: false,
    xDnsPrefetchControl: false,
    xDownloadOptions: false,
    xFrameOptions: false,
    xPermittedCrossDomainPolicies: false,
    xXssProtection: false,
  })

/** One event a request, when its answer was handed over or its connection ended. */
function logged(log: Log): RequestHandler {
  return (req, res, next) => {
    const began = performance.now()
    let handedOver = false
    // An answer that was cut off finishes too, but only after it was destroyed.
    res.once('finish', () => (handedOver = !res.destroyed))
    res.once('close', () => {
      const caller: Caller | undefined = res.locals['caller']
      log.request({
        method: req.method,
        route: routeOf(req.route),
        status: res.statusCode,
        duration_ms: Math.round((performance.now() - began) * 10) / 10,
        ...(handedOver ? {} : { cut: true }),
        ...(caller === undefined ? {} : { client_id: caller.clientId }),
        ...(caller?.bank === undefined ? {} : { bank: caller.bank }),
        ...(caller?.consentId === undefined ? {} : { consent_id: caller.consentId }),
        ...(res.locals['error'] === undefined ? {} : { error: res.locals['error'] }),
      })
    })
    next()
  }
}

/** The pattern that matched: what was sent may hold an id, and is never logged. */
const routeOf = (route: unknown): string =>
  typeof route === 'object' && route !== null && 'path' in route ? String(route.path) : 'none'
