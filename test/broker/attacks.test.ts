import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { withClient } from '../../sandbox/postgres_database.ts'
import { openDoor, type Connections } from '../../src/broker/append.ts'
import { expireConsents } from '../../src/broker/expire_consents.ts'
import { grantConsent } from '../../src/broker/grant_consent.ts'
import { maskNumbers, minimiseTransaction } from '../../src/broker/minimise.ts'
import { sweepRefusals } from '../../src/broker/record_refusal.ts'
import { answer_ms_max } from '../../src/broker/release.ts'
import { revokeConsent } from '../../src/broker/revoke_consent.ts'
import { insertRequested, markRedeemed } from '../../src/storage/consents.ts'
import { inBank } from '../../src/storage/database.ts'
import { openDoorConnections } from '../../src/storage/door_connections.ts'
import { random128, routed } from '../../src/storage/ids.ts'
import { purgeBank } from '../../src/storage/purge.ts'
import { openVault } from '../../src/storage/vault.ts'
import { activeConsent, approveMessenger, purpose, releaseOf } from '../support/consents.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { replayLedger, testBank, testBroker, type TestBroker } from '../support/test_broker.ts'

/** Ways that were found to break a promise, each of which must stay closed. */

const banks = [testBank('citi'), testBank('us-bank'), testBank('wells-fargo')]
let database: TestDatabase
let broker: TestBroker

beforeAll(async () => {
  database = await testDatabase()
  broker = await testBroker(database.serviceUrl, { banks })
  for (const bank of banks) await approveMessenger(broker, bank)
})

afterAll(async () => {
  await broker.close()
  await database.drop()
})

async function requested(bank: string): Promise<string> {
  const id = routed(bank, random128())
  await inBank(broker.db, bank, (tx) =>
    insertRequested(tx, {
      id,
      requested: {
        recipient: 'messenger',
        bank,
        clusters: ['ACCOUNT_BASIC', 'BALANCES'],
        purpose,
        lookback_days: 0,
        one_time: false,
        duration_days: 90,
        delivery: 'in_thread',
      },
    }),
  )
  return id
}

const approve = (
  bank: string,
  consentId: string,
  { bankEnd = Date.now() + 86_400_000, by = broker }: { bankEnd?: number; by?: TestBroker } = {},
) =>
  grantConsent(by, {
    bank,
    consentId,
    profile: { page_id: 'page', psid: 'customer', display_name: 'Customer' },
    login: {
      subject: 'customer',
      idToken: 'signed',
      tokens: { access_token: 'token', expires: Date.now() + 300_000 },
      bankEnd,
    },
    termsSalt: random128(),
    termsCommitment: 'A'.repeat(43),
    accounts: [{ bankAccountId: 'one', display: 'Everyday ••••1111' }],
    disclosure: { version: '1', language: 'en', text: 'as shown' },
  })

const asOwner = (sql: string, values: unknown[] = []) =>
  withClient(database.ownerUrl, (client) => client.query(sql, values))

/** Connections whose statements pass through here first, each after the one before it was sent. */
function watched(
  inner: Connections,
  watch: (text: unknown, send: () => Promise<unknown>) => Promise<unknown>,
): Connections {
  return {
    async acquire() {
      const client = await inner.acquire()
      const query = client.query.bind(client) as (...sent: unknown[]) => Promise<unknown>
      let before: Promise<unknown> = Promise.resolve()
      return new Proxy(client, {
        get(target, name) {
          const member: unknown = Reflect.get(target, name)
          if (name !== 'query') return typeof member === 'function' ? member.bind(target) : member
          return (...sent: unknown[]) => {
            const answer = before.then(() => watch(sent[0], () => query(...sent)))
            before = answer.catch(() => undefined)
            return answer
          }
        },
      })
    },
    release: inner.release,
  }
}

describe('a ledger', () => {
  it('keeps its chains when refusals name a consent whose row is gone', async () => {
    const first = await requested('citi')
    await approve('citi', first)
    const again = await requested('citi')
    const past = { bankEnd: Date.now() - 1_000 }
    const results = await Promise.allSettled([
      approve('citi', again, past),
      approve('citi', again, past),
      approve('citi', again),
    ])
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled'])
    await asOwner("update refusal_tallies set minute = minute - interval '1 minute'")
    await sweepRefusals(broker, 'citi')
    await replayLedger(broker, 'citi')
  })

  it('ends nothing as unredeemed that was granted anew, or redeemed, while the sweeper waited', async () => {
    const id = await requested('us-bank')
    await approve('us-bank', id)
    await asOwner(
      "update consents set granted_at = granted_at - interval '11 minutes' where id = $1",
      [id],
    )
    const gate = later()
    const waiting = {
      ...broker,
      door: {
        ...broker.door,
        append: async (...sent: Parameters<typeof broker.door.append>) => {
          await gate.promise
          return broker.door.append(...sent)
        },
      },
    }
    const swept = expireConsents(waiting, 'us-bank')
    await approve('us-bank', await requested('us-bank'))
    await inBank(broker.db, 'us-bank', (tx) => markRedeemed(tx, 'us-bank', id))
    gate.resolve(undefined)
    expect(await swept).toBe(0)
    expect((await replayLedger(broker, 'us-bank')).consents.get(id)?.state).toBe('active')
  })

  it('never says granted of a consent whose row was purged while it was decided', async () => {
    const id = await requested('wells-fargo')
    await asOwner("update consents set created_at = created_at - interval '2 days' where id = $1", [
      id,
    ])
    const inner = openDoorConnections(database.serviceUrl, { connections_max: 1 })
    // Between the decision and the write, the row goes: as the owner, whom no lock of ours holds up.
    const door = openDoor(
      watched(inner, async (text, send) => {
        if (
          typeof text === 'object' &&
          text !== null &&
          'name' in text &&
          text.name === 'save_consent'
        )
          await asOwner('delete from consents where id = $1', [id])
        return send()
      }),
      broker.signer,
    )
    const before = (await replayLedger(broker, 'wells-fargo')).size
    await expect(approve('wells-fargo', id, { by: { ...broker, door } })).rejects.toThrow(
      'did not take the entry',
    )
    expect((await replayLedger(broker, 'wells-fargo')).size).toBe(before)
    await door.close()
    await inner.close()
  })

  it('is purged of what nobody decided only under its lock', async () => {
    const id = await requested('wells-fargo')
    await asOwner("update consents set created_at = created_at - interval '2 days' where id = $1", [
      id,
    ])
    const { rows } = await withClient(database.ownerUrl, async (client) => {
      await client.query("begin; select from ledger_locks where bank_id = 'wells-fargo' for update")
      const purged = purgeBank(broker.db, 'wells-fargo')
      await new Promise((resolve) => setTimeout(resolve, 300))
      const found = await client.query('select id from consents where id = $1', [id])
      await client.query('rollback')
      await purged
      return found
    })
    expect(rows).toHaveLength(1)
  })
})

