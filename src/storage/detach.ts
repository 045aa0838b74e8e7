import pg, { type Client } from 'pg'
import { equalBytes } from '../merkle/hash.ts'
import { tileWidth } from '../merkle/tiles.ts'
import { leafHash } from '../merkle/tree.ts'
import type { Archive } from './archive.ts'
import { readArchivedBundle } from './detached_entries.ts'
import { nodeHasher } from './node_crypto.ts'

/** What there is much of, and what nothing looks for by its columns once it is old. */
const bulk = ['release', 'refusal', 'access'] as const

/** A partition of the entries that was replaced by what has to stay of it. */
export interface Detached {
  readonly partition: string
  /** Rows that are in the archive alone now, and rows that stayed. */
  readonly gone: number
  readonly stayed: number
  /** The table that was detached: nothing reads it, and dropping it frees its space. */
  readonly table: string
}

/** Nothing was detached; the message says what stands in the way. */
export class NotDetached extends Error {
  override readonly name = 'NotDetached'
}

/**
 * Detaches the entries before a time that an archive holds: each partition of which at least `rowsMin` rows can go is replaced by
 * one with the rows that stay. Those are what is newer, what is not signed, what the archive does not hold yet, every kind that is looked for whatever
 * its age, and each consent's first and last release. Leaf hashes and subtree hashes are not touched. Before a row goes, the bundle
 * of the archive that holds it was read, and its entries hashed: they are what the ledger says. The table is locked for the swap
 * alone. Works as the owner; after a crash it is done again. Throws `NotDetached` where the archive holds something else.
 */
export async function detachEntries(
  ownerUrl: string,
  archive: Archive,
  { before, rowsMin }: { before: Date; rowsMin: number },
): Promise<Detached[]> {
  const client = new pg.Client({
    connectionString: ownerUrl,
    application_name: 'countersign detach',
  })
  await client.connect()
  try {
    await client.query(
      'create temporary table bounds (bank_id text primary key, n bigint not null, copied bigint not null default -1)',
    )
    await refuseWhileRestoring(client)
    const detached: Detached[] = []
    for (const partition of await partitionsOf(client)) {
      await findBounds(client, archive, { partition, before })
      if ((await rowsToGo(client, partition)) >= rowsMin)
        detached.push(await replacePartition(client, partition))
    }
    return detached
  } finally {
    await client.end()
  }
}

/** A ledger under restoration has entries and no head yet: they would not be found to stay. */
async function refuseWhileRestoring(client: Client): Promise<void> {
  const { rows } = await client.query<{ bank_id: string }>(
    `select bank_id from restores group by bank_id having not bool_or(phase = 'finished')`,
  )
  if (rows[0] !== undefined)
    throw new NotDetached(`${rows[0].bank_id} is being restored: finish that first`)
}

interface Partition {
  readonly name: string
  readonly from: number
  /** Undefined for the last one, which has no end. */
  readonly to: number | undefined
  readonly bounds: string
}

async function partitionsOf(client: Client): Promise<Partition[]> {
  const { rows } = await client.query<{ name: string; bounds: string }>(
    `select c.relname as name, pg_get_expr(c.relpartbound, c.oid) as bounds from pg_inherits i
     join pg_class c on c.oid = i.inhrelid where i.inhparent = 'entries'::regclass order by c.relname`,
  )
  return rows.map(({ name, bounds }) => {
    const [, from = '', to] = /FROM \('?(\d+)'?\) TO \((?:'?(\d+)'?|MAXVALUE)\)/.exec(bounds) ?? []
    if (!/^[a-z0-9_]+$/.test(name) || from === '')
      throw new NotDetached(`${name} is no partition by range: ${bounds}`)
    return { name, bounds, from: Number(from), to: to === undefined ? undefined : Number(to) }
  })
}

/** For each bank, up to which index its entries in a partition are signed, old, and in the archive. */
async function findBounds(
  client: Client,
  archive: Archive,
  { partition, before }: { partition: Partition; before: Date },
): Promise<void> {
  await client.query('truncate bounds')
  const { rows } = await client.query<{ bank_id: string; old: string }>(
    `select e.bank_id, max(e.n) + 1 as old from ${partition.name} e
     join ledger_signed s on s.bank_id = e.bank_id and e.n < s.size where e.at < $1 group by e.bank_id`,
    [before],
  )
  for (const { bank_id: bank, old } of rows) {
    const n = await heldUpTo(client, archive, { bank, from: partition.from, to: Number(old) })
    await client.query('insert into bounds (bank_id, n) values ($1, $2)', [bank, n])
  }
}

