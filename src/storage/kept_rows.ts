import { inBank, type Database, type Tx } from './database.ts'

/** A row as JSON has it; what is bytes is `\x` and hexadecimal. */
export type KeptRow = Readonly<Record<string, unknown>>

/** What a backup keeps of a consent: what the ledger does not say of it. */
export interface KeptConsent {
  readonly id: string
  readonly link_id: string
  readonly accounts_sealed: string | null
}

interface Kept {
  readonly table: string
  /** What pages are cut by: unique in the table, or in a bank's part of it. */
  readonly key: string
  readonly columns: readonly string[]
  /** Rows that are worth keeping. */
  readonly only?: string
  /** Whether it is read only to be put into rows of another making. */
  readonly part?: true
}

/**
 * What a restore needs and no ledger holds. Left out on purpose: what follows from the entries; what ends within days and can be had again (sessions,
 * browsers, pointers, codes, pushed requests); and what was noted of single requests.
 */
export const keptOfAll: readonly Kept[] = [
  {
    table: 'clients',
    key: 'id',
    columns: [
      ...[
        'id',
        'kind',
        'bank_id',
        'legal_name',
        'lei',
        'website',
        'contacts',
        'class',
        'jwks',
        'jwks_uri',
      ],
      ...[
        'redirect_uris',
        'scopes',
        'created_at',
        'disabled_at',
        'authentication',
        'binding',
        'signed_requests',
      ],
      'certificate_subject',
    ],
  },
  { table: 'recipient_pages', key: 'page_id', columns: ['page_id', 'client_id'] },
  {
    table: 'token_keys',
    key: 'kid',
    columns: ['kid', 'sealed', 'created_at', 'published_at', 'active_at', 'retired_at'],
  },
]

/** The same of each bank. Consents come first: a link that one of them names is then among the links. */
export const keptOfBank: readonly Kept[] = [
  {
    table: 'consents',
    key: 'id',
    columns: [
      ...['id', 'requested', 'link_id', 'bank_token_id', 'accounts_sealed', 'evidence_sealed'],
      ...['created_at', 'redeemed_at', 'updated_by'],
    ],
    only: 'link_id is not null',
    part: true,
  },
  {
    table: 'links',
    key: 'id',
    columns: [
      ...['bank_id', 'id', 'profile_index', 'login_index', 'recipient_sub', 'bank_sub', 'sealed'],
      'created_at',
    ],
  },
  { table: 'link_keys', key: 'link_id', columns: ['bank_id', 'link_id', 'sealed'] },
  {
    table: 'bank_tokens',
    key: 'id',
    columns: ['bank_id', 'id', 'link_id', 'sealed', 'expires_at', 'ended_at'],
    only: 'ended_at is null',
  },
  {
    table: 'refresh_tokens',
    key: 'token_hash',
    columns: ['bank_id', 'token_hash', 'client_id', 'consent_id', 'created_at', 'ended_at'],
    only: 'ended_at is null',
  },
  {
    table: 'staff',
    key: 'id',
    columns: ['bank_id', 'id', 'login_index', 'sealed', 'first_login_at', 'last_login_at'],
  },
]

export const limits = { page_rows: 100 } as const

/** The rows of a table, or of one bank in it, a page at a time, each page in a short transaction. */
export async function* keptRows(
  db: Database,
  { table, key, columns, only = 'true' }: Kept,
  bank?: string,
): AsyncGenerator<readonly KeptRow[]> {
  let after: string | undefined
  for (;;) {
    const where = [
      only,
      ...(bank === undefined ? [] : ['bank_id = :bank']),
      ...(after === undefined
        ? []
        : [`${key} > (jsonb_populate_record(null::${table}, :after::jsonb)).${key}`]),
    ].join(' and ')
    const sql = `select to_jsonb(r) as row from (
      select ${columns.join(', ')} from ${table} where ${where} order by ${key} limit ${limits.page_rows}) r`
    const read = async (tx: Tx | Database['knex']) =>
      tx.raw<{ rows: { row: KeptRow }[] }>(sql, { bank: bank ?? '', after: after ?? '' })
    const { rows } = await (bank === undefined ? read(db.knex) : inBank(db, bank, (tx) => read(tx)))
    if (rows.length === 0) return
    const page = rows.map(({ row }) => row)
    yield page
    after = JSON.stringify({ [key]: page.at(-1)?.[key] })
  }
}

/** Puts rows back. Those that are there already stay. */
export async function insertKept(
  db: Database,
  { table, columns }: Kept,
  rows: readonly KeptRow[],
  bank?: string,
): Promise<void> {
  if (rows.length === 0) return
  const names = columns.join(', ')
  const sql = `insert into ${table} (${names}) select ${names} from jsonb_populate_recordset(null::${table}, ?::jsonb)
    on conflict do nothing`
  const values = [JSON.stringify(rows)]
  await (bank === undefined
    ? db.knex.raw(sql, values)
    : inBank(db, bank, (tx) => tx.raw(sql, values)))
}
