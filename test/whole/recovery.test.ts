import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { link, readEverything, refusedCall, wishOf } from '../../sandbox/acts.ts'
import { startBroker } from '../../sandbox/broker_process.ts'
import { openCustomer } from '../../sandbox/customer.ts'
import { freePorts } from '../../sandbox/free_ports.ts'
import { createDatabase, dropDatabase } from '../../sandbox/postgres_database.ts'
import { clientOf } from '../../sandbox/story.ts'
import { openWorld, type World } from '../../sandbox/world.ts'
import type { Broker } from '../../src/broker/broker.ts'
import { exportLedger } from '../../src/broker/export_ledger.ts'
import { servedCheckpoint } from '../../src/broker/served_checkpoint.ts'
import { verifierCrypto as crypto } from '../../src/cli/verifier_crypto.ts'
import { compose } from '../../src/compose.ts'
import { parsePolicy } from '../../src/merkle/policy.ts'
import { newestBackup, writeBackup } from '../../src/recovery/backup.ts'
import { archivedSizes, archiveSource } from '../../src/recovery/archive_source.ts'
import { restoreLedger } from '../../src/recovery/restore_ledger.ts'
import { openArchive } from '../../src/storage/archive_place.ts'
import { migrate } from '../../src/storage/migrate.ts'
import { nodeHasher } from '../../src/storage/node_crypto.ts'
import { verifyLedger } from '../../src/verifier/verify.ts'
import { guardedDirectory } from '../support/guarded_directory.ts'

/** The loss of everything in the database, as the recipient and the customer live through it. */

let world: World
let clean: () => Promise<void>
let directory: string

beforeAll(async () => {
  const guarded = guardedDirectory()
  clean = guarded.clean
  directory = guarded.directory
  world = await openWorld({ directory, port: await freePorts(6) })
})

afterAll(async () => {
  await world.close()
  await clean()
})

/** Does something as the command line would, with no broker running. */
async function composed<T>(work: (broker: Broker) => Promise<T>): Promise<T> {
  const { broker, close } = await compose({ ...world.config, logLevel: 'silent' })
  return work(broker).finally(close)
}

const serving = () => startBroker(world.config, { port: world.config.port, folder: directory })

it('is survived: the broker starts, releases to whom it did before, revokes, and verifies from its beginning', async () => {
  const archive = openArchive(join(directory, 'archive'))
  const place = openArchive(join(directory, 'backup'))
  const key = randomBytes(32)
  const before = await serving()
  const messenger = await clientOf(world, 'messenger')
  const customer = openCustomer([messenger.redirectUri])
  const wish = wishOf('citi', 'Alice', { delivery: 'in_thread' })

  const alice = await link(customer, messenger, { wish, username: 'alice' })
  const answers = await readEverything(messenger, alice)
  await before.stop()

  const { policy, kept } = await composed(async (broker) => {
    for (const bank of broker.bankPort.banks.keys()) {
      await broker.signer.sign(bank)
      await exportLedger(broker, bank, archive)
    }
    await writeBackup(broker, { place, key })
    const logs = [...broker.keys.values()].map(({ vkey }) => `log ${vkey}\n`).join('')
    return {
      policy: parsePolicy(nodeHasher, `${logs}quorum none\n`),
      kept: (await servedCheckpoint(broker, 'citi'))?.note ?? '',
    }
  })

  await dropDatabase(world.ownerUrl, 'countersign')
  await createDatabase(world.ownerUrl, 'countersign')
  await migrate(world.ownerUrl)

  const backup = { place, key, name: await newestBackup(place) }
  await composed(async (broker) => {
    for (const bank of broker.bankPort.banks.keys()) {
      const work = { broker, bank, archive, policy, crypto, testimonies: [], backup }
      expect(await restoreLedger(work)).toMatchObject({ ended: 0 })
    }
  })

  const after = await serving()
  const again = await messenger.refresh(alice)
  expect(await readEverything(messenger, again)).toBe(answers)
  expect((await messenger.endGrant(alice.consentId)).status).toBe(204)
  expect(await refusedCall(await messenger.call(again.accessToken, '/fdx/v6/accounts'))).toContain(
    'consent_revoked',
  )
  await after.stop()

  const size = await composed(async (broker) => {
    await broker.signer.sign('citi')
    return (await exportLedger(broker, 'citi', archive)).size
  })
  expect(await archivedSizes(archive, 'citi')).toContain(size)
  const report = await verifyLedger(archiveSource(archive, 'citi', size), {
    ...{ policy, crypto },
    earlier: [kept],
  })
  expect(report.findings).toEqual([])
  expect(report.counts?.restores).toHaveLength(1)
}, 60_000)
