import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { withClient } from '../../sandbox/postgres_database.ts'
import { indexLedger } from '../../src/broker/index_ledger.ts'
import { DoorUnavailable, ReleasesStopped } from '../../src/broker/append.ts'
import type { Broker } from '../../src/broker/broker.ts'
import { encodeBundle, tilePath, tileWidth } from '../../src/merkle/tiles.ts'
import { ArchiveConflict, ArchiveUnavailable, ledgerFolder } from '../../src/storage/archive.ts'
import { archiveFolder } from '../../src/storage/archive_folder.ts'
import { detachEntries, NotDetached } from '../../src/storage/detach.ts'
import { readEntry } from '../../src/ledger/entry.ts'
import { EntriesLost } from '../../src/storage/lost_entries.ts'
import { firstEntryFrom, readLeaves } from '../../src/storage/ledgers.ts'
import { readTimeline } from '../../src/storage/timeline.ts'
import { activeConsent, approveMessenger, releaseOf } from '../support/consents.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { replayLedger, testBank, testBroker, type TestBroker } from '../support/test_broker.ts'

const [citi, small] = [testBank('citi'), testBank('small-bank')]

let database: TestDatabase
let broker: TestBroker
let folder: string
let consent: { id: string; handle: string }
let other: { id: string; handle: string }

const archive = () => archiveFolder(folder)
const detach = (options: Partial<Parameters<typeof detachEntries>[2]> = {}) =>
  detachEntries(database.ownerUrl, archive(), {
    before: new Date(Date.now() + 60_000),
    rowsMin: 1,
    ...options,
  })
/** A broker that knows the archive. */
const withArchive = (): Broker => ({ ...broker, db: { ...broker.db, archive: archive() } })

/** A release, tried again for as long as the table is locked, or the machine too slow to sign in time. */
async function released(bank: string, of: { id: string; handle: string }): Promise<void> {
  for (;;)
    try {
      await releaseOf(broker, bank, of)
      return
    } catch (error) {
      if (!(error instanceof DoorUnavailable) && !(error instanceof ReleasesStopped)) throw error
      await broker.signer.sign(bank)
    }
}

const pathOf = (bank: string, index: number) =>
  `${ledgerFolder(bank)}${tilePath({ level: 'entries', index, width: tileWidth })}`

async function archiveBundles(bank: string, count: number): Promise<void> {
  for (let index = 0; index < count; index++) {
    const from = index * tileWidth
    const leaves = await readLeaves(broker.db, bank, { from, to: from + tileWidth })
    await archive().put(pathOf(bank, index), encodeBundle(leaves))
  }
}

async function spoil(path: string): Promise<void> {
  const file = join(folder, path)
  const bytes = await readFile(file)
  bytes.writeUInt8(bytes.readUInt8(600) ^ 1, 600)
  await chmod(file, 0o644)
  await writeFile(file, bytes)
}

const rowsOf = (bank: string) =>
  withClient(database.ownerUrl, async (client) => {
    const sql = 'select count(*)::int as rows from entries where bank_id = $1'
    return (await client.query<{ rows: number }>(sql, [bank])).rows[0]?.rows
  })

const dropDetached = () =>
  withClient(database.ownerUrl, (client) =>
    client.query('drop table if exists entries_00_detached'),
  )

beforeAll(async () => {
  database = await testDatabase()
  broker = await testBroker(database.serviceUrl, { banks: [citi, small] })
  for (const bank of [citi, small]) await approveMessenger(broker, bank)
  consent = await activeConsent(broker, 'citi')
  other = await activeConsent(broker, 'small-bank')
  await Promise.all(Array.from({ length: 700 }, () => releaseOf(broker, 'citi', consent)))
  await releaseOf(broker, 'small-bank', other)
})
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'countersign-detach-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))
afterAll(async () => {
  await broker.close()
  await database.drop()
})

