import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { withClient } from '../../sandbox/postgres_database.ts'
import { ExportRefused, exportLedger, exportWhenDue } from '../../src/broker/export_ledger.ts'
import { parsePolicy } from '../../src/merkle/policy.ts'
import { tilePath, tilesForSize } from '../../src/merkle/tiles.ts'
import { ArchiveConflict, checkpointPath, type Archive } from '../../src/storage/archive.ts'
import { openArchive } from '../../src/storage/archive_place.ts'
import { insertWitnessed } from '../../src/storage/cosignatures.ts'
import { verifyJws } from '../../src/storage/jws.ts'
import { signedSize } from '../../src/storage/signed.ts'
import { nodeHasher, verifyEd25519 } from '../../src/storage/node_crypto.ts'
import { openSource } from '../../src/verifier/open_source.ts'
import { verifyLedger } from '../../src/verifier/verify.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { addEpochs } from '../support/many_entries.ts'
import { testBank, testBroker, type TestBroker } from '../support/test_broker.ts'

const bank = testBank('citi')
const tampered = ['changed-leaf', 'changed-hash', 'changed-subtree', 'gone'].map(testBank)
let database: TestDatabase
let broker: TestBroker
let folder: string
let archive: Archive

beforeAll(async () => {
  database = await testDatabase()
  broker = await testBroker(database.serviceUrl, { banks: [bank, ...tampered] })
  await addEpochs(broker, bank.id, 700)
})
afterAll(async () => {
  await broker.close()
  await database.drop()
})

beforeEach(async () => {
  const last = folder
  folder = await mkdtemp(join(tmpdir(), 'export-'))
  archive = openArchive(folder)
  broker.alarms.length = 0
  if (last) await rm(last, { recursive: true })
})
afterAll(() => rm(folder, { recursive: true }))

async function verified() {
  const vkey = broker.keys.get(bank.id)?.vkey
  return verifyLedger(openSource(join(folder, 'ledger', bank.id)), {
    policy: parsePolicy(nodeHasher, `log ${vkey}\nquorum none\n`),
    crypto: { hasher: nodeHasher, verifyEd25519, verifyJws },
  })
}

const dyingAt = (when: string): Archive => ({
  ...archive,
  async put(path, bytes) {
    if (path.includes(when)) throw new Error('died')
    return archive.put(path, bytes)
  },
})

async function all(): Promise<string[]> {
  const found: string[] = []
  for await (const path of archive.list(`ledger/${bank.id}/`)) found.push(path)
  return found
}

