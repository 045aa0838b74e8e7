import type { Class } from '../consent/class.ts'
import {
  bankOfClient,
  subjectTypes,
  usualSecurity,
  type Authentication,
  type CertificateSubject,
  type Client,
} from '../storage/clients.ts'
import { RegistrationRefused } from './register_client.ts'

type SubjectMember = `tls_client_auth_${CertificateSubject['type']}`

/**
 * A client in the words of RFC 7591 §2 (dynamic registration; RFC 8705, 9101 and 9449 add theirs), and in our own what those have
 * none for: `kind`, `bank`, `class`, `pages`, `lei`.
 */
export interface ClientMetadata extends Partial<Readonly<Record<SubjectMember, string>>> {
  readonly client_id: string
  readonly client_name: string
  readonly client_uri: string
  readonly contacts: readonly string[]
  readonly lei: string
  readonly class?: Class
  readonly pages?: readonly string[]
  readonly kind?: Exclude<Client['kind'], 'recipient'>
  readonly bank?: string
  readonly token_endpoint_auth_method?: Authentication['method']
  readonly jwks?: NonNullable<Client['jwks']>
  readonly jwks_uri?: string
  readonly dpop_bound_access_tokens?: boolean
  readonly tls_client_certificate_bound_access_tokens?: boolean
  readonly require_signed_request_object?: boolean
  readonly redirect_uris?: readonly string[]
  readonly scope?: string
}

/** The client that these metadata describe; what is left out is as usual. Throws `RegistrationRefused`. */
export function clientOfMetadata(given: ClientMetadata): Client {
  const registered = {
    id: given.client_id,
    legalName: given.client_name,
    lei: given.lei,
    website: given.client_uri,
    contacts: given.contacts,
    ...(given.jwks === undefined ? {} : { jwks: given.jwks }),
    ...(given.jwks_uri === undefined ? {} : { jwksUri: given.jwks_uri }),
    authentication: authenticationOf(given),
    binding: bindingOf(given),
    signedRequests: given.require_signed_request_object ?? usualSecurity.signedRequests,
    redirectUris: given.redirect_uris ?? [],
    scopes: given.scope === undefined ? [] : [...new Set(given.scope.split(' '))],
  }
  const { kind, bank } = given
  if (kind === undefined) {
    if (given.class === undefined) throw new RegistrationRefused(['a recipient has a class'])
    return { ...registered, kind: 'recipient', class: given.class, pages: given.pages ?? [] }
  }
  if (kind === 'bank' || kind === 'auditor') {
    if (bank === undefined) throw new RegistrationRefused(['a client of this kind has a bank'])
    return { ...registered, kind, bank }
  }
  if (bank !== undefined) throw new RegistrationRefused(['a client of this kind has no bank'])
  return { ...registered, kind }
}

function authenticationOf(given: ClientMetadata): Authentication {
  const method = given.token_endpoint_auth_method ?? usualSecurity.authentication.method
  const [subject, ...others] = subjectTypes.flatMap((type) => {
    const value = given[`tls_client_auth_${type}`]
    return value === undefined ? [] : [{ type, value }]
  })
  if (others.length > 0)
    throw new RegistrationRefused(['a certificate is known by one name (RFC 8705)'])
  if (method === 'tls_client_auth') {
    if (subject === undefined) throw new RegistrationRefused(['tls_client_auth needs a name'])
    return { method, subject }
  }
  if (subject !== undefined) throw new RegistrationRefused(['only tls_client_auth has a name'])
  return { method }
}

/** Tokens are bound to one of the two: to a certificate if that is asked for, and else to the key of a proof. */
function bindingOf({
  dpop_bound_access_tokens: dpop,
  tls_client_certificate_bound_access_tokens: mtls = false,
}: ClientMetadata): Client['binding'] {
  if (dpop === mtls)
    throw new RegistrationRefused([
      'tokens are bound by DPoP or to a certificate, and to one of them',
    ])
  return mtls ? 'mtls' : 'dpop'
}

/** The metadata of a client: all of them, the usual too. */
export function metadataOf(client: Client): ClientMetadata {
  const { authentication, jwks, jwksUri, redirectUris, scopes } = client
  const bank = bankOfClient(client)
  return {
    client_id: client.id,
    client_name: client.legalName,
    client_uri: client.website,
    contacts: client.contacts,
    lei: client.lei,
    ...(client.kind === 'recipient'
      ? { class: client.class, pages: client.pages }
      : { kind: client.kind }),
    ...(bank === undefined ? {} : { bank }),
    token_endpoint_auth_method: authentication.method,
    ...('subject' in authentication
      ? { [`tls_client_auth_${authentication.subject.type}`]: authentication.subject.value }
      : {}),
    ...(jwks === undefined ? {} : { jwks }),
    ...(jwksUri === undefined ? {} : { jwks_uri: jwksUri }),
    dpop_bound_access_tokens: client.binding === 'dpop',
    tls_client_certificate_bound_access_tokens: client.binding === 'mtls',
    require_signed_request_object: client.signedRequests,
    redirect_uris: redirectUris,
    ...(scopes.length === 0 ? {} : { scope: scopes.join(' ') }),
  }
}
