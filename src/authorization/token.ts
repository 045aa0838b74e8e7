import type { Broker } from '../broker/broker.ts'
import { bankOfClient, type Client } from '../storage/clients.ts'
import { random128 } from '../storage/ids.ts'
import { mintAccessToken, token_s_max } from './access_token.ts'
import { admit, type Asker } from './admit.ts'
import type { Authorization } from './authorization.ts'
import { tokenType } from './binding.ts'
import { redeem } from './code_grant.ts'
import type { Answer, EndpointRequest } from './endpoint.ts'
import { required } from './form.ts'
import { grantTypes } from './metadata.ts'
import { OAuthError } from './oauth_error.ts'
import { refresh } from './refresh_grant.ts'
import { mayHave } from './scopes.ts'

const grants: Readonly<
  Record<
    (typeof grantTypes)[number],
    (broker: Broker, authorization: Authorization, asker: Asker) => object | Promise<object>
  >
> = { authorization_code: redeem, refresh_token: refresh, client_credentials: forItself }

/** What a client is told that did not show the key to bind a token to. */
const notShown: Readonly<Record<Client['binding'], () => OAuthError>> = {
  dpop: () => new OAuthError('invalid_dpop_proof', 'a DPoP proof is required'),
  mtls: () =>
    new OAuthError('invalid_request', 'a client certificate that is valid now is required'),
}

/** The token endpoint (RFC 6749 §3.2). Every token is bound to a key. Throws `OAuthError`. */
export async function issueToken(
  broker: Broker,
  authorization: Authorization,
  request: EndpointRequest,
): Promise<Answer> {
  const { form, interaction } = request
  const { client, binding, headers } = await admit(broker, authorization, request)
  if (binding === undefined) throw notShown[client.binding]()
  if (form.has('authorization_details'))
    throw new OAuthError('invalid_authorization_details', 'tokens carry what was granted, whole')
  const asked = required(form, 'grant_type')
  const type = grantTypes.find((one) => one === asked)
  if (type === undefined)
    throw new OAuthError('unsupported_grant_type', `grant_type is one of ${grantTypes.join(', ')}`)
  return {
    status: 200,
    headers,
    body: await grants[type](broker, authorization, { client, form, interaction, binding }),
  }
}

/** client_credentials: a token of a client for itself, with exactly the scopes it names. */
function forItself(broker: Broker, authorization: Authorization, { client, form, binding }: Asker) {
  const scopes = [...new Set((form.get('scope') ?? '').split(' '))]
  if (!scopes.every((scope) => client.scopes.includes(scope) && mayHave(client.kind, scope)))
    throw new OAuthError(
      'invalid_scope',
      'scope is required, of those the client is registered for',
    )
  const scope = scopes.join(' ')
  const bank = bankOfClient(client)
  const access_token = mintAccessToken(
    authorization,
    {
      clientId: client.id,
      sub: client.id,
      jti: random128(),
      scope,
      binding,
      ...(bank === undefined ? {} : { bank }),
      lifetime_s: token_s_max,
    },
    broker.now(),
  )
  return { access_token, token_type: tokenType(binding), expires_in: token_s_max, scope }
}
