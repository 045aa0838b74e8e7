import type { JsonWebKey } from 'node:crypto'
import { isClass, type Class } from '../consent/class.ts'
import type { Database } from './database.ts'

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
  readonly jwks: { readonly keys: readonly JsonWebKey[] }
  readonly redirectUris: readonly string[]
  readonly scopes: readonly string[]
}

/** Whether a client can have this id; the table's constraint says the same. */
export const isClientId = (id: string): boolean => /^[A-Za-z0-9._:~-]{1,128}$/.test(id)

/** An enabled client. Read at each use: a client that was disabled is refused from that moment. */
export async function findClient(db: Database, id: string): Promise<Client | undefined> {
  const { rows } = await db.knex.raw<{ rows: ClientRow[] }>(
    `select id, kind, bank_id, legal_name, lei, website, contacts, class, jwks, redirect_uris, scopes,
       array(select page_id from recipient_pages p where p.client_id = c.id order by page_id) as pages
     from clients c where id = ? and disabled_at is null`,
    [id],
  )
  return rows[0] === undefined ? undefined : clientOf(rows[0])
}

/** The class under which a recipient is registered, disabled or not. */
export async function classOf(db: Database, id: string): Promise<Class> {
  const { rows } = await db.knex.raw<{ rows: { class: string | null }[] }>(
    'select class from clients where id = ?',
    [id],
  )
  const found = rows[0]?.class
  if (!isClass(found)) throw new Error(`${id} is not registered as a recipient`)
  return found
}

/** Registers a client, with its pages. The database refuses an id, or a page, that is taken. */
export async function insertClient(db: Database, client: Client): Promise<void> {
  await db.knex.raw(
    `with client as (
       insert into clients (id, kind, bank_id, legal_name, lei, website, contacts, class, jwks, redirect_uris, scopes)
       values (?, ?, ?, ?, ?, ?, ?::text[], ?, ?::jsonb, ?::text[], ?::text[]) returning id
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
      JSON.stringify(client.jwks),
      [...client.redirectUris],
      [...client.scopes],
      client.kind === 'recipient' ? [...client.pages] : [],
    ],
  )
}

/** Disables a client for good. False when there is none, or it was disabled before. */
export async function disableClient(db: Database, id: string): Promise<boolean> {
  const { rowCount } = await db.knex.raw<{ rowCount: number }>(
    'update clients set disabled_at = clock_timestamp() where id = ? and disabled_at is null',
    [id],
  )
  return rowCount === 1
}

interface ClientRow {
  id: string
  kind: Client['kind']
  bank_id: string | null
  legal_name: string
  lei: string
  website: string
  contacts: string[]
  class: string | null
  jwks: { keys: JsonWebKey[] }
  redirect_uris: string[]
  scopes: string[]
  pages: string[]
}

function clientOf(row: ClientRow): Client {
  const registered = {
    id: row.id,
    legalName: row.legal_name,
    lei: row.lei,
    website: row.website,
    contacts: row.contacts,
    jwks: row.jwks,
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
