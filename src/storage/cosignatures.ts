import { inBank, type Database, type Tx } from './database.ts'

/** A checkpoint that was signed; `note` has the ledger's own signature and, where it says so, the witnesses'. */
export interface SignedNote {
  readonly size: number
  readonly note: string
}

/** A cosignature as it was verified. */
export interface Cosignature {
  readonly size: number
  /** The witness's key, as a policy has it. */
  readonly vkey: string
  /** By the witness's clock, seconds since the epoch. */
  readonly time: number
  /** The signature line, which ends in a newline. */
  readonly line: string
}

/** How far a witness has come with a ledger. */
export interface WitnessState {
  readonly vkey: string
  readonly size: number
  /** Seconds since the epoch, by the witness's clock. */
  readonly time: number
  /** How long ago that was heard, ms, by the database's clock. */
  readonly age_ms: number
}

/** The newest signed checkpoint, and how far each of these witnesses has come; undefined before the first is signed. */
export async function readWitnessing(
  db: Database,
  bank: string,
  vkeys: readonly string[],
): Promise<{ newest: SignedNote; witnesses: ReadonlyMap<string, WitnessState> } | undefined> {
  return inBank(db, bank, async (tx) => {
    const signed = await newestSigned(tx, bank)
    if (signed === undefined) return undefined
    const { rows } = await tx.raw<{ rows: WitnessRow[] }>(
      `select v.vkey, c.size, extract(epoch from c.cosigned_at)::bigint as time,
         floor(extract(epoch from clock_timestamp() - c.stored_at) * 1000)::bigint as age_ms
       from unnest(?::text[]) as v(vkey) cross join lateral (
         select size, cosigned_at, stored_at from cosignatures where bank_id = ? and vkey = v.vkey order by id desc limit 1) c`,
      [[...vkeys], bank],
    )
    const witnesses = rows.map(({ vkey, size, time, age_ms }): [string, WitnessState] => [
      vkey,
      { vkey, size: Number(size), time: Number(time), age_ms: Number(age_ms) },
    ])
    return { newest: signed, witnesses: new Map(witnesses) }
  })
}

interface WitnessRow {
  vkey: string
  size: string
  time: string
  age_ms: string
}

async function newestSigned(tx: Tx, bank: string): Promise<SignedNote | undefined> {
  const { rows } = await tx.raw<{ rows: { size: string; note: string }[] }>(
    'select size, note from ledger_signed where bank_id = ?',
    [bank],
  )
  return rows[0] && { size: Number(rows[0].size), note: rows[0].note }
}

/** A checkpoint that left the house, without the witnesses' signatures. */
export async function keptNote(
  db: Database,
  bank: string,
  size: number,
): Promise<SignedNote | undefined> {
  return inBank(db, bank, async (tx) => {
    const { rows } = await tx.raw<{ rows: { note: string }[] }>(
      'select note from checkpoints where bank_id = ? and size = ?',
      [bank, size],
    )
    return rows[0] && { size, note: rows[0].note }
  })
}

/** Stores a cosignature, and returns the keys of all who have cosigned that size. */
export async function insertCosignature(
  db: Database,
  bank: string,
  { size, vkey, time, line }: Cosignature,
): Promise<string[]> {
  await inBank(db, bank, (tx) =>
    tx.raw(
      'insert into cosignatures (bank_id, size, vkey, cosigned_at, line) values (?, ?, ?, to_timestamp(?), ?)',
      [bank, size, vkey, time, line],
    ),
  )
  // After the commit: of two that are stored at the same time, the later one must see both.
  return inBank(db, bank, async (tx) => {
    const { rows } = await tx.raw<{ rows: { vkey: string }[] }>(
      'select distinct vkey from cosignatures where bank_id = ? and size = ?',
      [bank, size],
    )
    return rows.map((row) => row.vkey)
  })
}

/** Notes that the cosignatures of a size are a quorum of a policy. */
export async function insertWitnessed(
  db: Database,
  bank: string,
  { policy, size }: { policy: Uint8Array; size: number },
): Promise<void> {
  await inBank(db, bank, (tx) =>
    tx.raw(
      'insert into witnessed (bank_id, policy, size) values (?, ?, ?) on conflict do nothing',
      [bank, Buffer.from(policy), size],
    ),
  )
}

/** The newest checkpoint that a quorum of a policy has cosigned, without the witnesses' signatures; undefined when there is none. */
export async function witnessedNote(
  db: Database,
  bank: string,
  policy: Uint8Array,
): Promise<SignedNote | undefined> {
  return inBank(db, bank, async (tx) => {
    const { rows } = await tx.raw<{ rows: { size: string; note: string }[] }>(
      `select c.size, c.note from checkpoints c where c.bank_id = ? and c.size =
         (select max(w.size) from witnessed w where w.bank_id = ? and w.policy = ?)`,
      [bank, bank, Buffer.from(policy)],
    )
    return rows[0] && { size: Number(rows[0].size), note: rows[0].note }
  })
}

/** The note with the newest cosignature of each witness at its end. */
export async function withCosignatures(
  db: Database,
  bank: string,
  { size, note }: SignedNote,
): Promise<SignedNote> {
  return inBank(db, bank, async (tx) => {
    const { rows } = await tx.raw<{ rows: { line: string }[] }>(
      `select distinct on (vkey) line from cosignatures where bank_id = ? and size = ?
       order by vkey, id desc limit 90`,
      [bank, size],
    )
    return { size, note: note + rows.map(({ line }) => line).join('') }
  })
}

/** How long the oldest entry that no quorum of a policy has seen has waited, ms; 0 when all are seen. */
export async function unwitnessedMs(
  db: Database,
  bank: string,
  policy: Uint8Array,
): Promise<number> {
  return inBank(db, bank, async (tx) => {
    const { rows } = await tx.raw<{ rows: { ms: string }[] }>(
      `select floor(extract(epoch from clock_timestamp() - e.at) * 1000)::bigint as ms from entries e
       where e.bank_id = ? and e.n =
         (select coalesce(max(w.size), 0) from witnessed w where w.bank_id = ? and w.policy = ?)`,
      [bank, bank, Buffer.from(policy)],
    )
    return Number(rows[0]?.ms ?? 0)
  })
}

/** Why signing must not go on, if something stopped it for all. */
export async function signingStop(tx: Tx, bank: string): Promise<string | undefined> {
  const { rows } = await tx.raw<{ rows: { why: string | null }[] }>(
    'select why from signing_stops where bank_id = ? order by id desc limit 1',
    [bank],
  )
  return rows[0]?.why ?? undefined
}

/** Stops the signing of a ledger in every process, or with `undefined` lets it go on in those that start from now on. */
export async function insertSigningStop(
  db: Database,
  bank: string,
  why: string | undefined,
): Promise<void> {
  await inBank(db, bank, (tx) =>
    tx.raw('insert into signing_stops (bank_id, why) values (?, ?)', [bank, why ?? null]),
  )
}
