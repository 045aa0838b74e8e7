import pg from 'pg'
import type { Passwords } from './postgres_cluster.ts'

/** The same server and login, another database. */
export function databaseUrl(url: string, name: string): string {
  const other = new URL(url)
  other.pathname = `/${encodeURIComponent(name)}`
  return other.href
}

/** Runs statements in one session of its own, closed when `work` ends. */
export async function withClient<T>(
  url: string,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

/**
 * Creates a database owned by the user of `ownerUrl`, empty or as a copy of a template that nobody is connected to. Only its
 * owner and `countersign_service` may connect, and only the owner may make tables in it, temporary ones included.
 */
export async function createDatabase(
  ownerUrl: string,
  name: string,
  { template }: { template?: string } = {},
): Promise<void> {
  const database = pg.escapeIdentifier(name)
  const from = template === undefined ? '' : ` template ${pg.escapeIdentifier(template)}`
  await withClient(databaseUrl(ownerUrl, 'postgres'), async (client) => {
    await client.query(`create database ${database}${from}`)
    await client.query(`revoke all on database ${database} from public`)
    await client.query(`grant connect on database ${database} to countersign_service`)
  })
}

/** Drops a database if it is there, and ends the sessions that are still in it. */
export async function dropDatabase(ownerUrl: string, name: string): Promise<void> {
  await withClient(databaseUrl(ownerUrl, 'postgres'), (client) =>
    client.query(`drop database if exists ${pg.escapeIdentifier(name)} with (force)`),
  )
}

/** Makes what a new cluster lacks: the owner, the service role and the database `countersign`. */
export async function provision(
  superuser: pg.Client,
  { ownerUrl, passwords }: { ownerUrl: string; passwords: Passwords },
): Promise<void> {
  const has = async (query: string) => (await superuser.query(query)).rowCount !== 0
  const password = (role: keyof Passwords) => pg.escapeLiteral(passwords[role])
  if (!(await has(`select from pg_roles where rolname = 'countersign_owner'`))) {
    await superuser.query(`
      create role countersign_service login password ${password('countersign_service')};
      create role countersign_owner login createdb createrole password ${password('countersign_owner')};
      grant pg_signal_backend to countersign_owner; -- to drop a database that sessions are still in
      revoke all on database postgres, template1 from public;
      grant connect on database postgres to countersign_owner;
    `)
  }
  if (!(await has(`select from pg_database where datname = 'countersign'`))) {
    await createDatabase(ownerUrl, 'countersign')
  }
}
