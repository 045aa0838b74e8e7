import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { startPostgres } from '../../sandbox/postgres.ts'
import {
  createDatabase,
  databaseUrl,
  dropDatabase,
  withClient,
} from '../../sandbox/postgres_database.ts'
import { migrate } from '../../src/storage/migrate.ts'
import { guardedDirectory } from './guarded_directory.ts'

/** The server of one test run. Both URLs name the run's migrated template, which tests clone and never enter. */
export interface TestServer {
  readonly ownerUrl: string
  readonly serviceUrl: string
  stop(): Promise<void>
}

/** An embedded PostgreSQL of this run alone, or with a DATABASE_URL that server, with nothing left in it by `stop`. */
export async function startTestServer(databaseUrlGiven: string | undefined): Promise<TestServer> {
  const run = randomBytes(4).toString('hex')
  const server = databaseUrlGiven ? await enterServer(databaseUrlGiven, run) : await startEmbedded()
  try {
    const template = `countersign_template_${run}`
    await createDatabase(server.ownerUrl, template)
    const ownerUrl = databaseUrl(server.ownerUrl, template)
    await migrate(ownerUrl)
    return { ownerUrl, serviceUrl: databaseUrl(server.serviceUrl, template), stop: server.stop }
  } catch (error) {
    await server.stop()
    throw error
  }
}

async function startEmbedded(): Promise<TestServer> {
  const { directory, clean } = guardedDirectory()
  try {
    const postgres = await startPostgres({ directory })
    return { ...postgres, stop: () => postgres.stop().finally(clean) }
  } catch (error) {
    await clean()
    throw error
  }
}

/**
 * Tests log in to a server that is not ours as a member of `countersign_service` made for the run: that role itself may be in
 * use, and its password is not ours to change.
 */
async function enterServer(ownerUrl: string, run: string): Promise<TestServer> {
  const member = `countersign_test_${run}`
  const password = randomBytes(24).toString('base64url')
  await withClient(ownerUrl, async (client) => {
    const { rowCount } = await client.query(
      `select from pg_roles where rolname = 'countersign_service'`,
    )
    if (rowCount === 0) await client.query('create role countersign_service nologin')
    await client.query(
      `create role ${member} login password ${pg.escapeLiteral(password)} in role countersign_service`,
    )
  })
  const serviceUrl = new URL(ownerUrl)
  serviceUrl.username = member
  serviceUrl.password = password
  return { ownerUrl, serviceUrl: serviceUrl.href, stop: () => leaveServer(ownerUrl, run) }
}

async function leaveServer(ownerUrl: string, run: string): Promise<void> {
  await withClient(ownerUrl, async (client) => {
    const { rows } = await client.query<{ name: string }>(
      `select datname as name from pg_database where datname ~ '^countersign_(template|test)_${run}'`,
    )
    for (const { name } of rows) await dropDatabase(ownerUrl, name)
    await client.query(`drop role countersign_test_${run}`)
  })
}
