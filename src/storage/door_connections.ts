import pg, { type Client } from 'pg'

/**
 * Connections kept for the door alone, so that nothing else can keep a revocation waiting. Commits are waited for on disk, a
 * statement and an idle transaction end after 2 s (a stopped process must not hold a bank's lock), statements leave
 * without waiting for each other's answers, and are planned once: planning them each time costs more than running them.
 */
export function openDoorConnections(url: string, { connections_max }: { connections_max: number }) {
  const pool = new pg.Pool({
    connectionString: url,
    max: connections_max,
    connectionTimeoutMillis: 2_000,
    statement_timeout: 2_000,
    idle_in_transaction_session_timeout: 2_000,
    query_timeout: 3_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 1_000,
    pipeline: true,
    options: '-c synchronous_commit=on -c plan_cache_mode=force_generic_plan',
    application_name: 'countersign door',
  })
  // A connection that breaks fails its queries, and is replaced by the next acquire; unheard, its own error, whether it breaks
  // idle or in use, would end the process.
  pool.on('error', () => undefined)
  pool.on('connect', (client) => client.on('error', () => undefined))
  return {
    acquire: (): Promise<Client> => pool.connect(),
    release: (client: Client, broken: boolean) => {
      ;(client as pg.PoolClient).release(broken)
    },
    close: () => pool.end(),
  }
}
