import pg from 'pg'
import type { Client } from 'pg'
import { openDoor, type Door } from '../src/broker/append.ts'
import type { Signing } from '../src/broker/signing.ts'

/** More make a database slower that shares two cores with everything else (measured at 4, 10, 20). */
const connections_max = 10

/**
 * What most programs would do, for comparison: each draft in a transaction of its own, on a connection of its own from a pool,
 * statement after statement. The checks and rows are the door's, since each draft gets a door to itself, and so a batch of one.
 */
export function openNaiveDoor(databaseUrl: string, signing: Signing): Door {
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    max: connections_max,
    statement_timeout: 2_000,
    options: '-c synchronous_commit=on',
  })
  const connections = {
    acquire: (): Promise<Client> => pool.connect(),
    release: (client: Client, broken: boolean) => (client as pg.PoolClient).release(broken),
  }
  return {
    append: (bank, draft) => openDoor(connections, signing).append(bank, draft),
    close: () => pool.end(),
  }
}
