import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { randomBytes } from 'node:crypto'
import { chmod, cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { withClient } from '../../sandbox/postgres_database.ts'
import { eraseLink } from '../../src/broker/erase_link.ts'
import { exportLedger } from '../../src/broker/export_ledger.ts'
import { revokeConsent } from '../../src/broker/revoke_consent.ts'
import { workOutbox } from '../../src/broker/work_outbox.ts'
import { verifierCrypto as crypto } from '../../src/cli/verifier_crypto.ts'
import { parsePolicy } from '../../src/merkle/policy.ts'
import { formatVkey } from '../../src/merkle/vkey.ts'
import type { Testimony } from '../../src/recovery/ask_witnesses.ts'
import { BackupUnusable, newestBackup, writeBackup } from '../../src/recovery/backup.ts'
import { RestoreRefused, restoreLedger, type Restoring } from '../../src/recovery/restore_ledger.ts'
import type { Archive } from '../../src/storage/archive.ts'
import { openArchive } from '../../src/storage/archive_place.ts'
import { findConsent } from '../../src/storage/consents.ts'
import { findLedger } from '../../src/storage/ledgers.ts'
import { nodeHasher } from '../../src/storage/node_crypto.ts'
import { PartChanged } from '../../src/storage/sealed_parts.ts'
import { signedSize } from '../../src/storage/signed.ts'
import { witnessKey } from '../merkle/keys.ts'
import { approveMessenger, releaseOf } from '../support/consents.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { linkedConsent } from '../support/linked_consents.ts'
import { addEpochs } from '../support/many_entries.ts'
import {
  memoryMarks,
  replayLedger,
  testBank,
  testBroker,
  type TestBroker,
} from '../support/test_broker.ts'

const bank = testBank('citi')
const secrets = { seed: randomBytes(32), master: randomBytes(32) }
const key = randomBytes(32)
const tokens = { access_token: 'secret', expires: Date.now() + 3_600_000 }

let lost: TestDatabase
let broker: TestBroker
let folder: string
let archive: Archive
let backups: Archive
/** Consents of the backup: one that stands, and those that were revoked, erased, or replaced since; and one from after it. */
let [standing, revoked, erased, replaced, late]: string[] = []
let size = 0
const marks = memoryMarks()

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'restore-'))
  archive = openArchive(join(folder, 'archive'))
  backups = openArchive(join(folder, 'backup'))
  lost = await testDatabase()
  broker = await testBroker(lost.serviceUrl, { banks: [bank], marks, ...secrets })
  await approveMessenger(broker, bank)
  standing = await linkedConsent(broker, bank.id, { tokens })
  revoked = await linkedConsent(broker, bank.id, { tokens })
  erased = await linkedConsent(broker, bank.id, { tokens })
  replaced = await linkedConsent(broker, bank.id, { tokens, customer: 'twice' })
  await addEpochs(broker, bank.id, 300)
  await exportLedger(broker, bank.id, archive)
  await withClient(lost.ownerUrl, (client) => client.query(linkAlone))
  await withClient(lost.ownerUrl, (client) => client.query(unentered))
  await writeBackup(broker, { place: backups, key })
  await withClient(lost.ownerUrl, (client) =>
    client.query(`delete from consents where link_id = 'unentered'`),
  )
  late = await linkedConsent(broker, bank.id, { tokens })
  await linkedConsent(broker, bank.id, { tokens, customer: 'twice' })
  await release(broker, standing)
  await revoke(broker, revoked)
  await eraseLink(broker, { bank: bank.id, consentId: erased, withoutBank: true })
  await addEpochs(broker, bank.id, 300)
  ;({ size } = await exportLedger(broker, bank.id, archive))
}, 30_000)

/** As one is in a backup that was begun before its consent was granted, and reached the links after. */
const linkAlone = `
  insert into links (bank_id, id, profile_index, login_index, recipient_sub, bank_sub, sealed)
    values ('citi', 'alone', sha256('profile'), sha256('login'), 'alone at the recipient', 'alone at the bank', 'sealed');
  insert into link_keys (bank_id, link_id, sealed) values ('citi', 'alone', 'sealed')`

