import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { withClient } from '../../sandbox/postgres_database.ts'
import { BankUnavailable, type BankPort, type BankTokens } from '../../src/broker/bank_port.ts'
import { revokeConsent } from '../../src/broker/revoke_consent.ts'
import { backoff_ms, limits, workOutbox } from '../../src/broker/work_outbox.ts'
import { approveMessenger } from '../support/consents.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { bankTokenUse, linkedConsent } from '../support/linked_consents.ts'
import {
  memoryMarks,
  testBank,
  testBroker,
  unreachableStaff,
  type TestBroker,
} from '../support/test_broker.ts'

const citi = testBank('citi')
let database: TestDatabase
let broker: TestBroker
let other: TestBroker

/** How the bank takes it, and which refresh tokens it was told of. */
let revoke: (tokens: BankTokens) => Promise<void>
let told: string[]
const no = () => Promise.reject(new Error('not asked in these tests'))
const bankPort: Omit<BankPort, 'banks'> = {
  staff: unreachableStaff,
  startLogin: no,
  finishLogin: no,
  accounts: no,
  transactions: no,
  refresh: no,
  revoke: (_bank, tokens) => {
    told.push(tokens.refresh_token ?? '')
    return revoke(tokens)
  },
}

beforeAll(async () => {
  database = await testDatabase()
  const house = { marks: memoryMarks(), seed: randomBytes(32), master: randomBytes(32) }
  const open = () => testBroker(database.serviceUrl, { banks: [citi], bankPort, ...house })
  broker = await open()
  other = await open()
  await approveMessenger(broker, citi)
})
afterAll(async () => {
  await broker.close()
  await other.close()
  await database.drop()
})
beforeEach(async () => {
  told = []
  revoke = () => Promise.resolve()
  await sql('delete from outbox')
})

const sql = async (text: string, values: unknown[] = []) =>
  (await withClient(database.ownerUrl, (client) => client.query(text, values))).rows

/** A consent that has just been revoked; its bank token's id. */
async function ended(name: string): Promise<string> {
  const tokens = { access_token: 'a', refresh_token: name, expires: Date.now() + 300_000 }
  const consentId = await linkedConsent(broker, 'citi', { tokens })
  const { row } = await bankTokenUse(broker, 'citi', consentId)
  await revokeConsent(broker, { bank: 'citi', consentId, by: 'customer', reason: 'USER_ACTION' })
  return row.id
}

const work = (by: TestBroker = broker) => workOutbox(by, 'citi')
const taskOf = async (id: string) =>
  (
    await sql(
      `select attempts, done_at is not null as done, due_at > clock_timestamp() as later,
         (select ended_at is not null from bank_tokens t where t.id = o.about) as ended
       from outbox o where about = $1`,
      [id],
    )
  )[0]

describe('the outbox', () => {
  it('ends a consent’s tokens at the bank, once, however many processes work', async () => {
    const ids = [await ended('one'), await ended('two'), await ended('three')]
    const done = await Promise.all([work(), work(other), work(), work(other)])
    expect(done.reduce((sum, one) => sum + one)).toBe(3)
    expect(told.toSorted()).toEqual(['one', 'three', 'two'])
    for (const id of ids)
      expect(await taskOf(id)).toEqual({ attempts: 0, done: true, later: false, ended: true })
    expect(await work()).toBe(0)
    expect(told).toHaveLength(3)
  })

  it('keeps a task that the bank did not take, and tries it again later', async () => {
    const id = await ended('one')
    revoke = () => Promise.reject(new BankUnavailable('timeout'))
    expect(await work()).toBe(0)
    expect(await taskOf(id)).toEqual({ attempts: 1, done: false, later: true, ended: false })
    expect(await work()).toBe(0)
    expect(told).toHaveLength(1)

    await sql('update outbox set due_at = now()')
    revoke = () => Promise.resolve()
    expect(await work()).toBe(1)
    expect(await taskOf(id)).toMatchObject({ attempts: 1, done: true, ended: true })
  })

  it('ends its turn with the first failure, and takes the others at the next', async () => {
    await ended('one')
    await ended('two')
    revoke = () => Promise.reject(new BankUnavailable('unreachable'))
    await work()
    expect(told).toEqual(['one'])
    await work()
    expect(told).toEqual(['one', 'two'])
  })

  it('does it again when the process fell between telling the bank and noting it', async () => {
    const id = await ended('one')
    revoke = async () => {
      await withClient(database.serviceUrl, (client) =>
        client.query(
          `select pg_terminate_backend(pid) from pg_stat_activity
           where datname = current_database() and state = 'idle in transaction'`,
        ),
      )
    }
    await expect(work()).rejects.toThrow()
    expect(await taskOf(id)).toEqual({ attempts: 0, done: false, later: false, ended: false })

    revoke = () => Promise.resolve()
    expect(await work(other)).toBe(1)
    expect(told).toEqual(['one', 'one'])
    expect(await taskOf(id)).toMatchObject({ done: true, ended: true })
  })

  it('gives a task up at last, and says so', async () => {
    const id = await ended('one')
    await sql('update outbox set attempts = $1', [limits.attempts_max - 1])
    revoke = () => Promise.reject(new BankUnavailable('bad_answer', 'the bank answered 400'))
    const before = broker.alarms.length
    await work()
    expect(broker.alarms.slice(before)).toEqual([expect.stringMatching(/given up.*400/)])
    await sql('update outbox set due_at = now()')
    expect(await work()).toBe(0)
    expect(told).toHaveLength(1)
    expect(await taskOf(id)).toMatchObject({ done: false, ended: true })
  })

  it('has nothing to tell once the person is erased', async () => {
    const id = await ended('one')
    await sql(
      'delete from link_keys where link_id = (select link_id from bank_tokens where id = $1)',
      [id],
    )
    expect(await work()).toBe(1)
    expect(told).toEqual([])
  })
})

describe('the wait between attempts', () => {
  it('doubles from a second to an hour, less a random part of at most half', () => {
    const longest = (attempts: number) => backoff_ms(attempts, () => 0)
    expect([0, 1, 2, 3].map(longest)).toEqual([1_000, 2_000, 4_000, 8_000])
    expect(longest(12)).toBe(3_600_000)
    expect(longest(10_000)).toBe(3_600_000)
    expect(backoff_ms(3, () => 1)).toBe(4_000)
  })
})
