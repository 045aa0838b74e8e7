import { readEntry } from '../ledger/entry.ts'
import type { Totals } from '../ledger/totals.ts'
import type { TileReader } from '../merkle/proof.ts'
import type { ReadSumTile } from '../merkle/sum_proof.ts'
import { sumLeaf, type SumNode } from '../merkle/sum_tree.ts'
import { hashBytes } from '../merkle/hash.ts'
import { tileWidth, widthAt, type Tile } from '../merkle/tiles.ts'
import { chosen, readDetached, type Which } from './detached_entries.ts'
import { EntriesLost, lostWords } from './lost_entries.ts'
import { signedSize } from './signed.ts'
import { inBank, inOneGo, type Database, type Tx } from './database.ts'
import { insertHead, type Head } from './ledger_head.ts'
import { saveKey } from './ledger_keys.ts'
import { nodeHasher } from './node_crypto.ts'

/** A ledger's first row of everything. False, and nothing done, when the bank has one already. */
export async function insertLedger(
  tx: Tx,
  bank: string,
  first: Head & { readonly leaf: Buffer; readonly hash: Uint8Array; readonly draftId: string },
): Promise<boolean> {
  if (!(await insertHead(tx, bank, first))) return false
  await saveKey(tx, bank, { owner: 'ledger', key: first.vkey, use: 'active' })
  await tx.raw(`insert into entries (bank_id, n, kind, at, leaf) values (?, 0, 'genesis', ?, ?)`, [
    bank,
    first.at,
    first.leaf,
  ])
  await tx.raw('insert into leaf_hashes (bank_id, n, hash) values (?, 0, ?)', [
    bank,
    Buffer.from(first.hash),
  ])
  await tx.raw('insert into draft_ids (bank_id, draft_id, n) values (?, ?, 0)', [
    bank,
    first.draftId,
  ])
  return true
}

/** The head of a bank's ledger; undefined when none is open. */
export async function findLedger(
  db: Database,
  bank: string,
): Promise<{ origin: string; vkey: string; size: number; totals: Totals } | undefined> {
  return inBank(db, bank, async (tx) => {
    const { rows } = await tx.raw<{
      rows: { origin: string; vkey: string; size: string; totals: Totals }[]
    }>('select origin, vkey, size, totals from ledger_heads where bank_id = ?', [bank])
    return rows[0] === undefined ? undefined : { ...rows[0], size: Number(rows[0].size) }
  })
}

/**
 * Entries' bytes in order of their index; those that are not signed yet are left out where there are none. Those that were detached come
 * from the archive. Throws `ArchiveUnavailable` where it does not answer, and `EntriesLost` where a signed one is nowhere.
 */
export async function readLeaves(db: Database, bank: string, which: Which): Promise<Buffer[]> {
  let found = await findLeaves(db, bank, which)
  if (found.size < chosen(which).count) {
    const signed = await signedSize(db, bank)
    // Looked for again, since what is signed by now may have been entered after the first look.
    found = await findLeaves(db, bank, which)
    refuseLost(
      db,
      bank,
      indexesOf(which, signed).filter((n) => !found.has(n)),
    )
  }
  db.lost?.found(bank, found.keys())
  return [...found].toSorted(([a], [b]) => a - b).map(([, leaf]) => leaf)
}

async function findLeaves(db: Database, bank: string, which: Which): Promise<Map<number, Buffer>> {
  const { where, bindings, count } = chosen(which)
  const held = await inBank(db, bank, async (tx) => {
    const { rows } = await tx.raw<{ rows: { n: string; leaf: Buffer }[] }>(
      `select n, leaf from entries where bank_id = ? and ${where} order by n`,
      [bank, ...bindings],
    )
    return rows.map(({ n, leaf }) => [Number(n), leaf] as const)
  })
  const detached = held.length === count ? [] : await readDetached(db, bank, which)
  return new Map([...held, ...detached])
}