/** Up to which index the archive holds full bundles, without a gap, of exactly the entries that were hashed into the ledger. */
async function heldUpTo(
  client: Client,
  archive: Archive,
  { bank, from, to }: { bank: string; from: number; to: number },
): Promise<number> {
  let n = from
  while (n + tileWidth <= to) {
    const bundle = await readArchivedBundle(archive, bank, n / tileWidth)
    if (bundle === undefined) return n
    const { rows } = await client.query<{ hash: Buffer }>(
      'select hash from leaf_hashes where bank_id = $1 and n >= $2 and n < $3 order by n',
      [bank, n, n + tileWidth],
    )
    const hashes = bundle.map((entry) => leafHash(nodeHasher, entry))
    if (!equalBytes(Buffer.concat(hashes), Buffer.concat(rows.map(({ hash }) => hash))))
      throw new NotDetached(
        `${archive.place} does not hold what the ledger of ${bank} does from entry ${n} on: nothing is detached`,
      )
    n += tileWidth
  }
  return n
}

/** Of a partition's entries `e` with its `bounds`, those that can go: `$1` is what there is much of. */
const ends = (partition: string) => `
  with ends as (
    select bank_id, min(n) as first, max(n) as last from ${partition} where kind = 'release' group by bank_id, consent_id
  )`
const goes = `(e.n < b.n and e.kind = any($1)
  and not exists (select from ends d where d.bank_id = e.bank_id and e.n in (d.first, d.last)))`

async function rowsToGo(client: Client, { name }: Partition): Promise<number> {
  const { rows } = await client.query<{ rows: string }>(
    `${ends(name)} select count(*) as rows from ${name} e join bounds b on b.bank_id = e.bank_id where ${goes}`,
    [bulk],
  )
  return Number(rows[0]?.rows)
}

const columns = 'bank_id, n, kind, at, consent_id, leaf'
const copied = 'e.bank_id, e.n, e.kind, e.at, e.consent_id, e.leaf'

async function replacePartition(client: Client, partition: Partition): Promise<Detached> {
  const { name, from, to } = partition
  const [kept, table] = [`${name}_kept`, `${name}_detached`]
  const { rows } = await client.query<{ there: boolean }>(
    'select to_regclass($1) is not null as there',
    [table],
  )
  if (rows[0]?.there === true)
    throw new NotDetached(`${table} is there from the last time: drop it first`)
  const range = to === undefined ? `n >= ${from}` : `n >= ${from} and n < ${to}`
  const stayed = await inTransaction(client, 'isolation level repeatable read', async () => {
    await client.query(`drop table if exists ${kept}`)
    await client.query(
      `create table ${kept} (like entries including defaults including constraints including indexes including storage, check (${range}))`,
    )
    await client.query(
      `update bounds b set copied = (select max(n) from ${name} e where e.bank_id = b.bank_id)`,
    )
    const { rowCount } = await client.query(
      `${ends(name)} insert into ${kept} (${columns})
       select ${copied} from ${name} e join bounds b on b.bank_id = e.bank_id where not ${goes}`,
      [bulk],
    )
    return rowCount ?? 0
  })
  const late = await swap(client, partition, { kept, table })
  const { rows: had } = await client.query<{ rows: string }>(
    `select count(*) as rows from ${table}`,
  )
  const left = stayed + late
  return { partition: name, stayed: left, gone: Number(had[0]?.rows) - left, table }
}

/**
 * Puts one table in the place of the other, with what was appended since it was filled; returns how many rows that was. Whoever
 * appends waits meanwhile, so each bank's rows are found by the key.
 */
async function swap(
  client: Client,
  { name, bounds }: Partition,
  { kept, table }: { kept: string; table: string },
): Promise<number> {
  return inTransaction(client, '', async () => {
    await client.query(`set local lock_timeout = '10s'`)
    await client.query('lock table entries in access exclusive mode')
    const { rowCount } = await client.query(
      `insert into ${kept} (${columns})
       select ${copied} from ledger_heads h left join bounds b on b.bank_id = h.bank_id
       cross join lateral (select * from ${name} e where e.bank_id = h.bank_id and e.n > coalesce(b.copied, -1)) e`,
    )
    await client.query(`alter table entries detach partition ${name}`)
    await client.query(`alter table ${name} rename to ${table}`)
    await client.query(`alter table ${kept} rename to ${name}`)
    await client.query(`alter table entries attach partition ${name} ${bounds}`)
    return rowCount ?? 0
  })
}

async function inTransaction<T>(client: Client, mode: string, work: () => Promise<T>): Promise<T> {
  await client.query(`begin ${mode}`)
  try {
    const result = await work()
    await client.query('commit')
    return result
  } catch (error) {
    await client.query('rollback')
    throw error
  }
}
