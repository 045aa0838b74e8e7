import express, { type Request, type RequestHandler, type Router } from 'express'
import type { Authorization } from '../authorization/authorization.ts'
import type { Answer, EndpointRequest } from '../authorization/endpoint.ts'
import { parseForm } from '../authorization/form.ts'
import { queryGrant, revokeGrant } from '../authorization/grants.ts'
import { introspect, signed_type } from '../authorization/introspection.ts'
import { jwks_s_max } from '../authorization/keys.ts'
import { metadata, paths } from '../authorization/metadata.ts'
import { OAuthError } from '../authorization/oauth_error.ts'
import { pushRequest } from '../authorization/par.ts'
import { resourceError } from '../authorization/resource_error.ts'
import { metadataPath, resourceMetadata, resources } from '../authorization/resource_metadata.ts'
import { revoke } from '../authorization/revocation.ts'
import { issueToken } from '../authorization/token.ts'
import type { Broker } from '../broker/broker.ts'
import { urlOf } from './authenticate.ts'
import { clientCertificateOf } from './client_certificate.ts'
import { interaction, interactionOf } from './interaction.ts'
import { oauthErrors } from './oauth_errors.ts'
import { callerOf, exactRouter, notAllowed, type Entrance } from './resource.ts'

const form_type = 'application/x-www-form-urlencoded'
const body_bytes_max = '64kb'

/** Reads the body of an endpoint at which clients authenticate. */
export const formBody = express.text({ type: form_type, limit: body_bytes_max })

/** What such an endpoint answers. */
type AnswerTo = (
  broker: Broker,
  authorization: Authorization,
  request: EndpointRequest,
  req: Request,
) => Promise<Answer>

/** What answers at such an endpoint, over HTTP. */
export const endpointOf =
  ({ broker, authorization, limits }: Entrance) =>
  (answerTo: AnswerTo): RequestHandler => {
    return async (req, res) => {
      const request = {
        form: formOf(req),
        proof: req.get('DPoP'),
        url: urlOf(authorization, req),
        interaction: interactionOf(res),
        admitted: (client: string) => limits.byClient(req, client),
        certificate: clientCertificateOf(authorization, req, broker.now()),
        authorizationHeader: req.get('Authorization'),
      }
      const { status, headers, body } = await answerTo(broker, authorization, request, req)
      res.status(status).set(headers)
      if (typeof body === 'object') res.json(body)
      else res.end(body)
    }
  }

/** The endpoints at which clients authenticate, each by what it answers. */
const endpoints: readonly (readonly [path: string, answerTo: AnswerTo])[] = [
  [paths.par, pushRequest],
  [paths.token, issueToken],
  [
    paths.introspect,
    (broker, authorization, request, req) =>
      introspect(broker, authorization, { ...request, signed: asksSigned(req) }),
  ],
  [paths.revoke, revoke],
]

/** The endpoints of the authorization server that no browser visits. Their errors are OAuth's (RFC 6749 §5.2). */
export function oauthRoutes(entrance: Entrance): Router {
  const { broker, authorization } = entrance
  const router = exactRouter()
  const published = (value: () => object): RequestHandler => {
    return (_req, res) => {
      res.set('Cache-Control', `public, max-age=${jwks_s_max}`).json(value())
    }
  }
  const endpoint = endpointOf(entrance)

  router
    .route(paths.metadata)
    .get(published(() => metadata(authorization)))
    .all(notAllowed('GET, HEAD'))
  for (const resource of Object.values(resources))
    router
      .route(metadataPath(resource))
      .get(published(() => resourceMetadata(authorization, resource)))
      .all(notAllowed('GET, HEAD'))
  router
    .route(paths.jwks)
    .get(published(() => authorization.keys.jwks))
    .all(notAllowed('GET, HEAD'))
  for (const [path, answerTo] of endpoints)
    router
      .route(path)
      .all(noStore, interaction)
      .post(formBody, endpoint(answerTo))
      .all(notAllowed('POST'))
  router
    .route(`${paths.grants}/:id`)
    .all(noStore, interaction)
    .get(async (req, res) => {
      const caller = await callerOf(entrance, req)
      const asked = { caller, id: req.params.id }
      res.json(await queryGrant(broker, authorization, asked).catch(challenge))
    })
    .delete(async (req, res) => {
      const caller = await callerOf(entrance, req)
      await revokeGrant(broker, { caller, id: req.params.id })
      res.status(204).end()
    })
    .all(notAllowed('GET, HEAD, DELETE'))
  router.use(oauthErrors(authorization))
  return router
}

function formOf(req: Request): EndpointRequest['form'] {
  const body: unknown = req.body
  if (typeof body === 'string') return parseForm(body)
  throw new OAuthError('invalid_request', `the body is ${form_type}`)
}

/** Whether a client would rather have a signed answer (RFC 9701 §4); whoever takes anything gets JSON. */
const asksSigned = (req: Request): boolean =>
  req.accepts(['application/json', signed_type]) === signed_type

/** A token that was revoked does not authenticate any more, and is told so like any other that does not. */
function challenge(error: unknown): never {
  throw error instanceof OAuthError && error.code === 'invalid_token' ? resourceError(error) : error
}

const noStore: RequestHandler = (_req, res, next) => {
  res.set('Cache-Control', 'no-store')
  next()
}
