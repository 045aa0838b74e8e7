import knex, { type Knex } from 'knex'

/** A transaction inside one bank. Every statement of it sees that bank's rows only. */
export type Tx = Knex.Transaction

export interface Database {
  readonly knex: Knex
}

const silent = () => undefined

/** A pool of at most `connections_max` connections as the service role. Statements are ended after 5 s. */
export function openDatabase(url: string, { connections_max = 10 } = {}): Database {
  return {
    knex: knex({
      client: 'pg',
      connection: {
        connectionString: url,
        statement_timeout: 5_000,
        idle_in_transaction_session_timeout: 5_000,
        keepAlive: true,
        application_name: 'countersign',
      },
      pool: { min: 0, max: connections_max },
      acquireConnectionTimeout: 2_000,
      // Whoever waits for a query is told what went wrong; nothing is printed beside the log.
      log: { warn: silent, error: silent, deprecate: silent, debug: silent },
    }),
  }
}

/**
 * One transaction inside a bank: row-level security shows and accepts that bank's rows only. With `durable: false` the commit
 * is not waited for on disk: only for what may be lost in a crash without harm.
 */
export async function inBank<T>(
  db: Database,
  bank: string,
  work: (tx: Tx) => Promise<T>,
  { durable = true } = {},
): Promise<T> {
  return db.knex.transaction(async (tx) => {
    await tx.raw(
      "select set_config('app.bank', ?, true), set_config('synchronous_commit', ?, true)",
      [bank, durable ? 'on' : 'off'],
    )
    return work(tx)
  })
}