// In this order: what was detached stays so.
describe('detaching entries', () => {
  it('leaves what is not signed', async () => {
    await archiveBundles('citi', 2)
    expect(await detach()).toEqual([])
    expect(await broker.signer.sign('citi')).toBeUndefined()
  })

  it('leaves what the archive does not hold', async () => {
    expect(await detach()).toEqual([])
    await archiveBundles('citi', 1)
    // Of the first 256, three are no release, and one is the consent's first.
    expect(await detach({ rowsMin: 253 })).toEqual([])
    expect(await rowsOf('citi')).toBe(703)
  })

  it('leaves what is newer than asked', async () => {
    await archiveBundles('citi', 2)
    expect(await detach({ before: new Date(Date.now() - 3_600_000) })).toEqual([])
  })

  it('waits for a restore that is under way', async () => {
    await archiveBundles('citi', 2)
    const phase = (sql: string) =>
      withClient(database.ownerUrl, (client) =>
        client.query(
          `insert into restores (bank_id, phase, size, note) values ('citi', '${sql}', 9, '')`,
        ),
      )
    await phase('begun')
    await expect(detach()).rejects.toThrow(/is being restored/)
    await phase('finished')
  })

  it('refuses an archive that holds one byte other than the ledger, and changes nothing', async () => {
    await archiveBundles('citi', 2)
    await spoil(pathOf('citi', 1))
    await expect(detach()).rejects.toThrow(NotDetached)
    expect(await rowsOf('citi')).toBe(703)
  })

  it('gives the bulk away and loses nothing, while the ledger grows, also after a crash in its middle', async () => {
    await archiveBundles('citi', 2)
    const range = { from: 0, to: 703 }
    const before = await readLeaves(broker.db, 'citi', range)
    await broker.signer.sign('citi')
    await indexLedger(broker, 'citi')
    const milestones = async () =>
      (await readTimeline(broker.db, 'citi', consent.id))?.entries.filter(
        ({ mark }) => mark !== 'last_release',
      )
    const told = await milestones()
    // What a process leaves that died between its two steps.
    await withClient(database.ownerUrl, (client) =>
      client.query(
        'create table entries_00_kept (like entries); insert into entries_00_kept select * from entries limit 5',
      ),
    )
    const [[detached]] = await Promise.all([
      detach(),
      ...Array.from({ length: 60 }, () => released('small-bank', other)),
      ...Array.from({ length: 60 }, () => released('citi', consent)),
    ])
    expect(detached).toMatchObject({ partition: 'entries_00', table: 'entries_00_detached' })
    // Of 512 entries three are no release, and the consent's first stays.
    expect(detached?.gone).toBe(508)
    expect(await readLeaves(withArchive().db, 'citi', range)).toEqual(before)
    const times = before.map((leaf) => readEntry(leaf).at)
    for (const at of [times[0], times[300], times[511], times[600]].map(String))
      expect(await firstEntryFrom(withArchive().db, 'citi', { at, size: 703 })).toBe(
        times.indexOf(at),
      )
    // Without an archive too: strangers ask by time, and each must not cost dozens of bundles.
    for (const at of [times[0], times[300], times[511], times[600]].map(String))
      expect(await firstEntryFrom(broker.db, 'citi', { at, size: 703 })).toBe(times.indexOf(at))
    expect(await milestones()).toEqual(told)
    expect(told).toHaveLength(2)
    const state = await replayLedger(withArchive(), 'citi')
    // A release that had to be tried again may have been entered both times.
    expect(state.totals['releases_messaging_platform']).toBeGreaterThanOrEqual(760)
    expect(await broker.signer.sign('citi')).toBeUndefined()
  })

  it('does not overwrite what it detached before', async () => {
    await archiveFromDetached()
    await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map(() => released('citi', consent)))
    expect(await broker.signer.sign('citi')).toBeUndefined()
    const leaves = await readLeaves(broker.db, 'citi', { from: 512, to: 768 })
    await archive().put(pathOf('citi', 2), encodeBundle(leaves))
    await expect(detach()).rejects.toThrow(/drop it first/)
    await dropDetached()
    expect(await detach()).toMatchObject([{ partition: 'entries_00', gone: 256 }])
    await dropDetached()
  })

  it('is not read around: other bytes are refused, and missing ones said to be', async () => {
    const range = { from: 300, to: 310 }
    const said = broker.alarms.length
    const none = readLeaves(broker.db, 'citi', range)
    await expect(none).rejects.toThrow(EntriesLost)
    await expect(none).rejects.toThrow('no archive is configured')
    await expect(readLeaves(withArchive().db, 'citi', range)).rejects.toThrow(
      `citi: lost: entries 300 to 309: in neither the database nor ${archive().place}`,
    )
    const silent = {
      ...archive(),
      get: () => Promise.reject(new ArchiveUnavailable('no answer')),
    }
    await expect(
      readLeaves({ ...broker.db, archive: silent }, 'citi', { from: 0, to: 10 }),
    ).rejects.toThrow(ArchiveUnavailable)
    await archive().put(pathOf('citi', 1), Buffer.from('junk'))
    await expect(readLeaves(withArchive().db, 'citi', range)).rejects.toThrow(ArchiveConflict)
    await expect(readLeaves(withArchive().db, 'citi', range)).rejects.toThrow(ArchiveConflict)
    // One alarm for each reason, and none for an archive that does not answer.
    expect(broker.alarms.slice(said)).toEqual(
      ['no archive is configured', 'in neither', 'holds other bytes'].map((why) =>
        expect.stringMatching(new RegExp(`entries 300 to 309: .*${why}`)),
      ),
    )
    await expect(readLeaves(broker.db, 'citi', { from: 768, to: 771 })).resolves.toHaveLength(3)
  })

  it('leaves a table that can be added to, and not changed', async () => {
    await released('citi', consent)
    await withClient(database.ownerUrl, async (client) => {
      await expect(client.query(`update entries set kind = 'epoch'`)).rejects.toThrow(/insert-only/)
      await expect(client.query('delete from entries')).rejects.toThrow(/insert-only/)
    })
  })
})

/** The archive of this test has what the one of the test before it had. */
async function archiveFromDetached(): Promise<void> {
  for (const index of [0, 1]) {
    const { rows } = await withClient(database.ownerUrl, (client) =>
      client.query<{ leaf: Buffer }>(
        `select leaf from entries_00_detached where bank_id = 'citi' and n >= $1 and n < $2 order by n`,
        [index * tileWidth, (index + 1) * tileWidth],
      ),
    )
    await archive().put(pathOf('citi', index), encodeBundle(rows.map(({ leaf }) => leaf)))
  }
}
