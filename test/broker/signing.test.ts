import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { randomBytes } from 'node:crypto'
import { withClient } from '../../sandbox/postgres_database.ts'
import { DoorUnavailable, ReleasesStopped } from '../../src/broker/append.ts'
import { initMark, openLedger } from '../../src/broker/open_ledger.ts'
import { revokeConsent } from '../../src/broker/revoke_consent.ts'
import { openCheckpoint } from '../../src/merkle/checkpoint.ts'
import { noteVerifier } from '../../src/merkle/note.ts'
import { parseVkey } from '../../src/merkle/vkey.ts'
import { nodeHasher, verifyEd25519 } from '../../src/storage/node_crypto.ts'
import { publishCheckpoint } from '../../src/storage/signed.ts'
import { activeConsent, approveMessenger, releaseOf } from '../support/consents.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { restartablePostgres, type RestartablePostgres } from '../support/restartable_postgres.ts'
import {
  memoryMarks,
  originOf,
  replayLedger,
  testBank,
  testBroker,
  type TestBroker,
} from '../support/test_broker.ts'

const citi = testBank('citi')
const brokers: TestBroker[] = []
const seed = randomBytes(32)

async function brokerOn(
  serviceUrl: string,
  options: Partial<Parameters<typeof testBroker>[1]> = {},
) {
  const broker = await testBroker(serviceUrl, { banks: [citi], seed, ...options })
  brokers.push(broker)
  return broker
}

afterEach(async () => {
  for (const broker of brokers.splice(0)) await broker.close()
})

const revoke = (broker: TestBroker, consentId: string) =>
  revokeConsent(broker, { bank: 'citi', consentId, by: 'customer', reason: 'USER_ACTION' })

/** What must hold once signing has stopped: no release, and revocations as ever. */
async function expectStopped(
  broker: TestBroker,
  consent: { id: string; handle: string },
): Promise<void> {
  await expect(releaseOf(broker, 'citi', consent)).rejects.toThrow(ReleasesStopped)
  expect(await revoke(broker, consent.id)).toMatchObject({ state: 'revoked' })
  await expect(releaseOf(broker, 'citi', consent)).resolves.toMatchObject({
    reason: 'consent_revoked',
  })
}

describe('the signer, on a database of its own each time', () => {
  let database: TestDatabase
  beforeAll(async () => {
    database = await testDatabase()
  })
  afterAll(() => database.drop())

  // One after another on one ledger: each test leaves it signed, or is the last to need it.
  const marks = memoryMarks()

  it('signs what is committed, with the key that genesis names', async () => {
    const broker = await brokerOn(database.serviceUrl, { marks })
    await approveMessenger(broker, citi)
    await activeConsent(broker, 'citi')
    expect(await broker.signer.sign('citi')).toBeUndefined()
    const { note = '', size } = (await publishCheckpoint(broker.db, 'citi')) ?? {}
    const { genesis } = await replayLedger(broker, 'citi')
    const key = noteVerifier(parseVkey(nodeHasher, genesis?.vkey ?? ''), verifyEd25519)
    const { checkpoint } = openCheckpoint(note, { origin: originOf('citi'), logKeys: [key] })
    expect(checkpoint.size).toBe(size)
    expect(marks.marks.get(originOf('citi'))?.size).toBe(size)
  })

  it('stops releases when the head stays unsigned for five seconds, and goes on once it is signed', async () => {
    const broker = await brokerOn(database.serviceUrl, { marks })
    const consent = await activeConsent(broker, 'citi')
    expect((await releaseOf(broker, 'citi', consent)).kind).toBe('entered')
    await new Promise((resolve) => setTimeout(resolve, 5_100))
    await expect(releaseOf(broker, 'citi', consent)).rejects.toThrow('has not been signed')
    expect(await broker.signer.sign('citi')).toBeUndefined()
    expect((await releaseOf(broker, 'citi', consent)).kind).toBe('entered')
    expect(await broker.signer.sign('citi')).toBeUndefined()
  })

  it('signs once when many sign at the same time, in two processes with one mark', async () => {
    const [one, two] = [
      await brokerOn(database.serviceUrl, { marks }),
      await brokerOn(database.serviceUrl, { marks }),
    ]
    const consent = await activeConsent(one, 'citi')
    for (let round = 0; round < 5; round++) {
      await releaseOf(one, 'citi', consent)
      const whys = await Promise.all([one, two, one, two].map(({ signer }) => signer.sign('citi')))
      expect(whys).toEqual([undefined, undefined, undefined, undefined])
    }
    expect([...one.alarms, ...two.alarms]).toEqual([])
  })

  it.each([
    ['missing', undefined, 'the mark is missing'],
    ['ahead', { size: 1_000_000, root: 'AAAA' }, 'ahead of the ledger'],
    ['behind', { size: 1, root: 'AAAA' }, 'behind the signed'],
  ])('signs nothing more when the mark is %s', async (_name, mark, why) => {
    const broker = await brokerOn(database.serviceUrl, { marks })
    const consent = await activeConsent(broker, 'citi')
    await broker.signer.sign('citi')
    const signed = marks.marks.get(originOf('citi'))
    if (mark === undefined) marks.marks.delete(originOf('citi'))
    else marks.marks.set(originOf('citi'), mark)
    await releaseOf(broker, 'citi', consent)
    expect(await broker.signer.sign('citi')).toContain(why)
    await expectStopped(broker, consent)
    expect(broker.alarms).toHaveLength(1)
    if (signed !== undefined) marks.marks.set(originOf('citi'), signed)
  })

  it('sets a lost mark anew only when told to, and never over one that is there', async () => {
    const broker = await brokerOn(database.serviceUrl, { marks })
    expect(await initMark(broker, 'citi')).toBe(false)
    marks.marks.delete(originOf('citi'))
    expect(await initMark(broker, 'citi')).toBe(true)
    expect(await broker.signer.sign('citi')).toBeUndefined()
  })

  it('lets no process with another key sign or release', async () => {
    const stranger = await brokerOn(database.serviceUrl, { marks, seed: randomBytes(32) })
    const consent = await activeConsent(stranger, 'citi')
    await expect(releaseOf(stranger, 'citi', consent)).rejects.toThrow('another key')
    expect(await stranger.signer.sign('citi')).toContain('another key')
  })

  it('never signs over a stored leaf that is not what was hashed', async () => {
    const broker = await brokerOn(database.serviceUrl, { marks })
    const consent = await activeConsent(broker, 'citi')
    const outcome = await releaseOf(broker, 'citi', consent)
    if (outcome.kind !== 'entered') throw new Error('no entry')
    await withClient(database.ownerUrl, async (client) => {
      await client.query('alter table entries disable trigger user')
      await client.query(
        "update entries_00 set leaf = set_byte(leaf, 20, 65) where bank_id = 'citi' and n = $1",
        [outcome.n],
      )
    })
    expect(await broker.signer.sign('citi')).toContain(`entry ${outcome.n} is not what was hashed`)
    await expectStopped(broker, consent)
  })
})

