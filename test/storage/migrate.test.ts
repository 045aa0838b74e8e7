import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { withClient } from '../../sandbox/postgres_database.ts'
import { assertSupported, migrate, pendingMigrations } from '../../src/storage/migrate.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'

let db: TestDatabase
let folder: string

beforeEach(async () => {
  db = await testDatabase({ migrated: false })
  folder = await mkdtemp(join(tmpdir(), 'countersign-migrations-'))
})

afterEach(async () => {
  await db.drop()
  await rm(folder, { recursive: true })
})

const write = (name: string, sql: string) => writeFile(join(folder, name), sql)

const query = (url: string, sql: string) =>
  withClient(url, async (client) => (await client.query<Record<string, unknown>>(sql)).rows)

describe('migrate', () => {
  it('runs each file once, in the order of their numbers', async () => {
    await write('0002_second.sql', `insert into seen values ('second')`)
    await write(
      '0001_first.sql',
      `create table seen (name text); insert into seen values ('first')`,
    )
    await write('schema.sql', 'this is no migration')
    expect(await migrate(db.ownerUrl, { folder })).toEqual(['0001_first.sql', '0002_second.sql'])
    expect(await migrate(db.ownerUrl, { folder })).toEqual([])
    await write('0003_third.sql', `insert into seen values ('third')`)
    expect(await migrate(db.ownerUrl, { folder })).toEqual(['0003_third.sql'])
    expect(await query(db.ownerUrl, 'select name from seen')).toEqual([
      { name: 'first' },
      { name: 'second' },
      { name: 'third' },
    ])
  })

  it('lets any number of processes call it at once', async () => {
    await write('0001_slow.sql', 'create table seen (n int); select pg_sleep(0.05)')
    await write('0002_row.sql', 'insert into seen values (1)')
    const callers = Array.from({ length: 5 }, () => migrate(db.ownerUrl, { folder }))
    const applied = await Promise.all(callers)
    expect(applied.flat()).toEqual(['0001_slow.sql', '0002_row.sql'])
    expect(await query(db.ownerUrl, 'select n from seen')).toEqual([{ n: 1 }])
  })

  it('takes back all of a file that fails, keeps those before it, and names the line', async () => {
    await write('0001_good.sql', 'create table good ()')
    await write('0002_bad.sql', 'create table bad ();\n\ncreate table worse (name texxt);')
    await expect(migrate(db.ownerUrl, { folder })).rejects.toThrow(
      'migrations/0002_bad.sql:3: type "texxt" does not exist',
    )
    expect(await pendingMigrations(db.ownerUrl, { folder })).toEqual(['0002_bad.sql'])
    expect(
      await query(db.ownerUrl, `select to_regclass('good') as good, to_regclass('bad') as bad`),
    ).toEqual([{ good: 'good', bad: null }])
    await write('0002_bad.sql', 'create table bad ()')
    expect(await migrate(db.ownerUrl, { folder })).toEqual(['0002_bad.sql'])
  })

  it('sends the SQL as it is written, question marks and backslashes too', async () => {
    await write(
      '0001_marks.sql',
      String.raw`create view marks as select '{"a":1}'::jsonb ? 'a' as has, '\?' as text`,
    )
    await migrate(db.ownerUrl, { folder })
    expect(await query(db.ownerUrl, 'select has, text from marks')).toEqual([
      { has: true, text: String.raw`\?` },
    ])
  })

  it('leaves alone what a newer version has migrated', async () => {
    await write('0001_old.sql', 'select 1')
    await write('0002_new.sql', 'select 1')
    await migrate(db.ownerUrl, { folder })
    await rm(join(folder, '0002_new.sql'))
    expect(await migrate(db.ownerUrl, { folder })).toEqual([])
    expect(await pendingMigrations(db.ownerUrl, { folder })).toEqual([])
  })

  it('refuses a PostgreSQL older than 15', () => {
    expect(() => assertSupported('14.19 (Debian 14.19-1)')).toThrow(
      'PostgreSQL 15 or later is needed; this server is 14.19 (Debian 14.19-1)',
    )
    expect(() => assertSupported('15.0')).not.toThrow()
    expect(() => assertSupported('19beta1')).not.toThrow()
  })
})

describe('pendingMigrations', () => {
  it('tells the service role what is missing, and that role can do nothing else to the record', async () => {
    await write('0001_one.sql', 'select 1')
    expect(await pendingMigrations(db.serviceUrl, { folder })).toEqual(['0001_one.sql'])
    await migrate(db.ownerUrl, { folder })
    await write('0002_two.sql', 'select 1')
    expect(await pendingMigrations(db.serviceUrl, { folder })).toEqual(['0002_two.sql'])
    for (const sql of [
      'select batch from migrations',
      `insert into migrations (name) values ('0002_two.sql')`,
      'delete from migrations',
      'select is_locked from migrations_lock',
    ]) {
      await expect(query(db.serviceUrl, sql)).rejects.toThrow('permission denied')
    }
  })
})
