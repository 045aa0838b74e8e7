import { readEntry, type Entry } from '../ledger/entry.ts'
import { inBank, type Database, type Tx } from './database.ts'

/** A statement in its ledger. */
export type StatementEntry = Extract<Entry, { kind: 'statement' }>
export type ReconcileEntry = Extract<Entry, { kind: 'reconcile' }>

/** A request in which a statement and the ledger differ, by its fetch id: unknown to the broker, or named by this release only. */
export interface Mismatch {
  readonly fetch: string
  readonly release?: number
}

/** Keeps the ids behind a statement's root. Keeping them again counts as having received them again. */
export async function keepList(
  db: Database,
  bank: string,
  { root, interactions }: { root: Uint8Array; interactions: readonly string[] },
): Promise<void> {
  const bytes = Buffer.from(interactions.join('').replaceAll('-', ''), 'hex')
  await inBank(db, bank, (tx) =>
    tx.raw(
      `insert into statement_lists (bank_id, root, interactions) values (?, ?, ?)
       on conflict (bank_id, root) do update set received_at = excluded.received_at`,
      [bank, Buffer.from(root), bytes],
    ),
  )
}

const id_bytes = 16

/** The requests behind a root, as fetch ids; undefined where the list is not, or no longer, kept. */
export async function fetchesBehind(
  db: Database,
  bank: string,
  root: string,
): Promise<string[] | undefined> {
  const { rows } = await inBank(db, bank, (tx) =>
    tx.raw<{ rows: { interactions: Buffer }[] }>(
      'select interactions from statement_lists where bank_id = ? and root = ?',
      [bank, Buffer.from(root, 'base64url')],
    ),
  )
  const bytes = rows[0]?.interactions
  return (
    bytes &&
    Array.from({ length: bytes.length / id_bytes }, (_, i) =>
      bytes.toString('base64url', i * id_bytes, (i + 1) * id_bytes),
    )
  )
}

/** Statements before an index of the ledger, the newest first. */
export async function statementsBefore(
  db: Database,
  bank: string,
  { before = Number.MAX_SAFE_INTEGER, limit }: { before?: number | undefined; limit: number },
): Promise<StatementEntry[]> {
  const found = await entriesOf(db, bank, {
    sql: "kind = 'statement' and n < ? order by n desc limit ?",
    values: [before, limit],
  })
  return found.filter((entry) => entry.kind === 'statement')
}

/** The first statement after an index. */
export async function statementAfter(
  db: Database,
  bank: string,
  after: number,
): Promise<StatementEntry | undefined> {
  const found = await entriesOf(db, bank, {
    sql: "kind = 'statement' and n > ? order by n limit 1",
    values: [after],
  })
  return found.find((entry) => entry.kind === 'statement')
}

/** The newest reconciliation. */
export async function newestReconcile(
  db: Database,
  bank: string,
): Promise<ReconcileEntry | undefined> {
  const found = await entriesOf(db, bank, {
    sql: "kind = 'reconcile' order by n desc limit 1",
    values: [],
  })
  return found.find((entry) => entry.kind === 'reconcile')
}

/** The reconciliations of these statements, by the statement's index. One is never far behind its statement. */
export async function reconciliationsOf(
  db: Database,
  bank: string,
  statements: readonly number[],
): Promise<ReadonlyMap<number, ReconcileEntry>> {
  const found = await entriesOf(db, bank, {
    sql: `kind = 'reconcile' and n > ? and (convert_from(leaf, 'UTF8')::jsonb -> 'body' ->> 'statement')::bigint = any(?::bigint[])
      order by n limit ?`,
    values: [Math.min(...statements), [...statements], statements.length],
  })
  return new Map(
    found.filter((entry) => entry.kind === 'reconcile').map((one) => [one.body.statement, one]),
  )
}