/** As a consent and its link are in a backup, of which the ledger that is left says nothing. Its tokens ended. */
const unentered = `
  insert into links (bank_id, id, profile_index, login_index, recipient_sub, bank_sub, sealed)
    values ('citi', 'unentered', sha256('profile of it'), sha256('login of it'), 'its recipient', 'its bank', 'sealed');
  insert into link_keys (bank_id, link_id, sealed) values ('citi', 'unentered', 'sealed');
  insert into consents select (jsonb_populate_record(c, '{"id": "citi.unentered", "link_id": "unentered", "bank_token_id": null}')).*
    from consents c where state = 'active' limit 1`

afterAll(async () => {
  await broker.close()
  await lost.drop()
  await rm(folder, { recursive: true })
})

/** A database that was migrated and nothing else, and a broker on it, each test its own. */
let empty: TestDatabase
let restored: TestBroker
let restoredMarks: ReturnType<typeof memoryMarks>
beforeEach(async () => {
  empty = await testDatabase()
  restoredMarks = memoryMarks()
  for (const [origin, mark] of marks.marks) restoredMarks.marks.set(origin, mark)
  restored = await brokerOn(empty)
})
afterEach(async () => {
  await restored.close()
  await empty.drop()
})

const brokerOn = ({ serviceUrl }: TestDatabase, more: Partial<typeof secrets> = {}) =>
  testBroker(serviceUrl, {
    ...{ banks: [bank], marks: restoredMarks, opened: false },
    ...{ ...secrets, ...more },
  })

const policyText = () => `log ${broker.keys.get(bank.id)?.vkey}\nquorum none\n`

async function restore(change: Partial<Restoring> = {}) {
  return restoreLedger({
    ...{ broker: restored, bank: bank.id, archive, crypto, testimonies: [] },
    policy: parsePolicy(nodeHasher, policyText()),
    backup: { place: backups, name: await newestBackup(backups), key },
    ...change,
  })
}

const handleOf = async (of: TestBroker, id: string) => {
  const consent = (await findConsent(of.db, bank.id, id))?.consent
  return consent !== undefined && 'terms' in consent ? (consent.terms.accounts[0] ?? '') : ''
}
const release = async (of: TestBroker, id: string) =>
  releaseOf(of, bank.id, { id, handle: await handleOf(of, id) })
const revoke = (of: TestBroker, consentId: string) =>
  revokeConsent(of, { bank: bank.id, consentId, by: 'customer', reason: 'USER_ACTION' })

/** What a table holds, as its owner sees it. */
const rowsOf = (of: TestDatabase, sql: string) =>
  withClient(of.ownerUrl, async (client) => (await client.query<Record<string, unknown>>(sql)).rows)

/** A copy of the archive in which one file is changed. */
async function spoilt(path: string, change: (bytes: Buffer) => Buffer | undefined) {
  const copy = await mkdtemp(join(tmpdir(), 'spoilt-'))
  await cp(join(folder, 'archive'), copy, { recursive: true })
  const file = join(copy, path)
  await chmod(file, 0o644)
  const changed = change(await readFile(file))
  if (changed === undefined) await rm(file)
  else await writeFile(file, changed)
  return { copy, archive: openArchive(copy) }
}

const changedByte = (at: number) => (bytes: Buffer) => {
  const changed = Buffer.from(bytes)
  changed[at] = (changed[at] ?? 0) ^ 1
  return changed
}