describe('a ledger whose mark is there', () => {
  it('is not begun anew in an empty database', async () => {
    const [first, second] = [await testDatabase(), await testDatabase()]
    const marks = memoryMarks()
    await brokerOn(first.serviceUrl, { marks })
    await expect(brokerOn(second.serviceUrl, { marks })).rejects.toThrow('is marked already')
    const broker = await brokerOn(first.serviceUrl, { marks })
    expect(await openLedger(broker, 'citi')).toBe(false)
    for (const one of brokers.splice(0)) await one.close()
    await Promise.all([first.drop(), second.drop()])
  })
})

describe('a database that is killed and rolled back under running brokers', () => {
  let postgres: RestartablePostgres
  beforeAll(async () => {
    postgres = await restartablePostgres()
  })
  afterAll(() => postgres.drop())

  it('releases nothing while it is gone, and goes on without a restart when it is back', async () => {
    const broker = await brokerOn(postgres.serviceUrl)
    await approveMessenger(broker, citi)
    const consent = await activeConsent(broker, 'citi')
    let before = await releaseOf(broker, 'citi', consent)
    await postgres.kill()
    // A backend that outlives the postmaster for a moment may still enter one, which is then in the ledger like any other.
    const untilItIsGone = async () => {
      for (;;) before = await releaseOf(broker, 'citi', consent)
    }
    await expect(untilItIsGone()).rejects.toThrow(DoorUnavailable)
    await postgres.start()
    // As the housekeeping would, however long the restart took.
    expect(await broker.signer.sign('citi')).toBeUndefined()
    const after = await releaseOf(broker, 'citi', consent)
    if (before.kind !== 'entered' || after.kind !== 'entered') throw new Error('not entered')
    expect(after.n).toBeGreaterThan(before.n)
    await replayLedger(broker, 'citi')
    expect(await broker.signer.sign('citi')).toBeUndefined()
  })

  it('stops signing and releasing once it was rolled back, in running processes and in new ones', async () => {
    const marks = memoryMarks()
    await postgres.drop()
    postgres = await restartablePostgres()
    const running = await brokerOn(postgres.serviceUrl, { marks })
    await approveMessenger(running, citi)
    const consent = await activeConsent(running, 'citi')
    expect(await running.signer.sign('citi')).toBeUndefined()
    await postgres.snapshot()
    await releaseOf(running, 'citi', consent)
    await releaseOf(running, 'citi', consent)
    expect(await running.signer.sign('citi')).toBeUndefined()
    await postgres.restore()

    await expect(releaseOf(running, 'citi', consent)).rejects.toThrow(/went back from \d+ entries/)
    expect(await running.signer.sign('citi')).toContain('went back')
    const fresh = await brokerOn(postgres.serviceUrl, { marks })
    expect(await fresh.signer.sign('citi')).toContain('ahead of the ledger')
    await expectStopped(fresh, consent)
    // The fork grows past the mark, and is found by its root.
    for (let i = 0; i < 3; i++) await activeConsent(fresh, 'citi')
    const later = await brokerOn(postgres.serviceUrl, { marks })
    expect(await later.signer.sign('citi')).toContain('differs from what was signed')
  })
})