describe('an export', () => {
  it('holds all that the served ledger has, by the same paths, and verifies', async () => {
    const size = await signedSize(broker.db, bank.id)
    expect(await exportLedger(broker, bank.id, archive)).toEqual({ size, entries: size })
    const tiles = [...tilesForSize(size)].flatMap((tile) => [
      `ledger/citi/${tilePath(tile)}`,
      ...(tile.level === 0 ? [`ledger/citi/${tilePath({ ...tile, level: 'entries' })}`] : []),
    ])
    expect(await all()).toEqual([checkpointPath('citi', size), ...tiles].toSorted())
    expect(await verified()).toMatchObject({ verified: true, findings: [], ledger: { size } })
  })

  it('goes on where the last one ended, and verifies at each size', async () => {
    await exportLedger(broker, bank.id, archive)
    for (const more of [1, 90, 256, 300]) {
      await addEpochs(broker, bank.id, more)
      const size = await signedSize(broker.db, bank.id)
      expect(await exportLedger(broker, bank.id, archive)).toEqual({ size, entries: more })
      expect(await verified()).toMatchObject({ verified: true, ledger: { size } })
    }
    expect(await exportLedger(broker, bank.id, archive)).toMatchObject({ entries: 0 })
  })

  it('is done by many at once, and interrupted ones are gone on from', async () => {
    const size = await signedSize(broker.db, bank.id)
    for (const when of ['tile/0/001', 'tile/entries/002', 'tile/1/000.p', 'checkpoints/']) {
      await expect(exportLedger(broker, bank.id, dyingAt(when))).rejects.toThrow('died')
      expect((await all()).filter((path) => path.includes('checkpoints'))).toEqual([])
    }
    await Promise.all([1, 2, 3].map(() => exportLedger(broker, bank.id, archive)))
    expect(await verified()).toMatchObject({ verified: true, ledger: { size } })
    expect(broker.alarms).toEqual([])
  })

  it('fills anew a place that was emptied', async () => {
    await exportLedger(broker, bank.id, archive)
    await rm(folder, { recursive: true })
    expect(await exportLedger(broker, bank.id, archive)).not.toMatchObject({ entries: 0 })
    expect(await verified()).toMatchObject({ verified: true })
  })

  it('takes a checkpoint for its own that has other cosignatures, and no other', async () => {
    const size = await signedSize(broker.db, bank.id)
    const path = checkpointPath('citi', size)
    await exportLedger(broker, bank.id, archive)
    const note = Buffer.from((await archive.get(path, 1_000)) ?? []).toString()
    await rm(folder, { recursive: true })
    await archive.put(path, Buffer.from(`${note}— witness AAAAAAAAAAAAAAAA\n`))
    const again = async () => {
      await rm(join(folder, 'ledger/citi/tile'), { recursive: true, force: true })
      return exportLedger(broker, bank.id, archive)
    }
    expect(await again()).toMatchObject({ size })
    expect(broker.alarms).toEqual([])
    await rm(join(folder, path))
    await archive.put(path, Buffer.from(note.replace(`\n${size}\n`, `\n${size + 1}\n`)))
    await expect(again()).rejects.toBeInstanceOf(ArchiveConflict)
  })

  it('raises an alarm, and claims nothing, where the archive holds other bytes', async () => {
    await archive.put('ledger/citi/tile/entries/001', Buffer.from('other'))
    await expect(exportLedger(broker, bank.id, archive)).rejects.toBeInstanceOf(ArchiveConflict)
    expect(broker.alarms).toEqual([expect.stringContaining('tile/entries/001')])
    expect((await all()).filter((path) => path.includes('checkpoints'))).toEqual([])
  })

  it('goes as far as a quorum of witnesses has come', async () => {
    const quorum = Buffer.alloc(32, 1)
    const witnessed = { ...broker, witnessing: { ...broker.witnessing, quorum } }
    const size = await signedSize(broker.db, bank.id)
    expect(await exportLedger(witnessed, bank.id, archive)).toMatchObject({ size })
    await insertWitnessed(broker.db, bank.id, { policy: quorum, size })
    await addEpochs(broker, bank.id, 3)
    expect(await exportLedger(witnessed, bank.id, archive)).toEqual({ size, entries: 0 })
    expect(await exportLedger(broker, bank.id, archive)).toEqual({ size: size + 3, entries: 3 })
  })

  it('is due by time, or by size', async () => {
    const due = (seconds: number, entries: number) =>
      exportWhenDue(broker, bank.id, { archive, seconds, entries })
    expect(await due(3_600, 1_000_000)).toBe(true)
    expect(await due(0, 1)).toBe(false)
    await addEpochs(broker, bank.id, 5)
    expect(await due(3_600, 6)).toBe(false)
    expect(await due(3_600, 5)).toBe(true)
    await addEpochs(broker, bank.id, 1)
    expect(await due(0, 1_000)).toBe(true)
  })

  it.each([
    ['a leaf', 'changed-leaf', `update entries set leaf = 'x'`],
    ['a leaf hash', 'changed-hash', `update leaf_hashes set hash = sha256('x')`],
    ['a subtree hash', 'changed-subtree', `update subtree_hashes set hash = sha256('x')`],
  ])('is refused where %s was changed in the database', async (_what, id, change) => {
    await addEpochs(broker, id, 300)
    const where = change.includes('subtree') ? 'i = 0' : 'n = 270'
    await changing(`${change} where bank_id = '${id}' and ${where}`)
    await expect(exportLedger(broker, id, archive)).rejects.toBeInstanceOf(ExportRefused)
    expect(broker.alarms).toEqual([expect.stringContaining(`${id}: `)])
    expect(await all()).toEqual([])
  })

  it('is refused where an entry is gone', async () => {
    await addEpochs(broker, 'gone', 300)
    await changing(`delete from entries where bank_id = 'gone' and n = 270`)
    await expect(exportLedger(broker, 'gone', archive)).rejects.toThrow()
    for await (const path of archive.list('ledger/gone/')) throw new Error(path)
  })
})

/** As someone would who has the database. */
async function changing(sql: string): Promise<void> {
  const table = /(?:update|from) (\w+)/.exec(sql)?.[1]
  await withClient(database.ownerUrl, async (client) => {
    await client.query(`alter table ${table} disable trigger insert_only`)
    await client.query(sql)
    await client.query(`alter table ${table} enable trigger insert_only`)
  })
}
