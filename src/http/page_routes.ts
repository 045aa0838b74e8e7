import type { Router } from 'express'
import helmet from 'helmet'
import type { Authorization } from '../authorization/authorization.ts'
import { policy_path } from '../authorization/resource_metadata.ts'
import type { Broker } from '../broker/broker.ts'
import { logoSvg } from '../web/layout.tsx'
import { policyPage } from '../web/policy.tsx'
import { style } from '../web/style.ts'
import { returnToDisclosure } from './authorize_disclosure.ts'
import { authorizeRoutes } from './authorize_routes.ts'
import { bankCallback } from './bank_login.ts'
import { consoleRoutes } from './console_routes.ts'
import { consentEntriesRoutes } from './consent_entries_routes.ts'
import { connectionsRoutes, returnToConnections } from './connections_routes.ts'
import { pageHeaders, sendPage } from './page.ts'
import { pageErrors } from './page_errors.ts'
import { pointerRoutes, returnToPointer } from './pointer_routes.ts'
import { giveVerifier } from './verifier_files.ts'
import { exactRouter } from './resource.ts'

/** Every page, what pages load, and the one address that banks send browsers back to. */
export function pageRoutes(broker: Broker, authorization: Authorization): Router {
  const deciding = { broker, authorization }
  const router = exactRouter()
  router.use(consoleRoutes(broker))
  router.use(authorizeRoutes(deciding), connectionsRoutes(broker), consentEntriesRoutes(broker))
  router.use(pointerRoutes(broker))
  router.get(
    '/banks/:bank/callback',
    ...pageHeaders(broker, { referrer: 'same-origin' }),
    bankCallback(broker, {
      authorize: returnToDisclosure(deciding),
      connections: returnToConnections,
      pointer: returnToPointer,
    }),
  )
  router.get(policy_path, ...pageHeaders(broker, { referrer: 'same-origin' }), (_req, res) =>
    sendPage(res, policyPage({ banks: [...broker.bankPort.banks.values()] })),
  )
  router.get('/web/verifier/:verifier', helmet(), giveVerifier)
  router.get('/web/:file', helmet(), (req, res, next) => {
    const file = files.get(req.params.file)
    if (file === undefined) return next()
    res.set('cache-control', 'public, max-age=3600').type(file.type).send(file.body)
  })
  router.use(pageErrors)
  return router
}

const files = new Map([
  ['style.css', { type: 'css', body: style }],
  ['logo.svg', { type: 'svg', body: logoSvg() }],
])
