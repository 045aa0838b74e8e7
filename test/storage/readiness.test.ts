import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { openDatabase, type Database } from '../../src/storage/database.ts'
import { clock_ms_max, unfitness } from '../../src/storage/readiness.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'

let database: TestDatabase
const opened: Database[] = []

const on = (url: string): Database => {
  const db = openDatabase(url)
  opened.push(db)
  return db
}

beforeAll(async () => {
  database = await testDatabase()
})

afterAll(async () => {
  for (const { knex } of opened) await knex.destroy()
  await database.drop()
})

describe('a database that a broker may start on', () => {
  it('is one that keeps what it commits, under a role that can only add', async () => {
    expect(await unfitness(on(database.serviceUrl), Date.now)).toEqual([])
  })

  it('is refused to the owner of the ledger, who could change it', async () => {
    const reasons = await unfitness(on(database.ownerUrl), Date.now)
    expect(reasons.join()).toContain('may change entries, leaf_hashes')
  })

  it.each([-1, 1])(
    'is refused when the clocks differ by more than their limit (%s)',
    async (sign) => {
      const off = (ms: number) => () => Date.now() + sign * ms
      const db = on(database.serviceUrl)
      expect(await unfitness(db, off(clock_ms_max - 1_000))).toEqual([])
      expect((await unfitness(db, off(clock_ms_max + 1_000))).join()).toContain('clock')
    },
  )
})