function later() {
  let resolve: (value: unknown) => void = () => undefined
  const promise = new Promise((done) => (resolve = done))
  return { promise, resolve }
}

describe('a revocation', () => {
  it('waits for nobody who adds rows: no foreign key takes the lock row', async () => {
    const { rows } = await asOwner(
      "select conrelid::regclass::text as holder from pg_constraint where confrelid = 'ledger_locks'::regclass",
    )
    expect(rows).toEqual([])
  })

  it('names the last instant even for an answer whose commit was heard late', async () => {
    const consent = await activeConsent(broker, 'citi')
    await broker.signer.sign('citi')
    const inner = openDoorConnections(database.serviceUrl, { connections_max: 2 })
    let stalled = false
    const door = openDoor(
      watched(inner, async (text, send) => {
        const answer = await send()
        if (text !== 'commit' || stalled) return answer
        stalled = true
        await new Promise((resolve) => setTimeout(resolve, 2_500))
        throw new Error('Connection terminated unexpectedly')
      }),
      broker.signer,
    )
    const pending = releaseOf({ ...broker, door }, 'citi', consent)
    await new Promise((resolve) => setTimeout(resolve, 500))
    const ended = await revokeConsent(broker, {
      bank: 'citi',
      consentId: consent.id,
      by: 'customer',
      reason: 'USER_ACTION',
    })
    const outcome = await pending
    if (outcome.kind !== 'entered') throw new Error(outcome.kind)
    const sendUntil = Date.now() + (outcome.began + answer_ms_max - performance.now())
    expect(sendUntil).toBeLessThanOrEqual(Date.parse(ended.at) + answer_ms_max)
    await door.close()
    await inner.close()
  })
})

describe('a release', () => {
  it('is made after a quiet hour, when the last entry was signed long ago', async () => {
    const consent = await activeConsent(broker, 'us-bank')
    await broker.signer.sign('us-bank')
    await asOwner(
      "update ledger_signed set signed_at = signed_at - interval '1 hour' where bank_id = 'us-bank'",
    )
    expect((await releaseOf(broker, 'us-bank', consent)).kind).toBe('entered')
    await broker.signer.sign('us-bank')
  })

  it('stops when nothing is signed for five seconds, also while the clock is behind the ledger', async () => {
    const consent = await activeConsent(broker, 'us-bank')
    await broker.signer.sign('us-bank')
    await asOwner("update ledger_heads set at = at + interval '1 hour' where bank_id = 'us-bank'")
    await asOwner(
      "update ledger_signed set signed_at = signed_at - interval '6 seconds' where bank_id = 'us-bank'",
    )
    expect((await releaseOf(broker, 'us-bank', consent)).kind).toBe('entered')
    await expect(releaseOf(broker, 'us-bank', consent)).rejects.toThrow('has not been signed')
  })
})

describe('numbers in what a bank sends', () => {
  const key = openVault(Buffer.alloc(32)).newLinkKey('link').key
  const pass = (member: string, value: unknown) =>
    minimiseTransaction(
      { transactionId: '1', transactionTimestamp: '2026-01-01T00:00:00Z', [member]: value },
      { handle: 'handle', key },
    )[member]

  it.each([
    'card 4111 1111 1111 1111',
    'card 4111  1111\u00a01111_1111',
    'card 4111–1111*1111·1111',
    'card ４１１１１１１１１１１１１１１１',
    'IBAN GB29 NWBK 6016 1331 9268 19',
    'IBAN GB29NWBK60161331926819',
    'account 000123456789',
  ])('are hidden but for the last four: %s', (text) => {
    const masked = maskNumbers(text)
    expect(masked).toMatch(/^(card|IBAN|account) ••••[0-9]{4}$/)
    expect(pass('description', text)).toBe(masked)
    expect(pass('category', text)).toBe(masked)
  })

  it('do not pass as another kind of member', () => {
    expect(pass('memo', 4111111111111111)).toBeUndefined()
    expect(pass('status', '4111111111111111')).toBeUndefined()
    expect(pass('status', 'POSTED')).toBe('POSTED')
    expect(pass('postedTimestamp', '4111111111111111')).toBeUndefined()
    expect(pass('amount', '4111111111111111')).toBeUndefined()
    expect(pass('amount', 12.5)).toBe(12.5)
    expect(pass('accountNumber', '4111111111111111')).toBeUndefined()
  })
})