describe('a restored ledger', () => {
  it('is the one that was lost, to the row, and says that it was restored', async () => {
    expect(await restore()).toEqual({ size, ended: 2 })
    const tables = [
      `select n, kind, at, consent_id, leaf from entries where n < ${size} order by n`,
      `select n, hash, total, raised_by from leaf_hashes where n < ${size} order by n`,
      `select level, i, hash, sum from subtree_hashes order by level, i`,
      `select recipient, class, purposes, clusters, keys, iat, suspended_at from approvals`,
      `select owner, key, use from ledger_keys order by owner, key`,
      `select id, state, terms, granted_at, expires_at, ended_at, ended_by, ended_cause, revocation_reason
       from consents where state in ('revoked', 'expired') and id not in ('${late}', '${replaced}') order by id`,
      `select size, note from checkpoints order by size`,
    ]
    for (const sql of tables) expect(await rowsOf(empty, sql)).toEqual(await rowsOf(lost, sql))
    const [entry] = await rowsOf(empty, `select kind from entries where n = ${size}`)
    expect(entry).toEqual({ kind: 'restore' })
    const state = await replayLedger(restored, bank.id)
    expect([...state.restores.keys()]).toEqual([size])
    expect((await findLedger(restored.db, bank.id))?.totals).toEqual(state.totals)
  })

  it('goes on: it releases, revokes, is signed, exported, and verifies from its beginning', async () => {
    await restore()
    expect(await release(restored, standing ?? '')).toMatchObject({ kind: 'entered' })
    await revoke(restored, standing ?? '')
    expect(await release(restored, standing ?? '')).toMatchObject({ kind: 'refused' })
    expect(await restored.signer.sign(bank.id)).toBeUndefined()
    const grown = await signedSize(restored.db, bank.id)
    const copy = await mkdtemp(join(tmpdir(), 'again-'))
    await cp(join(folder, 'archive'), copy, { recursive: true })
    expect((await exportLedger(restored, bank.id, openArchive(copy))).size).toBe(grown)
    const again = await testDatabase()
    const third = await brokerOn(again)
    expect(await restore({ broker: third, archive: openArchive(copy) })).toMatchObject({
      size: grown,
    })
    await third.close()
    await again.drop()
    await rm(copy, { recursive: true })
  })

  it('has its mappings from the backup; those it lacks are ended by the operator', async () => {
    await restore()
    const stateOf = async (id = '') => (await findConsent(restored.db, bank.id, id))?.consent
    expect(await stateOf(standing)).toMatchObject({ state: 'active' })
    expect(await stateOf(revoked)).toMatchObject({ state: 'revoked', ended: { by: 'customer' } })
    for (const id of [late, replaced])
      expect(await stateOf(id)).toMatchObject({ state: 'revoked', ended: { by: 'operator' } })
    const links = `select id, profile_index, login_index, recipient_sub, sealed from links
      where id = (select link_id from consents where id = '${standing}')`
    expect(await rowsOf(empty, links)).toEqual(await rowsOf(lost, links))
    const tasks = `select count(*)::int as count from outbox where task = 'bank_token.revoke'`
    expect(await rowsOf(empty, tasks)).toEqual([{ count: 2 }])
  })

  it('does not bring back who was erased after the backup', async () => {
    const before = await rowsOf(lost, `select erased_at from consents where id = '${erased}'`)
    expect(before).toEqual([{ erased_at: expect.any(Date) }])
    await restore()
    const [row] = await rowsOf(
      empty,
      `select c.erased_at, c.accounts_sealed, c.evidence_sealed, l.id from consents c
       left join links l on l.id = c.link_id where c.id = '${erased}'`,
    )
    expect(row).toEqual({
      ...{ erased_at: expect.any(Date), accounts_sealed: null, evidence_sealed: null, id: null },
    })
    for (const table of ['links', 'link_keys'])
      expect(await rowsOf(empty, `select count(*)::int as count from ${table}`)).toEqual([
        { count: 4 },
      ])
  })

  it('removes a link that came back for nothing', async () => {
    await restore()
    await rowsOf(
      empty,
      `update outbox set due_at = now() + interval '1 hour' where task = 'bank_token.revoke'`,
    )
    expect(await workOutbox(restored, bank.id)).toBe(1)
    const left = `select id from links where id = 'unentered' union all select link_id from link_keys where link_id = 'unentered'`
    expect(await rowsOf(empty, left)).toEqual([])
    expect(await rowsOf(empty, `select count(*)::int as count from links`)).toEqual([{ count: 3 }])
  })

  it('has no link of which the backup does not say whose consents it is behind', async () => {
    await restore()
    for (const [table, id] of [
      ['links', 'id'],
      ['link_keys', 'link_id'],
    ])
      expect(await rowsOf(empty, `select ${id} from ${table} where ${id} = 'alone'`)).toEqual([])
  })

  it('without a backup ends every consent that was active', async () => {
    expect(await restore({ backup: undefined })).toEqual({ size, ended: 3 })
    expect(await release(restored, standing ?? '')).toMatchObject({ kind: 'refused' })
    await replayLedger(restored, bank.id)
  })
})

