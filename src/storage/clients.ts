import { isClass, type Class } from '../consent/class.ts'
import type { Database } from './database.ts'
import type { Jwk } from './jws.ts'

/**
 * A registered OAuth client: a recipient with its class, one that acts for a bank and at that bank only, an operator, who keeps
 * the register, or a resource server, which asks about tokens.
 */
export type Client = Registered &
  (
    | {
        readonly kind: 'recipient'
        readonly class: Class
        /** The Messenger pages that are its own: no other recipient has them. */
        readonly pages: readonly string[]
      }
    | { readonly kind: 'bank' | 'auditor'; readonly bank: string }
    | { readonly kind: 'operator' | 'resource_server' }
  )

/** The bank that a client acts for and is confined to; recipients, operators and resource servers have none. */
export const bankOfClient = (client: Client): string | undefined =>
  'bank' in client ? client.bank : undefined

export type Recipient = Extract<Client, { kind: 'recipient' }>

interface Registered {
  readonly id: string
  readonly legalName: string
  readonly lei: string
  readonly website: string
  readonly contacts: readonly string[]
  /** Its public keys, kept here or fetched from where it keeps them. At most one of the two. */
  readonly jwks?: { readonly keys: readonly Jwk[] }
  readonly jwksUri?: string
  readonly authentication: Authentication
  /** What its tokens are bound to: the key of a DPoP proof (RFC 9449), or a client certificate (RFC 8705 §3). */
  readonly binding: 'dpop' | 'mtls'
  /** Whether what it pushes must be a signed request object (RFC 9101 §10.5). */
  readonly signedRequests: boolean
  readonly redirectUris: readonly string[]
  readonly scopes: readonly string[]
}

/** The one way in which a client shows who it is. */
export type Authentication =
  | { readonly method: 'private_key_jwt' | 'self_signed_tls_client_auth' }
  | { readonly method: 'tls_client_auth'; readonly subject: CertificateSubject }

/** The methods, in the words of RFC 7591 and RFC 8705 (`token_endpoint_auth_method`). */
export const authenticationMethods = [
  'private_key_jwt',
  'tls_client_auth',
  'self_signed_tls_client_auth',
] as const satisfies readonly Authentication['method'][]

/** The names that a certificate can be known by, in the words of RFC 8705 §2.1.2 (`tls_client_auth_…`). */
export const subjectTypes = ['subject_dn', 'san_dns', 'san_uri', 'san_ip', 'san_email'] as const

/** The one name by which a certificate of a trusted authority is a client's. */
export interface CertificateSubject {
  readonly type: (typeof subjectTypes)[number]
  readonly value: string
}

/** How a client is known, and its tokens bound, unless its registration says otherwise. */
export const usualSecurity = {
  authentication: { method: 'private_key_jwt' },
  binding: 'dpop',
  signedRequests: false,
} as const satisfies Partial<Registered>

/** Whether a client can have this id; the table's constraint says the same. */
export const isClientId = (id: string): boolean => /^[A-Za-z0-9._:~-]{1,128}$/.test(id)

/** The columns of `ClientRow`, of a client `c`. */
export const clientColumns = `c.id, c.kind, c.bank_id, c.legal_name, c.lei, c.website, c.contacts, c.class, c.jwks, c.jwks_uri,
  c.authentication, c.certificate_subject, c.binding, c.signed_requests, c.redirect_uris, c.scopes,
  array(select page_id from recipient_pages p where p.client_id = c.id order by page_id) as pages`

/** An enabled client. Read at each use: a client that was disabled is refused from that moment. */
export async function findClient(db: Database, id: string): Promise<Client | undefined> {
  const { rows } = await db.knex.raw<{ rows: ClientRow[] }>(
    `select ${clientColumns} from clients c where c.id = ? and c.disabled_at is null`,
    [id],
  )
  return rows[0] === undefined ? undefined : clientOf(rows[0])
}

/** There is no recipient of this id. */
export class NotARecipient extends Error {
  override readonly name = 'NotARecipient'
}

