import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { withClient } from '../../sandbox/postgres_database.ts'
import { inBank, openDatabase, type Database } from '../../src/storage/database.ts'
import { findOrInsertLink, loginIndexOf, profileIndexOf } from '../../src/storage/links.ts'
import { openVault } from '../../src/storage/vault.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'

const vault = openVault(randomBytes(32))
let database: TestDatabase
let db: Database
beforeAll(async () => {
  database = await testDatabase()
  db = openDatabase(database.serviceUrl)
  await withClient(database.ownerUrl, (client) =>
    client.query(`insert into ledger_locks (bank_id) values ('citi'), ('us-bank')`),
  )
})
afterAll(async () => {
  await db.knex.destroy()
  await database.drop()
})

const profile = { page_id: 'page-1', psid: '7777000011112222', display_name: 'Alice Example' }
const link = (changes: Partial<typeof profile> = {}, bankSubject = 'customer-1', bank = 'citi') =>
  inBank(db, bank, (tx) =>
    findOrInsertLink(tx, vault, { bank, profile: { ...profile, ...changes }, bankSubject }),
  )

describe('a link', () => {
  it('is one for a profile and a bank login, also when many make it at once', async () => {
    const made = await Promise.all(Array.from({ length: 10 }, () => link()))
    expect(new Set(made.map(({ id }) => id)).size).toBe(1)
    const again = await link({ display_name: 'Alice Renamed' })
    expect(again).toMatchObject({
      id: made[0]?.id,
      recipientSub: made[0]?.recipientSub,
      bankSub: made[0]?.bankSub,
    })
    const [first] = made
    expect(again.key.open(first?.key.seal('x', 'y') ?? Buffer.of(), 'y')).toBe('x')
    const { rows } = await withClient(database.ownerUrl, (client) =>
      client.query('select (select count(*) from links), (select count(*) from link_keys) as keys'),
    )
    expect(rows).toEqual([{ count: '1', keys: '1' }])
  })

  it('is another for each profile, page, login and bank, with names that no two share', async () => {
    const links = [
      await link(),
      await link({ psid: 'another' }),
      await link({ page_id: 'page-2' }),
      await link({}, 'customer-2'),
      await link({}, 'customer-1', 'us-bank'),
    ]
    const names = links.flatMap(({ id, recipientSub, bankSub }) => [id, recipientSub, bankSub])
    expect(new Set(names).size).toBe(15)
  })

  it('names nobody in the database', async () => {
    const { id, key } = await link()
    const { rows } = await withClient(database.ownerUrl, (client) =>
      client.query(
        `select l::text || k::text as text, l.sealed from links l join link_keys k on k.link_id = l.id where l.id = $1`,
        [id],
      ),
    )
    const text = String(rows[0]?.text)
    for (const secret of [profile.psid, profile.display_name, 'customer-1']) {
      expect(text).not.toContain(secret)
      expect(text).not.toContain(Buffer.from(secret).toString('hex'))
    }
    expect(key.open(rows[0]?.sealed, `link ${id}`)).toEqual({
      ...profile,
      bank_subject: 'customer-1',
    })
  })
})

describe('an index', () => {
  it('does not confuse where one part ends and the next begins', () => {
    const index = (page_id: string, psid: string) =>
      profileIndexOf(vault, { page_id, psid, display_name: '' }).toString('hex')
    expect(index('a', 'bc')).not.toBe(index('ab', 'c'))
    expect(index('a', 'b')).toBe(index('a', 'b'))
    const login = (bank: string, bankSubject: string) =>
      loginIndexOf(vault, { bank, bankSubject }).toString('hex')
    expect(login('citi', '1')).not.toBe(login('us-bank', '1'))
  })

  it('is another under another master key', () => {
    const other = openVault(randomBytes(32))
    expect(profileIndexOf(other, profile)).not.toEqual(profileIndexOf(vault, profile))
  })
})
