import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import knex, { type Knex } from 'knex'
import pg from 'pg'

const postgres_version_min = 15

const places = ['../../migrations', '../../../migrations'].map((path) =>
  join(import.meta.dirname, path),
)

/** In the package's root, whether the sources run or their build in dist. */
export const migrationsFolder = places.find((path) => existsSync(path)) ?? String(places[0])

/**
 * Brings the database to the newest schema: runs each `NNNN_name.sql` that it has not seen, in order, each in a transaction of
 * its own, and returns their names. Any number of processes may call it at once: one migrates, the others wait and find
 * nothing left to do. Names that the database knows and the folder does not are left alone, so that an older process beside
 * a newer one does no harm. Throws before any change on a PostgreSQL older than 15, and names file and line of SQL that fails.
 */
export async function migrate(
  ownerUrl: string,
  { folder = migrationsFolder } = {},
): Promise<string[]> {
  const db = knex({
    client: 'pg',
    connection: { connectionString: ownerUrl, application_name: 'countersign migrate' },
    pool: { min: 0, max: 2 }, // the lock's session and the migrations'
    log: { warn() {}, error() {}, deprecate() {}, debug() {} }, // what they say is thrown too
    migrations: {
      tableName: 'migrations',
      migrationSource: sqlFiles(folder),
      disableMigrationsListValidation: true,
    },
  })
  try {
    await refuseOldPostgres(db)
    return await db.transaction(async (lock) => {
      await lock.raw('set local idle_in_transaction_session_timeout = 0')
      // knex's own lock is no lock for whoever comes while its tables are being made.
      await lock.raw(`select pg_advisory_xact_lock(hashtext('countersign migrate'))`)
      const applied = await upToNewest(db)
      await lock.raw(letServiceRead)
      return applied
    })
  } finally {
    await db.destroy()
  }
}

/**
 * The migrations that the database has not seen, by name. Works as the service role, so that a process can refuse to start
 * on a database that is behind it.
 */
export async function pendingMigrations(
  url: string,
  { folder = migrationsFolder } = {},
): Promise<string[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const { rows } = await client.query<{ name: string }>('select name from migrations')
    const seen = new Set(rows.map(({ name }) => name))
    return (await listFiles(folder)).filter((name) => !seen.has(name))
  } catch (error) {
    const undefinedTable = error instanceof pg.DatabaseError && error.code === '42P01'
    if (undefinedTable) return await listFiles(folder)
    throw error
  } finally {
    await client.end()
  }
}

const letServiceRead = `
  do $$
  begin
    if exists (select from pg_roles where rolname = 'countersign_service') then
      grant select (name) on migrations to countersign_service;
    end if;
  end
  $$`

async function upToNewest(db: Knex): Promise<string[]> {
  const applied: string[] = []
  for (;;) {
    const [, names]: [number, string[]] = await db.migrate.up()
    if (names.length === 0) return applied
    applied.push(...names)
  }
}

async function refuseOldPostgres(db: Knex): Promise<void> {
  const { rows } = await db.raw<{ rows: { version: string }[] }>(
    `select current_setting('server_version') as version`,
  )
  assertSupported(rows[0]?.version ?? '')
}

/** Throws for a PostgreSQL, as its `server_version` names it, that is too old for us. */
export function assertSupported(version: string): void {
  if (Number.parseInt(version) >= postgres_version_min) return
  throw new Error(
    `PostgreSQL ${postgres_version_min} or later is needed; this server is ${version}`,
  )
}

function sqlFiles(folder: string): Knex.MigrationSource<string> {
  return {
    getMigrations: () => listFiles(folder),
    getMigrationName: (file) => file,
    getMigration: async (file) => {
      const sql = await readFile(join(folder, file), 'utf8')
      return {
        up: (tx) => run(tx, { file, sql }),
        down: () => Promise.reject(new Error('migrations only go forward')),
      }
    },
  }
}

async function listFiles(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => /^\d{4}_\w+\.sql$/.test(name)).sort()
}

/** On the transaction's own connection: knex's raw() would take every question mark for a parameter. */
async function run(tx: Knex, { file, sql }: { file: string; sql: string }): Promise<void> {
  const connection: pg.ClientBase = await tx.client.acquireConnection()
  try {
    await connection.query(sql)
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error
    const line = sql.slice(0, Number(error.position ?? 0)).split('\n').length
    throw new Error(`migrations/${file}:${line}: ${error.message}`, { cause: error })
  }
}
