import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { randomBytes } from 'node:crypto'
import { cp, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { withClient } from '../../sandbox/postgres_database.ts'
import {
  backupWhenDue,
  limits,
  newestBackup,
  readBackup,
  writeBackup,
  type KeptPage,
} from '../../src/recovery/backup.ts'
import type { Archive } from '../../src/storage/archive.ts'
import { openArchive } from '../../src/storage/archive_place.ts'
import { insertClient, usualSecurity } from '../../src/storage/clients.ts'
import { PartChanged } from '../../src/storage/sealed_parts.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { testBank, testBroker, type TestBroker } from '../support/test_broker.ts'

const key = randomBytes(32)
let database: TestDatabase
let broker: TestBroker
let folder: string
let place: Archive

beforeAll(async () => {
  database = await testDatabase()
  broker = await testBroker(database.serviceUrl, { banks: [testBank('citi'), testBank('chase')] })
  folder = await mkdtemp(join(tmpdir(), 'backup-'))
  place = openArchive(folder)
  await insertClient(broker.db, {
    ...{ id: 'messenger', kind: 'recipient', class: 'messaging_platform', pages: ['page-of-it'] },
    ...{ legalName: 'Messenger', lei: '7H6GLXDRUGQFU57RNE97', website: 'https://m.example' },
    ...{ contacts: ['someone@m.example'], redirectUris: [], scopes: [], ...usualSecurity },
  })
  await withClient(database.ownerUrl, (client) =>
    client.query(
      `insert into consents (bank_id, id, recipient, state, requested, link_id, evidence_sealed)
       select 'citi', 'citi.' || i, 'messenger', 'declined', '{}', 'link', convert_to(repeat('x', 30000), 'UTF8')
       from generate_series(1, 250) as i`,
    ),
  )
})
afterAll(async () => {
  await broker.close()
  await database.drop()
  await rm(folder, { recursive: true })
})

async function pagesOf(name: string): Promise<KeptPage[]> {
  const pages: KeptPage[] = []
  for await (const page of readBackup(place, { name, key })) pages.push(page)
  return pages
}

describe('a backup', () => {
  it('holds every row once, in parts that are not too long, whatever the rows hold', async () => {
    const name = await writeBackup(broker, { place, key })
    const pages = await pagesOf(name)
    const ids = pages.flatMap(({ table, rows }) =>
      table === 'consents' ? rows.map(({ id }) => String(id)) : [],
    )
    expect(ids.toSorted()).toEqual(
      Array.from({ length: 250 }, (_, i) => `citi.${i + 1}`).toSorted(),
    )
    const parts = await readdir(join(folder, 'backups', name))
    expect(parts.length).toBeGreaterThan(10)
    expect(parts.filter((part) => part.endsWith('-last'))).toHaveLength(1)
    for (const part of parts) {
      const bytes = await readFile(join(folder, 'backups', name, part))
      expect(bytes.length).toBeLessThanOrEqual(limits.part_bytes_max + 16)
    }
  })

  it('says nothing to who has no key', async () => {
    const name = await newestBackup(place)
    for (const part of await readdir(join(folder, 'backups', name))) {
      const text = (await readFile(join(folder, 'backups', name, part))).toString('latin1')
      expect(text).not.toMatch(/messenger|page-of-it|someone|citi|link/)
    }
  })

  it('opens with each part in its place, to its end', async () => {
    const name = await newestBackup(place)
    const at = (part: string) => join(folder, 'moved/backups', name, part)
    const moved = async (move: () => Promise<void>) => {
      await cp(join(folder, 'backups'), join(folder, 'moved/backups'), { recursive: true })
      await move()
      const read = async () => {
        for await (const _ of readBackup(openArchive(join(folder, 'moved')), { name, key }));
      }
      await expect(read()).rejects.toBeInstanceOf(PartChanged)
      await rm(join(folder, 'moved'), { recursive: true })
    }
    await moved(() => rename(at('000001'), at('000001-last'))) // cut off
    await moved(() => rename(at('000002'), at('000001'))) // one left out
  })

  it('counts when it was written to its end, and not before', async () => {
    const before = await newestBackup(place)
    const dying: Archive = {
      ...place,
      put: (path, bytes) =>
        path.endsWith('-last') ? Promise.reject(new Error('died')) : place.put(path, bytes),
    }
    await expect(writeBackup(broker, { place: dying, key })).rejects.toThrow('died')
    expect(await newestBackup(place)).toBe(before)
  })

  it('is due by time, at each place', async () => {
    expect(await backupWhenDue(broker, { place, key, seconds: 3_600 })).toBe(false)
    expect(await backupWhenDue(broker, { place, key, seconds: 0 })).toBe(true)
    const other = openArchive(join(folder, 'other'))
    expect(await backupWhenDue(broker, { place: other, key, seconds: 3_600 })).toBe(true)
    expect(await backupWhenDue(broker, { place: other, key, seconds: 3_600 })).toBe(false)
  })
})
