import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { readFile, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ChildProcess } from 'node:child_process'
import { checkLedgers } from '../../sandbox/check_ledgers.ts'
import { startCrowd, type Crowd } from '../../sandbox/crowd.ts'
import { startFleet, type Fleet } from '../../sandbox/fleet.ts'
import { freePorts } from '../../sandbox/free_ports.ts'
import { withBankStub, type CrowdConsent } from '../../sandbox/many_consents.ts'
import { endProcess } from '../../sandbox/module_process.ts'
import { startPostgres, type Postgres } from '../../sandbox/postgres.ts'
import { withClient } from '../../sandbox/postgres_database.ts'
import { openWorld, type World } from '../../sandbox/world.ts'
import { guardedDirectory } from '../support/guarded_directory.ts'

let world: World
let stub: ChildProcess
let fleet: Fleet
let consents: CrowdConsent[]
let crowd: Crowd
let postgresFolder: string
let restarted: Postgres | undefined
let clean: () => Promise<void>

beforeAll(async () => {
  const guarded = guardedDirectory()
  clean = guarded.clean
  const directory = guarded.directory
  postgresFolder = join(directory, 'postgres')
  world = await openWorld({ directory, port: await freePorts(6) })
  await symlink(join(postgresFolder, 'data'), join(directory, 'data')) // where the guard looks
  const stubbed = await withBankStub(world.config, join(directory, 'stub_banks.json'))
  stub = stubbed.stub
  fleet = await startFleet(stubbed.config, { folder: directory })
})

afterAll(async () => {
  await fleet.close()
  await endProcess(stub)
  await world.close()
  await restarted?.stop()
  await clean()
})

beforeEach(async () => {
  consents = await fleet.grant(20)
  crowd = startCrowd({ ...fleet, consents })
  crowd.keepRevoking(100)
  await goingOn()
})

afterEach(() => crowd.stop())

/** Returns once every bank's data was released again. */
async function goingOn(): Promise<void> {
  const from = crowd.acknowledged.length
  const banks = fleet.broker.bankPort.banks.size
  const since = () => new Set(crowd.acknowledged.slice(from).map(({ bank }) => bank)).size
  while (since() < banks) await sleep(20)
}

/** What must hold whatever happened: of the ledgers, of what clients were told, and of how they were refused. */
async function expectSound(): Promise<void> {
  await goingOn()
  // The first revocation may have been asked of the process that was stopped or killed.
  while (crowd.revocations_ms.length === 0) await sleep(20)
  await crowd.stop()
  const checked = await checkLedgers(fleet.broker, crowd.acknowledged)
  expect(checked.releasedAfterRevocation).toBe(0)
  expect(checked.unrecorded).toEqual([])
  expect(crowd.tooLate).toEqual([])
  expect(crowd.revocations_ms.length).toBeGreaterThan(0)
  expect(checked.revocations).toBeGreaterThanOrEqual(crowd.revocations_ms.length)
  // Refused after its revocation, told to come again, with a bank not heard in time, or cut off: nothing else went wrong.
  const others = [...crowd.answers.keys()].filter(
    (one) => ![200, 403, 503, 504, 'lost'].includes(one),
  )
  expect(others).toEqual([])
}

const send = (place: number, signal: NodeJS.Signals) => fleet.at(place).child.kill(signal)

/** The bank whose lock is held by a session that does nothing, now and a while later. */
async function heldIdle(): Promise<boolean> {
  return withClient(world.config.databaseUrl, async (client) => {
    const idle = async () => {
      const { rows } = await client.query<{ who: string }>(
        `select pid || ' ' || xact_start as who from pg_stat_activity
         where application_name = 'countersign door' and state = 'idle in transaction'`,
      )
      return rows.map(({ who }) => who)
    }
    const before = await idle()
    await sleep(200)
    const after = await idle()
    return after.some((who) => before.includes(who))
  })
}

describe('three brokers, 64 clients, and revocations all the time', () => {
  it('release nothing after a revocation, and record whatever they answered, when one is killed', async () => {
    send(0, 'SIGKILL')
    await goingOn()
    await fleet.restart(0)
    await expectSound()
  })

  it('go on when one is stopped while it holds a lock, and it does no harm when it continues', async () => {
    for (;;) {
      send(1, 'SIGSTOP')
      if (await heldIdle()) break
      send(1, 'SIGCONT')
      await sleep(20)
    }
    await goingOn()
    await sleep(2_000)
    await goingOn()
    send(1, 'SIGCONT')
    await expectSound()
  })

  it('go on when PostgreSQL was killed and is back, and have lost nothing that they answered', async () => {
    const pid = Number(
      (await readFile(join(postgresFolder, 'data', 'postmaster.pid'), 'utf8')).split('\n')[0],
    )
    const port = Number(new URL(world.config.databaseUrl).port)
    process.kill(pid, 'SIGKILL')
    restarted = await startPostgres({ directory: postgresFolder, port })
    await expectSound()
  })
})
