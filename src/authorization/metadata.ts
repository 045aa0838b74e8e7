import { details_type } from '../consent/fdx.ts'
import { authenticationMethods } from '../storage/clients.ts'
import { algorithmNames } from '../storage/jws.ts'
import { asksForCertificates, type Authorization, type Mtls } from './authorization.ts'
import { responseModes } from './authorization_response.ts'
import { token_algorithm } from './keys.ts'
import { resources } from './resource_metadata.ts'
import { scopeNames } from './scopes.ts'

/** Where the authorization server's endpoints are, below the issuer. */
export const paths = {
  metadata: '/.well-known/oauth-authorization-server',
  jwks: '/oauth/jwks',
  authorize: '/oauth/authorize',
  par: '/oauth/par',
  token: '/oauth/token',
  introspect: '/oauth/introspect',
  revoke: '/oauth/revoke',
  grants: '/oauth/grants',
} as const

/** The grants of the token endpoint. */
export const grantTypes = ['authorization_code', 'refresh_token', 'client_credentials'] as const

/**
 * Authorization server metadata (RFC 8414), with what RFC 8705, 9101, 9126, 9207, 9396, 9449, 9701, 9728, JARM and Grant
 * Management add to it.
 */
export function metadata({ issuer, mtls }: Pick<Authorization, 'issuer' | 'mtls'>) {
  const methods = methodsOf(mtls)
  return {
    issuer,
    authorization_endpoint: issuer + paths.authorize,
    pushed_authorization_request_endpoint: issuer + paths.par,
    token_endpoint: issuer + paths.token,
    jwks_uri: issuer + paths.jwks,
    grant_management_endpoint: issuer + paths.grants,
    grant_management_actions_supported: ['create', 'replace', 'query', 'revoke'],
    grant_management_action_required: false,
    scopes_supported: scopeNames,
    authorization_details_types_supported: [details_type],
    protected_resources: Object.values(resources).map(({ path }) => issuer + path),
    response_types_supported: ['code'],
    response_modes_supported: responseModes,
    authorization_signing_alg_values_supported: [token_algorithm],
    grant_types_supported: grantTypes,
    require_pushed_authorization_requests: true,
    request_parameter_supported: true,
    request_uri_parameter_supported: false,
    request_object_signing_alg_values_supported: algorithmNames,
    require_signed_request_object: false,
    authorization_response_iss_parameter_supported: true,
    code_challenge_methods_supported: ['S256'],
    token_endpoint_auth_methods_supported: methods,
    token_endpoint_auth_signing_alg_values_supported: algorithmNames,
    introspection_endpoint: issuer + paths.introspect,
    introspection_endpoint_auth_methods_supported: methods,
    introspection_endpoint_auth_signing_alg_values_supported: algorithmNames,
    introspection_signing_alg_values_supported: [token_algorithm],
    revocation_endpoint: issuer + paths.revoke,
    revocation_endpoint_auth_methods_supported: methods,
    revocation_endpoint_auth_signing_alg_values_supported: algorithmNames,
    dpop_signing_alg_values_supported: algorithmNames,
    tls_client_certificate_bound_access_tokens: asksForCertificates(mtls),
    ...(mtls.origin === undefined ? {} : { mtls_endpoint_aliases: aliases(mtls.origin) }),
  }
}

/** How clients may authenticate, the same at every endpoint. */
const methodsOf = (mtls: Mtls) =>
  authenticationMethods.filter(
    (method) => method === 'private_key_jwt' || asksForCertificates(mtls),
  )

/** Where clients with certificates call (RFC 8705 §5): every endpoint that no browser visits. */
const aliases = (origin: string) => ({
  pushed_authorization_request_endpoint: origin + paths.par,
  token_endpoint: origin + paths.token,
  introspection_endpoint: origin + paths.introspect,
  revocation_endpoint: origin + paths.revoke,
  grant_management_endpoint: origin + paths.grants,
})