/** Tells who watches of signed entries that are nowhere, and throws `EntriesLost`. */
function refuseLost(db: Database, bank: string, ns: readonly number[]): void {
  if (ns.length === 0) return
  const why =
    db.archive === undefined
      ? 'not in the database, and no archive is configured (ARCHIVE)'
      : `in neither the database nor ${db.archive.place}`
  db.lost?.note(bank, { ns, why })
  throw new EntriesLost(`${bank}: ${lostWords(ns, why)}`)
}

/** The indexes below `size`. */
const indexesOf = (which: Which, size: number): number[] =>
  'at' in which
    ? which.at.filter((n) => n < size)
    : Array.from(
        { length: Math.max(0, Math.min(which.to, size) - which.from) },
        (_, i) => which.from + i,
      )

/** The newest epoch entry below an index. Epochs are never detached. */
export const newestEpoch = (
  db: Database,
  bank: string,
  below: number,
): Promise<{ n: number } | undefined> =>
  oneEpoch(db, bank, { where: 'n < ? order by n desc', bindings: [below] })

/** The first epoch entry in [from, size). */
export const epochFrom = (
  db: Database,
  bank: string,
  { from, size }: { from: number; size: number },
): Promise<{ n: number } | undefined> =>
  oneEpoch(db, bank, { where: 'n >= ? and n < ? order by n', bindings: [from, size] })

async function oneEpoch(
  db: Database,
  bank: string,
  { where, bindings }: { where: string; bindings: readonly number[] },
): Promise<{ n: number } | undefined> {
  return inBank(db, bank, async (tx) => {
    const { rows } = await tx.raw<{ rows: { n: string }[] }>(
      `select n from entries where bank_id = ? and kind = 'epoch' and ${where} limit 1`,
      [bank, ...bindings],
    )
    return rows[0] === undefined ? undefined : { n: Number(rows[0].n) }
  })
}

/**
 * The first of the entries [0, size) that is not before a time; `size` when all are. None is earlier than the one before it. As far as
 * the index for auditors reaches, that is one query, and no archive is read: anyone may ask.
 */
export async function firstEntryFrom(
  db: Database,
  bank: string,
  { at, size }: { at: string; size: number },
): Promise<number> {
  const indexed = await firstIndexed(db, bank, { at, size })
  if (indexed.n < indexed.of) return indexed.n
  let [low, high] = [indexed.of, size]
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    if ((await timeOf(db, bank, middle)) < at) low = middle + 1
    else high = middle
  }
  return low
}

/** The first of the indexed entries [0, of) that is not before a time, `of` when all are. */
async function firstIndexed(
  db: Database,
  bank: string,
  { at, size }: { at: string; size: number },
): Promise<{ n: number; of: number }> {
  return inBank(db, bank, async (tx) => {
    const { rows } = await tx.raw<{ rows: { n: string | null; of: string }[] }>(
      `select least(size, :size) as of, audit_first_at(:bank, cast(:at as timestamptz), least(size, :size)) as n
       from audit_progress where bank_id = :bank`,
      { bank, at, size },
    )
    const [found] = rows
    return found === undefined || found.n === null
      ? { n: 0, of: 0 }
      : { n: Number(found.n), of: Number(found.of) }
  })
}

async function timeOf(db: Database, bank: string, n: number): Promise<string> {
  const held = await inBank(db, bank, async (tx) => {
    const { rows } = await tx.raw<{ rows: { at: Date }[] }>(
      'select at from entries where bank_id = ? and n = ?',
      [bank, n],
    )
    return rows[0]?.at
  })
  if (held !== undefined) return held.toISOString()
  const [leaf] = await readLeaves(db, bank, { at: [n] })
  if (leaf === undefined) throw new Error(`${bank} has no entry ${n}`)
  return readEntry(leaf).at
}

/** The totals that a ledger's sum tree covers, in its order. */
export async function sumNames(db: Database, bank: string): Promise<readonly string[]> {
  return inBank(db, bank, async (tx) => {
    const { rows } = await tx.raw<{ rows: { sum_names: string[] }[] }>(
      'select sum_names from ledger_heads where bank_id = ?',
      [bank],
    )
    return rows[0]?.sum_names ?? []
  })
}

