import type { Broker } from '../broker/broker.ts'
import type { Client } from '../storage/clients.ts'
import { authenticateClient } from './authenticate_client.ts'
import type { Authorization } from './authorization.ts'
import type { Binding } from './binding.ts'
import type { ClientCertificate } from './client_certificate.ts'
import { checkProof, type Proved } from './dpop.ts'
import type { EndpointRequest } from './endpoint.ts'
import type { Form } from './form.ts'
import { OAuthError } from './oauth_error.ts'

/** A client that has shown who it is, and which key it holds if it showed one. */
export interface Admitted {
  readonly client: Client
  readonly binding?: Binding
  /** What the answer must carry. */
  readonly headers: Readonly<Record<string, string>>
}

/** A client that asks for a token, with the key that the token will be bound to. */
export interface Asker {
  readonly client: Client
  readonly form: Form
  readonly interaction: string
  readonly binding: Binding
}

/**
 * Admits a client to an endpoint: what it authenticates with, and its proof if it sent one. Both are checked before either is
 * used up, so that an assertion survives being told of a nonce. A client whose tokens are bound to its certificate sends no
 * proofs: one that does takes its tokens for what they are not, and is told so. Throws `OAuthError`.
 */
export async function admit(
  broker: Broker,
  authorization: Authorization,
  request: EndpointRequest,
): Promise<Admitted> {
  const { proof, url, certificate, admitted } = request
  const { client, once } = await authenticateClient(broker, authorization, request)
  if (client.binding === 'mtls' && proof !== undefined)
    throw new OAuthError('invalid_request', 'tokens of this client are bound by mutual TLS')
  const proved: Proved | undefined =
    proof === undefined
      ? undefined
      : await checkProof(authorization, { proof, method: 'POST', url, now: broker.now() })
  const [assertionIsNew, proofIsNew] = await Promise.all([
    once === undefined || authorization.claimOnce(once),
    proved === undefined || authorization.claimOnce(proved.once),
  ])
  if (!assertionIsNew)
    throw new OAuthError('invalid_client', 'the client assertion was used before')
  if (!proofIsNew) throw new OAuthError('invalid_dpop_proof', 'the proof was used before')
  await admitted(client.id)
  const binding = bindingOf(client, { proved, certificate })
  return {
    client,
    ...(binding === undefined ? {} : { binding }),
    headers: proved?.freshNonce === undefined ? {} : { 'DPoP-Nonce': proved.freshNonce },
  }
}

/** The key of the kind that the client's tokens are bound to, if it showed one. */
function bindingOf(
  { binding }: Client,
  shown: { proved: Proved | undefined; certificate: ClientCertificate | undefined },
): Binding | undefined {
  if (binding === 'mtls') return shown.certificate && { 'x5t#S256': shown.certificate.thumbprint }
  return shown.proved && { jkt: shown.proved.jkt }
}