describe('a restore is refused', () => {
  const refused = (change: Partial<Restoring>, why: RegExp) =>
    expect(restore(change)).rejects.toThrow(why)
  afterEach(async () => {
    const [heads] = await rowsOf(empty, 'select count(*)::int as count from ledger_heads')
    expect(heads).toEqual({ count: 0 })
  })

  it.each([
    ['an entry', 'tile/entries/001', 5_000, /entries do not hash|breaks|not|bundle/],
    ['a leaf hash', 'tile/0/001', 100, /tile\/0\/001/],
    ['an upper hash', 'tile/1/000.p/2', 40, /tile\/1\/000\.p\/2/],
  ])('where one byte of %s was changed', async (_what, path, at, why) => {
    const changed = await spoilt(`ledger/citi/${path}`, changedByte(at))
    await refused({ archive: changed.archive }, why)
    await rm(changed.copy, { recursive: true })
  })

  it('where one byte of any checkpoint was changed', async () => {
    for (const name of await readdir(join(folder, 'archive/ledger/citi/checkpoints'))) {
      const changed = await spoilt(`ledger/citi/checkpoints/${name}`, changedByte(60))
      await refused({ archive: changed.archive }, /signature|checkpoint|encoding|base64|root/)
      await rm(changed.copy, { recursive: true })
    }
  })

  it('where a file of entries is missing', async () => {
    const changed = await spoilt('ledger/citi/tile/entries/000', () => undefined)
    await refused({ archive: changed.archive }, /tile\/entries\/000: there is no such file/)
    await rm(changed.copy, { recursive: true })
  })

  it('where the export ends before the mark, or is another than the mark says', async () => {
    const name = String(size).padStart(16, '0')
    const older = await spoilt(`ledger/citi/checkpoints/${name}`, () => undefined)
    await refused({ archive: older.archive }, /the mark is at \d+ entries, and the export ends at/)
    await rm(older.copy, { recursive: true })
    for (const [origin] of restoredMarks.marks)
      restoredMarks.marks.set(origin, { size: 10, root: Buffer.alloc(32).toString('base64') })
    await refused({}, /the mark knows another ledger of 10 entries/)
  })

  it('where a witness knows more, or something else', async () => {
    const said = (head: Testimony['head']): Testimony[] => [
      { witness: 'w1', silent: 'it answered 500' },
      { witness: 'w2', ...(head === undefined ? {} : { head }) },
    ]
    const root = Buffer.alloc(32)
    await refused({ testimonies: said({ size: size + 1, root }) }, /w2 has cosigned/)
    await refused({ testimonies: said({ size: 5, root }) }, /w2 knows another ledger of 5/)
    await refused({ testimonies: said({ size, root }) }, /w2 knows another ledger/)
  })

  it('where nothing was witnessed as the policy asks', async () => {
    const vkey = formatVkey(witnessKey('w1', 0x10).vkey)
    const text = policyText().replace('quorum none', `witness w1 ${vkey}\nquorum w1`)
    const policy = parsePolicy(nodeHasher, text)
    await refused({ policy }, /no checkpoint in the archive was cosigned/)
  })

  it('where witnesses that answer are too few for the policy, though they say the same', async () => {
    const keys = ['w1', 'w2'].map((name, i) => formatVkey(witnessKey(name, 0x10 + i).vkey))
    const witnesses = keys.map((vkey, i) => `witness w${i + 1} ${vkey}\n`).join('')
    const text = policyText().replace(
      'quorum none',
      `${witnesses}group both all w1 w2\nquorum both`,
    )
    const policy = parsePolicy(nodeHasher, text)
    const [mark] = restoredMarks.marks.values()
    const head = { size: mark?.size ?? 0, root: Buffer.from(mark?.root ?? '', 'base64') }
    const testimonies = [
      { witness: 'w1', head },
      { witness: 'w2', silent: 'it is down' },
    ]
    await refused({ policy, testimonies }, /no checkpoint in the archive was cosigned/)
  })

  it('by a process that holds another key of the ledger', async () => {
    await restored.close()
    restored = await brokerOn(empty, { seed: randomBytes(32) })
    await refused({}, /this process holds/)
  })

  it('where the backup was changed, cut off, or is under another key', async () => {
    const name = await newestBackup(backups)
    const copy = await mkdtemp(join(tmpdir(), 'backup-'))
    await cp(join(folder, 'backup'), copy, { recursive: true })
    const [part = ''] = await readdir(join(copy, 'backups', name))
    const file = join(copy, 'backups', name, part)
    const whole = await readFile(file)
    await chmod(file, 0o644)
    const backup = { place: openArchive(copy), name, key }
    await writeFile(file, changedByte(50)(whole))
    await expect(restore({ backup })).rejects.toBeInstanceOf(PartChanged)
    await writeFile(file, whole.subarray(0, -1))
    await expect(restore({ backup })).rejects.toBeInstanceOf(PartChanged)
    await rm(file)
    await expect(restore({ backup })).rejects.toBeInstanceOf(BackupUnusable)
    await writeFile(file, whole)
    const other = { ...backup, key: randomBytes(32) }
    await expect(restore({ backup: other })).rejects.toBeInstanceOf(PartChanged)
    await rm(copy, { recursive: true })
  })

  it('where there is no export', async () => {
    await refused({ archive: openArchive(join(folder, 'nothing')) }, /has no export of citi/)
  })
})

