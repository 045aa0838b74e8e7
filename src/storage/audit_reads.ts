import type { AccessKind } from '../ledger/entry.ts'
import { inBank, runNumbered, type Database } from './database.ts'

/** What an auditor asked for, as the `access` entry at `n` commits to it; a ledger that was closed takes none. */
export interface AuditRead {
  readonly id: string
  readonly n?: number
  readonly actor: string
  readonly what: AccessKind
  /** Canonical JSON, and the salt that it was committed to with, base64url. */
  readonly asked: string
  readonly salt: string
  /** How many entries of the ledger it was about, and of an export, the size of the tree that it is proven in. */
  readonly size: number
  readonly tree?: number
  readonly at: string
  /** The id of the access token, where all that is read with it is one entry. */
  readonly token?: string
  /** What an export came to, once it was made whole. */
  readonly made?: Made
}

/** The size of an export, and its SHA-256, base64. */
export interface Made {
  readonly entries: number
  readonly bytes: number
  readonly sha256: string
}

/** Keeps a read; of those with one token, the first. `$1` is the bank, the rest are `readValues`. */
export const insertReadSql = `
  insert into audit_reads (bank_id, id, n, actor, what, asked, salt, size, tree, at, token)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
  on conflict (bank_id, token) where token is not null do nothing`

export function readValues(read: AuditRead): unknown[] {
  const { id, n, actor, what, asked, salt, size, tree, at, token } = read
  return [id, n ?? null, actor, what, asked, salt, size, tree ?? null, at, token ?? null]
}

/** Keeps a read that no entry can be beside. */
export async function insertRead(db: Database, bank: string, read: AuditRead): Promise<void> {
  await inBank(db, bank, (tx) => runNumbered(tx, insertReadSql, [bank, ...readValues(read)]))
}

const columns =
  'id, n, actor, what, asked, salt, size, tree, at, token, entries, bytes, sha256' as const

export const findRead = (db: Database, bank: string, id: string): Promise<AuditRead | undefined> =>
  findBy(db, bank, { id })

/** What is read with an access token of an auditor's, by the token's id. */
export const findReading = (
  db: Database,
  bank: string,
  token: string,
): Promise<AuditRead | undefined> => findBy(db, bank, { token })

async function findBy(
  db: Database,
  bank: string,
  by: { readonly id: string } | { readonly token: string },
): Promise<AuditRead | undefined> {
  const [[column, value] = ['id', '']] = Object.entries(by)
  return inBank(db, bank, async (tx) => {
    const { rows } = await tx.raw<{ rows: ReadRow[] }>(
      `select ${columns} from audit_reads where bank_id = ? and ${column} = ?`,
      [bank, value],
    )
    return rows[0] && readOf(rows[0])
  })
}

/** Keeps what an export came to. It comes to the same each time. */
export async function saveMade(db: Database, bank: string, id: string, made: Made): Promise<void> {
  await inBank(db, bank, (tx) =>
    tx.raw(
      'update audit_reads set entries = ?, bytes = ?, sha256 = ? where bank_id = ? and id = ?',
      [...[made.entries, made.bytes, made.sha256, bank, id]],
    ),
  )
}

interface ReadRow {
  id: string
  n: string | null
  actor: string
  what: AccessKind
  asked: string
  salt: string
  size: string
  tree: string | null
  at: Date
  token: string | null
  entries: string | null
  bytes: string | null
  sha256: string | null
}

const readOf = (row: ReadRow): AuditRead => ({
  ...(row.n === null ? {} : { n: Number(row.n) }),
  ...(row.tree === null ? {} : { tree: Number(row.tree) }),
  ...(row.token === null ? {} : { token: row.token }),
  ...{ id: row.id, actor: row.actor, what: row.what, asked: row.asked, salt: row.salt },
  ...{ size: Number(row.size), at: row.at.toISOString() },
  ...(row.entries === null || row.bytes === null || row.sha256 === null
    ? {}
    : { made: { entries: Number(row.entries), bytes: Number(row.bytes), sha256: row.sha256 } }),
})
