import { clusters } from '../consent/cluster.ts'
import { details_type } from '../consent/fdx.ts'
import { algorithmNames } from '../storage/jws.ts'
import { asksForCertificates, type Authorization } from './authorization.ts'
import { clientScopeNames } from './scopes.ts'

const well_known = '/.well-known/oauth-protected-resource'

/**
 * The two protected resources, which are the two audiences of our tokens, each by the path of its identifier below the issuer:
 * what a customer's consent opens, and what clients do for themselves.
 */
export const resources = {
  consented: {
    path: '/fdx/v6',
    resource_name: 'Countersign: data under a consent',
    scopes_supported: Object.values(clusters).map(({ scope }) => scope),
    authorization_details_types_supported: [details_type],
  },
  own: {
    path: '',
    resource_name: 'Countersign: consents, ledgers and the registry',
    scopes_supported: clientScopeNames,
  },
} as const satisfies Readonly<Record<string, Resource>>

interface Resource {
  readonly path: string
  readonly resource_name: string
  readonly scopes_supported: readonly string[]
  readonly authorization_details_types_supported?: readonly string[]
}

/** Where the metadata of a resource are: the resource's own path comes after the well-known part (RFC 9728 §3.1). */
export const metadataPath = ({ path }: Resource): string => well_known + path

/** Where the page is that says what the data may be used for. */
export const policy_path = '/policy'

/**
 * Protected resource metadata (RFC 9728 §2). Answers are not signed, so the resource has no keys of its own to name; every
 * token is bound to a key of its client's, by DPoP or by mutual TLS as the client is registered.
 */
export function resourceMetadata(
  { issuer, mtls }: Pick<Authorization, 'issuer' | 'mtls'>,
  { path, ...described }: Resource,
) {
  return {
    resource: issuer + path,
    authorization_servers: [issuer],
    ...described,
    bearer_methods_supported: ['header'],
    resource_policy_uri: issuer + policy_path,
    dpop_signing_alg_values_supported: algorithmNames,
    dpop_bound_access_tokens_required: !asksForCertificates(mtls),
    tls_client_certificate_bound_access_tokens: asksForCertificates(mtls),
  }
}

/** The resource that a request is for. Pointers are made with a consent's token, whatever their path. */
const resourceAt = (path: string): Resource =>
  path === '/deliveries' || path.startsWith(`${resources.consented.path}/`)
    ? resources.consented
    : resources.own

/** Headers of an answer to a request for `path`; each challenge among them says where the metadata are (RFC 9728 §5.1). */
export function pointingToMetadata(
  headers: Readonly<Record<string, string>>,
  { issuer, path }: { issuer: string; path: string },
): Readonly<Record<string, string>> {
  const challenge = headers['WWW-Authenticate']
  if (challenge === undefined) return headers
  const at = `resource_metadata="${issuer}${metadataPath(resourceAt(path))}"`
  const pointing = challenge
    .replace(/algs="[^"]*"/, `$&, ${at}`)
    .replace(
      /Bearer( .+)?$/,
      (_, parameters?: string) => `Bearer${parameters ? `${parameters},` : ''} ${at}`,
    )
  return { ...headers, 'WWW-Authenticate': pointing }
}
