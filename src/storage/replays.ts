import { batched } from './batched.ts'
import { onConnection, type Database } from './database.ts'
import { hashOf } from './ids.ts'

/** A value that is accepted once, and would be refused for its age after `expires` (milliseconds since the epoch). */
export interface Once {
  readonly value: string
  readonly expires: number
}

/** Takes a value. True for one caller among all processes, false for every other. */
export type ClaimOnce = (once: Once) => Promise<boolean>

const batch_max = 256

/** Values are kept for longer than they could be accepted, by as much as the clocks of two processes may differ. */
const clocks_ms = 60_000

/** One statement for all values that arrive while another is at the database. */
export function openReplays(db: Database): ClaimOnce {
  return batched((many: readonly Once[]) => claimMany(db, many), { max: batch_max })
}

/**
 * The commit is not waited for on disk: what a crash forgets is at most the last moments' values, and those are refused for
 * their age a minute or five later. Hashes go in order, so that two processes with the same values cannot wait for each other.
 */
const claimSql = `
  with relaxed as materialized (select set_config('synchronous_commit', 'off', true))
  insert into replays (hash, expires_at)
  select r.hash, to_timestamp(r.expires / 1000.0)
  from relaxed, unnest($1::bytea[], $2::bigint[]) as r(hash, expires)
  order by r.hash
  on conflict do nothing
  returning hash`

async function claimMany(db: Database, many: readonly Once[]): Promise<boolean[]> {
  const hashes = many.map(({ value }) => hashOf(value))
  const expiries = many.map(({ expires }) => Math.ceil(expires) + clocks_ms)
  const { rows } = await onConnection(db, (client) =>
    client.query<{ hash: Buffer }>({ name: 'claim', text: claimSql, values: [hashes, expiries] }),
  )
  const taken = new Set(rows.map(({ hash }) => hash.toString('base64')))
  // The first caller of a batch has the value; `delete` tells the second that it is gone.
  return hashes.map((hash) => taken.delete(hash.toString('base64')))
}
