import { afterAll, beforeAll, expect, it } from '@jest/globals'
import pg from 'pg'
import { describeSchema, difference } from '../../sandbox/schema_text.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'

let db: TestDatabase
let client: pg.Client

beforeAll(async () => {
  db = await testDatabase()
  client = new pg.Client({ connectionString: db.ownerUrl })
  await client.connect()
})

afterAll(async () => {
  await client.end()
  await db.drop()
})

/** What a change to the schema changes in its text; the database is left as it was. */
async function changeOf(sql: string): Promise<string | undefined> {
  const before = await describeSchema(client)
  await client.query(`begin; ${sql}`)
  try {
    return difference(before, await describeSchema(client))
  } finally {
    await client.query('rollback')
  }
}

it.each([
  ['alter table replays add note varchar(9) default 1', '  note character varying(9) default 1'],
  ['alter table replays alter expires_at drop not null', '+  expires_at timestamp with time zone,'],
  ['alter table replays add constraint c check (true)', '+  constraint c CHECK (true)'],
  ['create index i on replays (hash)', '+CREATE INDEX i ON public.replays'],
  ['drop trigger insert_only on entries', '-CREATE TRIGGER insert_only'],
  ['alter table entries disable trigger insert_only', '-- enabled: D;'],
  [
    'alter table entries disable row level security',
    '-alter table entries enable row level security',
  ],
  ['alter table entries force row level security', '+alter table entries force row level security'],
  ['drop policy by_bank on entries', '-create policy by_bank on entries'],
  ['grant delete on entries to countersign_service', '+grant delete, insert, select on entries'],
  ['grant update (leaf) on entries_00 to public', '+grant update (leaf) on entries_00 to public'],
  ['grant execute on function refuse_change to countersign_service', '+-- access:'],
  ['drop table entries_rest', '-create table entries_rest partition of entries'],
])('shows what changes by: %s', async (sql, shown) => {
  expect(await changeOf(sql)).toContain(shown)
})

it('is the same text for the same schema', async () => {
  expect(await changeOf('analyze; update migrations set batch = 7')).toBeUndefined()
})

it.each(['create view v as select 1', 'create schema s', `create type e as enum ('a')`])(
  'refuses what it cannot write: %s',
  async (sql) => {
    await expect(changeOf(sql)).rejects.toThrow('sandbox/schema_text.ts cannot write')
  },
)

it('shows only the lines in which two texts differ', () => {
  expect(difference('a\nb\nc\nd\n', 'a\nx\ny\nc\nd\ne\n')).toBe(
    '@@ line 2 @@\n-b\n+x\n+y\n@@ line 5 @@\n+e',
  )
  expect(difference('', 'a\n')).toBe('@@ line 1 @@\n+a')
  expect(difference('a\na\n', 'a\n')).toBe('@@ line 2 @@\n-a')
  expect(difference('a\n', 'a\n')).toBeUndefined()
})
