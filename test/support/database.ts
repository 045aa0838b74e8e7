import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { createDatabase, databaseUrl, dropDatabase } from '../../sandbox/postgres_database.ts'

export interface TestDatabase {
  readonly ownerUrl: string
  readonly serviceUrl: string
  /** Close every pool first. */
  drop(): Promise<void>
}

/** A database for one test file: a clone of the run's template, or one with nothing in it. Drop it in `afterAll`. */
export async function testDatabase({ migrated = true } = {}): Promise<TestDatabase> {
  const { COUNTERSIGN_TEST_OWNER_URL: owner, COUNTERSIGN_TEST_SERVICE_URL: service } = process.env
  assert(owner && service, 'tests run under jest, whose global setup starts PostgreSQL')
  const template = new URL(owner).pathname.slice(1)
  const name = `${template.replace('template', 'test')}_${randomBytes(4).toString('hex')}`
  await createDatabase(owner, name, migrated ? { template } : {})
  return {
    ownerUrl: databaseUrl(owner, name),
    serviceUrl: databaseUrl(service, name),
    drop: () => dropDatabase(owner, name),
  }
}
