import type { Broker } from '../broker/broker.ts'
import { findClient, isClientId, type Client } from '../storage/clients.ts'
import type { Jwk } from '../storage/jws.ts'
import type { Once } from '../storage/replays.ts'
import type { Authorization } from './authorization.ts'
import { isIssuedByOneOf } from './certificate_path.ts'
import { isKnownBy } from './certificate_subject.ts'
import { checkAssertion } from './client_assertion.ts'
import type { ClientCertificate } from './client_certificate.ts'
import type { EndpointRequest } from './endpoint.ts'
import { certificateOf } from './key_set.ts'
import { OAuthError } from './oauth_error.ts'

/** A client that has shown who it is. What it showed may be good for one use, which is the caller's to claim. */
export interface Authenticated {
  readonly client: Client
  readonly once?: Once
}

/**
 * Authenticates a client by the one method that it is registered with: its assertion (RFC 7523), or its certificate and
 * `client_id` (RFC 8705 §2). A certificate beside an assertion is no second method, it is what tokens may be bound to. Throws
 * `OAuthError`: `invalid_client`, or `invalid_request` for two methods at once (RFC 6749 §2.3).
 */
export async function authenticateClient(
  broker: Broker,
  authorization: Authorization,
  { form, certificate, authorizationHeader }: EndpointRequest,
): Promise<Authenticated> {
  const asserts = form.has('client_assertion') || form.has('client_assertion_type')
  const shown = [asserts, form.has('client_secret'), authorizationHeader !== undefined]
  if (shown.filter(Boolean).length > 1)
    throw new OAuthError('invalid_request', 'a client authenticates by one method at a time')
  if (asserts) return checkAssertion(broker, authorization, form)
  const id = form.get('client_id')
  if (certificate === undefined || id === undefined)
    throw new OAuthError(
      'invalid_client',
      'a client authenticates with private_key_jwt, or with client_id and a client certificate that is valid now',
    )
  const client = isClientId(id) ? await findClient(broker.db, id) : undefined
  if (client !== undefined && (await isItsCertificate(broker, authorization, client, certificate)))
    return { client }
  throw new OAuthError('invalid_client', 'the client is not known, or not by this certificate')
}

async function isItsCertificate(
  broker: Broker,
  { clientKeys, mtls }: Authorization,
  client: Client,
  { x509 }: ClientCertificate,
): Promise<boolean> {
  const { authentication } = client
  switch (authentication.method) {
    case 'private_key_jwt':
      return false
    case 'tls_client_auth':
      return (
        isIssuedByOneOf(mtls.authorities, x509, broker.now()) &&
        isKnownBy(authentication.subject, x509)
      )
    case 'self_signed_tls_client_auth': {
      const isIt = (jwk: Jwk) => certificateOf(jwk) === x509.raw.toString('base64')
      const keys = await clientKeys.of(client, (some) => some.some(isIt))
      return keys.some(isIt)
    }
  }
}
