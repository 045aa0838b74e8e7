import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { withClient } from '../../sandbox/postgres_database.ts'
import { pendingMigrations } from '../../src/storage/migrate.ts'
import { restartablePostgres, type RestartablePostgres } from './restartable_postgres.ts'

let postgres: RestartablePostgres

beforeAll(async () => {
  postgres = await restartablePostgres({ fsync: 'off' })
  await run('create table seen (n int)')
})

afterAll(() => postgres.drop())

const run = (sql: string) =>
  withClient(postgres.ownerUrl, async (client) => (await client.query<{ n: number }>(sql)).rows)

it('is migrated, and takes the settings it was given', async () => {
  expect(await pendingMigrations(postgres.serviceUrl)).toEqual([])
  expect(await run('show fsync')).toEqual([{ fsync: 'off' }])
})

it('has under the same address what was committed before it was killed', async () => {
  await run('insert into seen values (1)')
  await postgres.kill()
  await expect(run('select n from seen')).rejects.toThrow('ECONNREFUSED')
  await postgres.start()
  expect(await run('select n from seen')).toEqual([{ n: 1 }])
})

it('is rolled back to the snapshot as often as asked, running or killed', async () => {
  await postgres.snapshot()
  await run('insert into seen values (2)')
  await postgres.restore()
  expect(await run('select n from seen')).toEqual([{ n: 1 }])
  await run('insert into seen values (3)')
  await postgres.kill()
  await postgres.restore()
  expect(await run('select n from seen')).toEqual([{ n: 1 }])
})
