import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { withClient } from '../../sandbox/postgres_database.ts'
import { inBank, openDatabase, type Database } from '../../src/storage/database.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'

/** Tables that say which bank something is of and belong to none: one register of clients, whatever bank they act for. */
const global = ['clients']

let database: TestDatabase
let db: Database
let tables: readonly string[]

beforeAll(async () => {
  database = await testDatabase()
  db = openDatabase(database.serviceUrl)
  tables = (await asOwner(ofBanks)).map(({ name }) => String(name)).filter(isTenants)
  for (const table of tables) await fill(table)
})

afterAll(async () => {
  await db.knex.destroy()
  await database.drop()
})

const isTenants = (table: string) => !global.includes(table)

const ofBanks = `
  select c.oid::regclass::text as name from pg_class c join pg_attribute a on a.attrelid = c.oid
  where a.attname = 'bank_id' and not a.attisdropped and c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition
    and c.relnamespace = 'public'::regnamespace
  order by 1`

const asOwner = (sql: string) =>
  withClient(
    database.ownerUrl,
    async (client) => (await client.query<Record<string, unknown>>(sql)).rows,
  )

async function asService(sql: string): Promise<Record<string, unknown>[]> {
  const { rows } = await db.knex.raw<{ rows: Record<string, unknown>[] }>(sql)
  return rows
}

const inside = (bank: string, sql: string) =>
  inBank(db, bank, (tx) =>
    tx.raw<{ rows: Record<string, unknown>[]; rowCount: number | null }>(sql),
  )

/** Something of each type, for rows that mean nothing. */
const something: Readonly<Record<string, string>> = {
  text: `'x'`,
  bytea: `'\\x00'`,
  'timestamp with time zone': 'now()',
  date: 'now()',
  'double precision': '1',
  jsonb: `'{}'`,
  boolean: 'true',
  uuid: 'gen_random_uuid()',
  bigint: '1',
  integer: '1',
  smallint: '1',
  'text[]': `'{}'`,
}

/** Columns that a row needs, and a value for each. */
async function columnsOf(table: string): Promise<{ name: string; value: string }[]> {
  const rows = await asOwner(
    `select attname as name, format_type(atttypid, atttypmod) as type from pg_attribute
     where attrelid = '${table}'::regclass and attnum > 0 and not attisdropped and (attnotnull or attname = 'bank_id')`,
  )
  return rows.map(({ name, type }) => {
    const value = something[String(type)]
    if (value === undefined) throw new Error(`teach this test a value of the type ${String(type)}`)
    return { name: String(name), value }
  })
}

async function insertOf(table: string, bank: string): Promise<string> {
  const columns = await columnsOf(table)
  const values = columns.map(({ name, value }) => (name === 'bank_id' ? `'${bank}'` : value))
  return `insert into ${table} (${columns.map(({ name }) => name).join(', ')}) values (${values.join(', ')})`
}

/** A row of each of two banks, in a table whose rules about their meaning are gone. */
async function fill(table: string): Promise<void> {
  const rules = await asOwner(
    `select conname as name from pg_constraint where conrelid = '${table}'::regclass and contype in ('c', 'f')`,
  )
  for (const { name } of rules)
    await asOwner(`alter table ${table} drop constraint if exists ${String(name)}`)
  for (const bank of ['bank-a', 'bank-b']) await asOwner(await insertOf(table, bank))
}

describe('every table of the banks', () => {
  it('is known to these tests', () => {
    expect(tables).toEqual(
      expect.arrayContaining(['consents', 'entries', 'authorization_events', 'refresh_tokens']),
    )
    expect(tables.length).toBeGreaterThanOrEqual(22)
  })

  it('has row-level security that holds for the service role, which cannot get around it', async () => {
    for (const table of tables)
      expect([table, await asService(`select row_security_active('${table}') as active`)]).toEqual([
        table,
        [{ active: true }],
      ])
    expect(
      await asService(
        `select r.rolname from pg_roles r
         where pg_has_role(current_user, r.oid, 'usage') and (r.rolsuper or r.rolbypassrls
           or exists (select from pg_class c where c.relowner = r.oid and c.relnamespace = 'public'::regnamespace))`,
      ),
    ).toEqual([])
  })

  it('has one policy, for every command: rows of the bank that the transaction named', async () => {
    const own = `(bank_id = current_setting('app.bank'::text, true))`
    const policies = await asOwner(
      `select tablename, permissive, cmd, qual, with_check from pg_policies where schemaname = 'public' order by 1`,
    )
    expect(policies).toEqual(
      tables.map((tablename) => ({
        ...{ tablename, permissive: 'PERMISSIVE', cmd: 'ALL', qual: own, with_check: own },
      })),
    )
  })

  it('shows nothing to a transaction that named no bank, or one without a row', async () => {
    for (const table of tables) {
      const count = `select count(*)::int as count from ${table}`
      expect([table, await asService(count)]).toEqual([table, [{ count: 0 }]])
      for (const bank of ['', 'bank-c', '%', 'bank-a,bank-b'])
        expect((await inside(bank, count)).rows).toEqual([{ count: 0 }])
      expect((await inside('bank-a', count)).rows).toEqual([{ count: 1 }])
    }
  })

  it('neither shows, takes, changes nor gives up a row of another bank', async () => {
    for (const table of tables) {
      const shown = await inside('bank-a', `select bank_id from ${table}`)
      expect([table, shown.rows]).toEqual([table, [{ bank_id: 'bank-a' }]])
      await expect(inside('bank-a', await insertOf(table, 'bank-b'))).rejects.toThrow(
        /row-level security|permission denied/,
      )
      for (const sql of [
        `update ${table} set bank_id = 'bank-a' where bank_id = 'bank-b'`,
        `delete from ${table} where bank_id = 'bank-b'`,
      ])
        expect(
          await inside('bank-a', sql).then(
            ({ rowCount }) => rowCount,
            (error: Error) => /permission denied/.test(error.message) && 0,
          ),
        ).toBe(0)
    }
    for (const table of tables)
      expect(await asOwner(`select bank_id from ${table} order by 1`)).toHaveLength(2)
  })

  it('forgets the bank when its transaction is over, on the same connection', async () => {
    const one = openDatabase(database.serviceUrl, { connections_max: 1 })
    await inBank(one, 'bank-a', (tx) => tx.raw('select 1'))
    const { rows } = await one.knex.raw<{ rows: object[] }>('select id from consents')
    await one.knex.destroy()
    expect(rows).toEqual([])
  })

  it('is reached by its own name only: a partition is not the service’s', async () => {
    const parts = await asOwner(
      `select oid::regclass::text as name from pg_class where relispartition and relkind = 'r' and relnamespace = 'public'::regnamespace`,
    )
    expect(parts.length).toBeGreaterThan(0)
    for (const { name } of parts)
      await expect(inside('bank-a', `select from ${String(name)}`)).rejects.toThrow(
        'permission denied',
      )
  })
})
