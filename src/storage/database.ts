import knex, { type Knex } from 'knex'
import type { Client } from 'pg'
import type { Archive } from './archive.ts'
import type { LostEntries } from './lost_entries.ts'

/** A transaction inside one bank. Every statement of it sees that bank's rows only. */
export type Tx = Knex.Transaction

export interface Database {
  readonly knex: Knex
  /** Where ledgers are exported to, and where entries are that were detached from the database; absent where none is configured. */
  readonly archive?: Archive | undefined
  /** Who is told of signed entries that can be had nowhere; absent where nobody watches. */
  readonly lost?: LostEntries | undefined
}

const silent = () => undefined

/** A pool of at most `connections_max` connections as the service role. Statements are ended after 5 s. */
export function openDatabase(
  url: string,
  {
    connections_max = 10,
    archive,
    lost,
  }: {
    connections_max?: number
    archive?: Archive | undefined
    lost?: LostEntries | undefined
  } = {},
): Database {
  const connection = {
    connectionString: url,
    statement_timeout: 5_000,
    idle_in_transaction_session_timeout: 5_000,
    keepAlive: true,
    application_name: 'countersign',
    pipeline: true, // for `inOneGo`; a transaction of knex waits for each answer all the same
  }
  return {
    archive,
    lost,
    knex: knex({
      client: 'pg',
      connection,
      pool: { min: 0, max: connections_max },
      acquireConnectionTimeout: 2_000,
      // Whoever waits for a query is told what went wrong; nothing is printed beside the log.
      log: { warn: silent, error: silent, deprecate: silent, debug: silent },
    }),
  }
}

/** One durable transaction inside a bank: row-level security shows and accepts that bank's rows only. */
export async function inBank<T>(
  db: Database,
  bank: string,
  work: (tx: Tx) => Promise<T>,
): Promise<T> {
  return db.knex.transaction(async (tx) => {
    await tx.raw(
      "select set_config('app.bank', ?, true), set_config('synchronous_commit', 'on', true)",
      [bank],
    )
    return work(tx)
  })
}

/** Runs in a transaction what is written for `pg`, with `$1`, `$2` and so on for its values; none of them is undefined. */
export async function runNumbered(tx: Tx, text: string, values: readonly unknown[]): Promise<void> {
  const named = Object.fromEntries(values.map((value, i) => [i + 1, value as Knex.RawBinding]))
  await tx.raw(text.replaceAll(/\$(\d+)/g, ':$1'), named)
}

/**
 * One prepared statement in a transaction inside a bank, whose commit is not waited for on disk, in one round trip: for what
 * every request needs. Made of knex's parts it takes four, and is planned each time, which costs more than the rest of it.
 */
export async function inOneGo<R extends object>(
  db: Database,
  bank: string,
  statement: { name: string; text: string; values: readonly unknown[] },
): Promise<R[]> {
  return onConnection(db, async (client) => {
    const begun = client.query(
      `begin; select set_config('app.bank', ${client.escapeLiteral(bank)}, true),
         set_config('synchronous_commit', 'off', true), set_config('plan_cache_mode', 'force_generic_plan', true)`,
    )
    const answered = client.query<R>({ ...statement, values: [...statement.values] })
    const committed = client.query('commit')
    await Promise.allSettled([begun, answered, committed])
    const { rows } = await answered
    await Promise.all([begun, committed])
    return rows
  })
}

/** Lends a connection of the pool. What is begun on it must be ended on it. */
export async function onConnection<T>(
  { knex: { client } }: Database,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const connection: Client = await client.acquireConnection()
  try {
    return await work(connection)
  } finally {
    await client.releaseConnection(connection)
  }
}
