import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { openDatabase, type Database } from '../../src/storage/database.ts'
import { openReplays, type ClaimOnce } from '../../src/storage/replays.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'

let database: TestDatabase
const processes: { db: Database; claimOnce: ClaimOnce }[] = []

beforeAll(async () => {
  database = await testDatabase()
  for (let i = 0; i < 3; i++) {
    const db = openDatabase(database.serviceUrl)
    processes.push({ db, claimOnce: openReplays(db) })
  }
})
afterAll(async () => {
  for (const { db } of processes) await db.knex.destroy()
  await database.drop()
})

const expires = Date.now() + 60_000

describe('a value', () => {
  it('is had by one of all who claim it, in three processes at once', async () => {
    const claims = processes.flatMap(({ claimOnce }) =>
      Array.from({ length: 30 }, (_, i) => claimOnce({ value: `value ${i % 10}`, expires })),
    )
    const won = await Promise.all(claims)
    expect(won.filter(Boolean)).toHaveLength(10)
  })

  it('is another value than any other', async () => {
    const [first] = processes
    const won = await Promise.all(
      Array.from({ length: 1_000 }, async (_, i) => first?.claimOnce({ value: `${i}`, expires })),
    )
    expect(won.every((one) => one === true)).toBe(true)
  })

  it('is kept by its hash, for a minute longer than it could be used', async () => {
    const [first] = processes
    await first?.claimOnce({ value: 'the secret', expires })
    const found = await first?.db.knex.raw<{ rows: { hash: Buffer; expires_at: Date }[] }>(
      'select hash, expires_at from replays',
    )
    expect(JSON.stringify(found?.rows)).not.toContain('the secret')
    for (const row of found?.rows ?? []) expect(row.expires_at.getTime()).toBe(expires + 60_000)
  })

  it('crosses many orders of claims without a deadlock', async () => {
    const values = Array.from({ length: 200 }, (_, i) => `crossed ${i}`)
    const won = await Promise.all(
      processes.flatMap(({ claimOnce }, i) =>
        (i % 2 === 0 ? values : values.toReversed()).map((value) => claimOnce({ value, expires })),
      ),
    )
    expect(won.filter(Boolean)).toHaveLength(values.length)
  })
})