/** Tiles of the sum tree: level 0 made of leaf hashes and what each entry counts, higher ones from the stored nodes. */
export const sumTiles =
  (db: Database, bank: string, names: readonly string[]): ReadSumTile =>
  async ({ level, index, width }) => {
    const from = index * 256
    const nodes = await inBank(db, bank, (tx) =>
      level === 0
        ? sumLeaves(tx, bank, { from, to: from + width, k: names.length })
        : sumNodes(tx, bank, { from, to: from + width, level }),
    )
    if (nodes.length !== width)
      throw new Error(`tile ${level}/${index} has ${nodes.length} of ${width} sums`)
    return nodes
  }

async function sumLeaves(
  tx: Tx,
  bank: string,
  { from, to, k }: { from: number; to: number; k: number },
): Promise<SumNode[]> {
  const { rows } = await tx.raw<{
    rows: { hash: Buffer; total: number | null; raised_by: string | null }[]
  }>(
    'select hash, total, raised_by from leaf_hashes where bank_id = ? and n >= ? and n < ? order by n',
    [bank, from, to],
  )
  return rows.map(({ hash, total, raised_by }) => {
    const counts = Array.from({ length: k }, (_, i) => (i === total ? Number(raised_by) : 0))
    return sumLeaf(nodeHasher, counts, hash)
  })
}

async function sumNodes(
  tx: Tx,
  bank: string,
  { from, to, level }: { from: number; to: number; level: number },
): Promise<SumNode[]> {
  const { rows } = await tx.raw<{ rows: { sum: Buffer }[] }>(
    'select sum from subtree_hashes where bank_id = ? and i >= ? and i < ? and level = ? order by i',
    [bank, from, to, level],
  )
  return rows.map(({ sum }) => sum)
}

/** Tiles cut from the stored hashes: level 0 from leaf hashes, higher ones from the roots of full subtrees. */
export const databaseTiles = (db: Database, bank: string): TileReader => ({
  async readTile(tile) {
    const { hashes } = await readTile(db, bank, tile)
    if (hashes.length !== tile.width * hashBytes)
      throw new Error(`tile ${tile.level}/${tile.index} has ${hashes.length} of its bytes`)
    return hashes
  },
})

/** A tile, if the newest signed checkpoint covers all of it. */
export async function signedTile(
  db: Database,
  bank: string,
  tile: Tile,
): Promise<Buffer | undefined> {
  const { signed, hashes } = await readTile(db, bank, tile)
  return tile.width <= widthAt(signed, tile) ? hashes : undefined
}

const tileReads = {
  leaves: `select (select size from ledger_signed where bank_id = $1) as signed,
    (select string_agg(hash, ''::bytea order by n) from leaf_hashes where bank_id = $1 and n >= $2 and n < $3) as hashes`,
  subtrees: `select (select size from ledger_signed where bank_id = $1) as signed,
    (select string_agg(hash, ''::bytea order by i) from subtree_hashes
      where bank_id = $1 and i >= $2 and i < $3 and level = $4) as hashes`,
} as const

/** A tile and how many entries are signed, in one round trip: tiles are what others read most. */
async function readTile(
  db: Database,
  bank: string,
  { level, index, width }: Tile,
): Promise<{ signed: number; hashes: Buffer }> {
  const from = index * tileWidth
  const [of, values] =
    level === 0
      ? (['leaves', [bank, from, from + width]] as const)
      : (['subtrees', [bank, from, from + width, level]] as const)
  const [row] = await inOneGo<{ signed: string | null; hashes: Buffer | null }>(db, bank, {
    ...{ name: `read_tile_${of}`, text: tileReads[of], values },
  })
  return { signed: Number(row?.signed ?? 0), hashes: row?.hashes ?? Buffer.alloc(0) }
}