/** `sql` is ours, of the condition and the order. */
async function entriesOf(
  db: Database,
  bank: string,
  { sql, values }: { sql: string; values: readonly (number | number[])[] },
): Promise<Entry[]> {
  const { rows } = await inBank(db, bank, (tx) =>
    tx.raw<{ rows: { leaf: Buffer }[] }>(`select leaf from entries where bank_id = ? and ${sql}`, [
      bank,
      ...values,
    ]),
  )
  return rows.map(({ leaf }) => readEntry(leaf))
}

/** The index of the first entry later than this time, RFC 3339; the ledger's size where there is none. */
export async function firstAfter(db: Database, bank: string, time: string): Promise<number> {
  return inBank(db, bank, async (tx) => {
    let [low, high] = [0, await sizeOf(tx, bank)]
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      if (await isAfter(tx, bank, middle, time)) high = middle
      else low = middle + 1
    }
    return low
  })
}

async function sizeOf(tx: Tx, bank: string): Promise<number> {
  const { rows } = await tx.raw<{ rows: { size: string }[] }>(
    'select size from ledger_heads where bank_id = ?',
    [bank],
  )
  return Number(rows[0]?.size ?? 0)
}

/** The times of entries never go back, so they can be searched. An entry that is kept elsewhere is long past. */
async function isAfter(tx: Tx, bank: string, n: number, time: string): Promise<boolean> {
  const { rows } = await tx.raw<{ rows: { after: boolean }[] }>(
    'select at > ?::timestamptz as after from entries where bank_id = ? and n = ?',
    [time, bank, n],
  )
  return rows[0]?.after ?? false
}

/** Whether the ledger was closed, and takes no reconciliation. */
export async function isClosed(db: Database, bank: string): Promise<boolean> {
  const { rows } = await inBank(db, bank, (tx) =>
    tx.raw<{ rows: { closed: boolean }[] }>('select closed from ledger_heads where bank_id = ?', [
      bank,
    ]),
  )
  return rows[0]?.closed ?? false
}

/** Releases among the entries in [from, to), with the requests to the bank that each names. */
export async function releasesIn(
  db: Database,
  bank: string,
  { from, to }: { from: number; to: number },
): Promise<{ n: number; fetches: readonly string[] }[]> {
  const { rows } = await inBank(db, bank, (tx) =>
    tx.raw<{ rows: { n: string; fetches: readonly string[] }[] }>(
      `select n, convert_from(leaf, 'UTF8')::jsonb -> 'body' -> 'fetches' as fetches from entries
       where bank_id = ? and n >= ? and n < ? and kind = 'release' order by n`,
      [bank, from, to],
    ),
  )
  return rows.map(({ n, fetches }) => ({ n: Number(n), fetches }))
}

/** Of these fetches those that were noted, with what came of each other than a release, where somebody said. */
export async function notedFetches(
  db: Database,
  bank: string,
  fetches: readonly string[],
): Promise<ReadonlyMap<string, string | undefined>> {
  const { rows } = await inBank(db, bank, (tx) =>
    tx.raw<{ rows: { id: string; outcome: string | null }[] }>(
      'select id, outcome from fetches where bank_id = ? and id = any(?::text[])',
      [bank, [...fetches]],
    ),
  )
  return new Map(rows.map(({ id, outcome }) => [id, outcome ?? undefined]))
}

/** What is kept of the mismatches of these statements. */
export async function mismatchesOf(
  db: Database,
  bank: string,
  statements: readonly number[],
): Promise<readonly (Mismatch & { readonly statement: number })[]> {
  const { rows } = await inBank(db, bank, (tx) =>
    tx.raw<{ rows: { statement: string; fetch_id: string; release: string | null }[] }>(
      `select statement, fetch_id, release from statement_mismatches
       where bank_id = ? and statement = any(?::bigint[]) order by statement, release, fetch_id`,
      [bank, [...statements]],
    ),
  )
  return rows.map(({ statement, fetch_id: fetch, release }) => ({
    ...{ statement: Number(statement), fetch },
    ...(release === null ? {} : { release: Number(release) }),
  }))
}