/** The class under which a recipient is registered, disabled or not. Throws `NotARecipient`. */
export async function classOf(db: Database, id: string): Promise<Class> {
  const { rows } = await db.knex.raw<{ rows: { class: string | null }[] }>(
    'select class from clients where id = ?',
    [id],
  )
  const found = rows[0]?.class
  if (!isClass(found)) throw new NotARecipient(`${id} is not registered as a recipient`)
  return found
}

/** Registers a client, with its pages. The database refuses an id, or a page, that is taken. */
export async function insertClient(db: Database, client: Client): Promise<void> {
  const { authentication, jwks } = client
  await db.knex.raw(
    `with client as (
       insert into clients (id, kind, bank_id, legal_name, lei, website, contacts, class, jwks, jwks_uri,
         authentication, certificate_subject, binding, signed_requests, redirect_uris, scopes)
       values (?, ?, ?, ?, ?, ?, ?::text[], ?, ?::jsonb, ?, ?, ?::jsonb, ?, ?, ?::text[], ?::text[]) returning id
     )
     insert into recipient_pages (page_id, client_id) select page, id from client, unnest(?::text[]) as page`,
    [
      client.id,
      client.kind,
      bankOfClient(client) ?? null,
      client.legalName,
      client.lei,
      client.website,
      [...client.contacts],
      client.kind === 'recipient' ? client.class : null,
      jwks === undefined ? null : JSON.stringify(jwks),
      client.jwksUri ?? null,
      authentication.method,
      'subject' in authentication ? JSON.stringify(authentication.subject) : null,
      client.binding,
      client.signedRequests,
      [...client.redirectUris],
      [...client.scopes],
      client.kind === 'recipient' ? [...client.pages] : [],
    ],
  )
}

/** Whether a client was disabled, which is for good. */
export async function isDisabled(db: Database, id: string): Promise<boolean> {
  const { rows } = await db.knex.raw<{ rows: unknown[] }>(
    'select from clients where id = ? and disabled_at is not null',
    [id],
  )
  return rows.length > 0
}

/** Disables a client for good. False when there is none, or it was disabled before. */
export async function disableClient(db: Database, id: string): Promise<boolean> {
  const { rowCount } = await db.knex.raw<{ rowCount: number }>(
    'update clients set disabled_at = clock_timestamp() where id = ? and disabled_at is null',
    [id],
  )
  return rowCount === 1
}

/** A client, as every reader selects it. */
export interface ClientRow {
  id: string
  kind: Client['kind']
  bank_id: string | null
  legal_name: string
  lei: string
  website: string
  contacts: string[]
  class: string | null
  jwks: { keys: Jwk[] } | null
  jwks_uri: string | null
  authentication: Authentication['method']
  certificate_subject: CertificateSubject | null
  binding: Client['binding']
  signed_requests: boolean
  redirect_uris: string[]
  scopes: string[]
  pages: string[]
}

/** The client that a row holds. */
export function clientOf(row: ClientRow): Client {
  const registered = {
    id: row.id,
    legalName: row.legal_name,
    lei: row.lei,
    website: row.website,
    contacts: row.contacts,
    ...(row.jwks === null ? {} : { jwks: row.jwks }),
    ...(row.jwks_uri === null ? {} : { jwksUri: row.jwks_uri }),
    authentication: authenticationOf(row),
    binding: row.binding,
    signedRequests: row.signed_requests,
    redirectUris: row.redirect_uris,
    scopes: row.scopes,
  }
  if ((row.kind === 'bank' || row.kind === 'auditor') && row.bank_id !== null)
    return { ...registered, kind: row.kind, bank: row.bank_id }
  if (row.kind === 'operator' || row.kind === 'resource_server')
    return { ...registered, kind: row.kind }
  if (row.kind === 'recipient' && isClass(row.class))
    return { ...registered, kind: row.kind, class: row.class, pages: row.pages }
  throw new Error(`client ${row.id} is of no kind`)
}

function authenticationOf({
  id,
  authentication: method,
  certificate_subject,
}: ClientRow): Authentication {
  if (method !== 'tls_client_auth') return { method }
  if (certificate_subject === null) throw new Error(`client ${id} is known by no certificate`)
  return { method, subject: certificate_subject }
}
