import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { withClient } from '../../sandbox/postgres_database.ts'
import { openMarkDatabase } from '../../src/storage/mark_database.ts'
import { openMarkFiles } from '../../src/storage/mark_files.ts'
import type { MarkStore } from '../../src/storage/marks.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'

let folder: string
let database: TestDatabase
const closing: (() => Promise<void>)[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'marks-'))
  database = await testDatabase({ migrated: false })
})

afterAll(async () => {
  for (const close of closing) await close()
  await database.drop()
  await rm(folder, { recursive: true })
})

/** Two processes' views of one store. */
const stores: [string, () => readonly [MarkStore, MarkStore]][] = [
  ['a folder', () => [openMarkFiles(folder), openMarkFiles(folder)]],
  [
    'another database',
    () => {
      const both = [
        openMarkDatabase(database.ownerUrl),
        openMarkDatabase(database.ownerUrl),
      ] as const
      closing.push(...both.map(({ close }) => close))
      return both
    },
  ],
]

const rootOf = (size: number) => createHash('sha256').update(String(size)).digest('base64')

describe.each(stores)('marks in %s', (_name, open) => {
  const mark = (size: number) => ({ size, root: rootOf(size) })

  it('move from where they are said to stand, and from nowhere else', async () => {
    const [one, two] = open()
    expect(await one.read('a')).toBeUndefined()
    expect(await one.replace('a', mark(1), mark(2))).toBe(false)
    expect(await one.replace('a', undefined, mark(1))).toBe(true)
    expect(await two.replace('a', undefined, mark(9))).toBe(false)
    expect(await two.replace('a', { size: 1, root: rootOf(9) }, mark(2))).toBe(false)
    expect(await two.replace('a', mark(1), mark(2))).toBe(true)
    expect(await one.read('a')).toEqual(mark(2))
    expect(await one.read('b')).toBeUndefined()
  })

  it('move once when many move them at the same time', async () => {
    const [one, two] = open()
    await one.replace('race', undefined, mark(0))
    for (let size = 0; size < 20; size++) {
      const moved = await Promise.all(
        [one, two, one, two, one].map((store) => store.replace('race', mark(size), mark(size + 1))),
      )
      expect(moved.filter(Boolean)).toHaveLength(1)
    }
    expect(await two.read('race')).toEqual(mark(20))
  })
})

describe('marks in a folder', () => {
  it('keep few files', async () => {
    const store = openMarkFiles(join(folder, 'few'))
    await store.replace('a', undefined, { size: 0, root: rootOf(0) })
    for (let size = 0; size < 40; size++)
      await store.replace('a', { size, root: rootOf(0) }, { size: size + 1, root: rootOf(0) })
    const [own = ''] = await readdir(join(folder, 'few'))
    expect((await readdir(join(folder, 'few', own))).length).toBeLessThanOrEqual(9)
  })

  it.each(['1O', '1e3', '', '-1', '01', '9007199254740993000'])(
    'stand ahead of every ledger when one cannot be read: %j',
    async (size) => {
      const place = join(folder, `damaged ${size}`)
      const store = openMarkFiles(place)
      await store.replace('a', undefined, { size: 1, root: rootOf(1) })
      const [own = ''] = await readdir(place)
      await writeFile(join(place, own, '2'), `${size}\n${rootOf(1)}\n`)
      expect((await store.read('a'))?.size).toBe(Number.MAX_SAFE_INTEGER)
      expect(
        await store.replace('a', { size: 1, root: rootOf(1) }, { size: 2, root: rootOf(2) }),
      ).toBe(false)
    },
  )
})

describe('a table that is there in another form', () => {
  it('holds no marks', async () => {
    const other = await testDatabase({ migrated: false })
    await withClient(other.ownerUrl, (client) =>
      client.query('create table signed_marks (origin text, size bigint, root text)'),
    )
    const marks = openMarkDatabase(other.ownerUrl)
    const unfit = expect.objectContaining({ name: 'StateUnfit' })
    await expect(marks.read('a')).rejects.toEqual(unfit)
    await expect(marks.replace('a', undefined, { size: 1, root: rootOf(1) })).rejects.toEqual(unfit)
    await marks.close()
    await other.drop()
  })
})