describe('a restore', () => {
  it('is refused in a database that is not empty, and a second time', async () => {
    await restore()
    await expect(restore()).rejects.toThrow(/restored here before/)
    await expect(restore({ broker })).rejects.toThrow(/the database is not empty: citi has rows/)
  })

  it('is gone on from where it was interrupted, wherever that was', async () => {
    let left = 1
    const dying: Archive = {
      ...archive,
      async get(path, bytesMax) {
        if (path.includes('tile/entries') && left-- === 0) throw new Error('died')
        return archive.get(path, bytesMax)
      },
    }
    // Three bundles are read to verify, and again to be stored.
    for (left of [1, 4, 5]) await expect(restore({ archive: dying })).rejects.toThrow('died')
    const { append } = restored.door
    restored.door.append = () => Promise.reject(new Error('died'))
    await expect(restore()).rejects.toThrow('died')
    restored.door.append = (id, draft) =>
      draft.urgent === true ? Promise.reject(new Error('died')) : append(id, draft)
    await expect(restore()).rejects.toThrow('died')
    restored.door.append = append
    expect(await restore()).toEqual({ size, ended: 2 })
    const state = await replayLedger(restored, bank.id)
    expect([...state.restores.keys()]).toEqual([size])
  })

  it('does not take what another attempt left for what it has read', async () => {
    await withClient(empty.ownerUrl, (client) =>
      client.query(
        `insert into restores (bank_id, phase, size, note) values ('citi', 'begun', 1, '');
         insert into entries (bank_id, n, kind, at, leaf) values ('citi', 7, 'epoch', now(), 'other')`,
      ),
    )
    await expect(restore()).rejects.toBeInstanceOf(RestoreRefused)
    await expect(restore()).rejects.toThrow(/entry 7 in the database is not that of the export/)
  })
})
