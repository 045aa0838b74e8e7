import { edgeFromBytes, edgeToBytes, type RightEdge } from '../merkle/tree.ts'
import { inBank, type Database, type Tx } from './database.ts'

/** What the signer reads, under the lock of the signed mark's row. */
export interface Unsigned {
  readonly origin: string
  readonly vkey: string
  readonly head: RightEdge
  readonly signed: RightEdge
}

/** The head and the newest signed size of a bank's ledger; undefined when no ledger is open. Signers take turns. */
export async function lockSigned(tx: Tx, bank: string): Promise<Unsigned | undefined> {
  await tx.raw('select from ledger_signed where bank_id = ? for update', [bank])
  const { rows } = await tx.raw<{ rows: UnsignedRow[] }>(
    `select h.origin, h.vkey, h.size, h.edge, coalesce(s.size, 0) as signed_size, coalesce(s.edge, ''::bytea) as signed_edge
     from ledger_heads h left join ledger_signed s on s.bank_id = h.bank_id where h.bank_id = ?`,
    [bank],
  )
  const row = rows[0]
  if (row === undefined) return undefined
  return {
    origin: row.origin,
    vkey: row.vkey,
    head: edgeFromBytes(Number(row.size), row.edge),
    signed: edgeFromBytes(Number(row.signed_size), row.signed_edge),
  }
}

interface UnsignedRow {
  origin: string
  vkey: string
  size: string
  edge: Buffer
  signed_size: string
  signed_edge: Buffer
}

/**
 * The leaf hashes in [from, to), each with whether it is the hash of the leaf that is stored: the database computes it anew
 * (RFC 6962 §2.1), so that a leaf changed on disk after hashing is never signed.
 */
export async function recomputedHashes(
  tx: Tx,
  bank: string,
  { from, to }: { from: number; to: number },
): Promise<{ n: number; hash: Buffer; same: boolean }[]> {
  // Both tables are bounded: of one that is not, a merge would read everything before the range.
  const { rows } = await tx.raw<{ rows: { n: string; hash: Buffer; same: boolean }[] }>(
    `select h.n, h.hash, h.hash = sha256('\\x00'::bytea || e.leaf) as same from leaf_hashes h
     join entries e on e.bank_id = h.bank_id and e.n = h.n
     where h.bank_id = :bank and h.n >= :from and h.n < :to and e.n >= :from and e.n < :to order by h.n`,
    { bank, from, to },
  )
  return rows.map((row) => ({ ...row, n: Number(row.n) }))
}

/** Puts the newest signed checkpoint, which must be larger than the one before. */
export async function saveSigned(
  tx: Tx,
  bank: string,
  { edge, note }: { edge: RightEdge; note: string },
): Promise<void> {
  const { rowCount } = await tx.raw<{ rowCount: number }>(
    `insert into ledger_signed as s (bank_id, size, edge, note, signed_at) values (?, ?, ?, ?, clock_timestamp())
     on conflict (bank_id) do update set size = excluded.size, edge = excluded.edge, note = excluded.note,
       signed_at = excluded.signed_at where s.size < excluded.size`,
    [bank, edge.size, Buffer.from(edgeToBytes(edge)), note],
  )
  if (rowCount !== 1) throw new Error(`${bank}: a size was signed twice`)
}

/** The newest signed checkpoint, kept for ever since it is about to leave the house. */
export async function publishCheckpoint(
  db: Database,
  bank: string,
): Promise<{ size: number; note: string } | undefined> {
  return inBank(db, bank, async (tx) => {
    const { rows } = await tx.raw<{ rows: { size: string; note: string }[] }>(
      'select size, note from ledger_signed where bank_id = ?',
      [bank],
    )
    const row = rows[0]
    if (row === undefined) return undefined
    const signed = { size: Number(row.size), note: row.note }
    await keepCheckpoint(tx, bank, signed)
    return signed
  })
}

/** Keeps a checkpoint for ever. */
export async function keepCheckpoint(
  tx: Tx,
  bank: string,
  { size, note }: { readonly size: number; readonly note: string },
): Promise<void> {
  await tx.raw(
    'insert into checkpoints (bank_id, size, note) values (?, ?, ?) on conflict do nothing',
    [bank, size, note],
  )
}

/** How many entries the newest signed checkpoint covers: nothing after them is served. 0 before the first is signed. */
export async function signedSize(db: Database, bank: string): Promise<number> {
  return inBank(db, bank, async (tx) => {
    const { rows } = await tx.raw<{ rows: { size: string }[] }>(
      'select size from ledger_signed where bank_id = ?',
      [bank],
    )
    return Number(rows[0]?.size ?? 0)
  })
}

/** How long the oldest unsigned entry has waited, ms; 0 when all are signed. Undefined when no ledger is open. */
export async function unsignedMs(db: Database, bank: string): Promise<number | undefined> {
  return inBank(db, bank, async (tx) => {
    const { rows } = await tx.raw<{ rows: { ms: string }[] }>(
      `select coalesce(floor(extract(epoch from clock_timestamp() - u.at) * 1000), 0)::bigint as ms from ledger_heads h
       cross join (select coalesce(max(size), 0) as size from ledger_signed where bank_id = ?) s
       left join entries u on u.bank_id = h.bank_id and u.n = s.size
       where h.bank_id = ?`,
      [bank, bank],
    )
    return rows[0] === undefined ? undefined : Number(rows[0].ms)
  })
}
