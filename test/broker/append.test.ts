import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { withClient } from '../../sandbox/postgres_database.ts'
import { DoorBusy, DoorUnavailable, limits } from '../../src/broker/append.ts'
import {
  ApprovalRejected,
  approveRecipient,
  suspendRecipient,
} from '../../src/broker/approve_recipient.ts'
import { endTokens } from '../../src/broker/end_tokens.ts'
import { expireConsents } from '../../src/broker/expire_consents.ts'
import { recordRefusal, sweepRefusals } from '../../src/broker/record_refusal.ts'
import { revokeConsent } from '../../src/broker/revoke_consent.ts'
import { writeEpoch } from '../../src/broker/write_epoch.ts'
import { openDoorConnections } from '../../src/storage/door_connections.ts'
import { findLedger } from '../../src/storage/ledgers.ts'
import { activeConsent, approveMessenger, purpose, releaseOf } from '../support/consents.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { replayLedger, testBank, testBroker, type TestBroker } from '../support/test_broker.ts'

const citi = testBank('citi')
const other = testBank('us-bank')
let database: TestDatabase
let broker: TestBroker

beforeAll(async () => {
  database = await testDatabase()
  broker = await testBroker(database.serviceUrl, { banks: [citi, other] })
  await approveMessenger(broker, citi)
})

afterAll(async () => {
  await broker.close()
  await database.drop()
})

const revoke = (id: string, by: 'customer' | 'operator' = 'customer') =>
  revokeConsent(broker, { bank: 'citi', consentId: id, by, reason: 'USER_ACTION' })

describe('the one door', () => {
  it('enters no release after a revocation, and every release it acknowledged, in an order that replays', async () => {
    const consent = await activeConsent(broker, 'citi')
    const before = (await replayLedger(broker, 'citi')).totals['releases_messaging_platform'] ?? 0
    const acknowledged: number[] = []
    const refused: string[] = []
    const clients = Array.from({ length: 16 }, async () => {
      for (;;) {
        const outcome = await releaseOf(broker, 'citi', consent)
        if (outcome.kind === 'entered') acknowledged.push(outcome.n)
        if (outcome.kind === 'refused') return refused.push(outcome.reason)
      }
    })
    const signing = setInterval(() => void broker.signer.sign('citi'), 200)
    while (acknowledged.length < 100) await new Promise((resolve) => setTimeout(resolve, 10))
    const ended = await revoke(consent.id)
    await Promise.all(clients)
    clearInterval(signing)

    expect(ended.state).toBe('revoked')
    expect(refused).toEqual(Array.from({ length: 16 }, () => 'consent_revoked'))
    const state = await replayLedger(broker, 'citi')
    expect(state.consents.get(consent.id)?.state).toBe('revoked')
    expect((state.totals['releases_messaging_platform'] ?? 0) - before).toBe(acknowledged.length)
    expect(new Set(acknowledged).size).toBe(acknowledged.length)
    expect(await broker.signer.sign('citi')).toBeUndefined()
    expect(broker.alarms).toEqual([])
  })

  it('answers a second revocation as the first', async () => {
    const { id } = await activeConsent(broker, 'citi')
    const first = await revoke(id)
    expect(first).toMatchObject({ state: 'revoked', now: true })
    expect(await revoke(id, 'operator')).toEqual({ ...first, now: false })
  })

  it('refuses a release by a token that is revoked in the same batch, and enters nothing of that', async () => {
    const consent = await activeConsent(broker, 'citi')
    const size = (await findLedger(broker.db, 'citi'))?.size ?? 0
    for (const ending of [{ jti: 'one.token' }, { family: 'family' }]) {
      const jti = 'jti' in ending ? ending.jti : `${ending.family}.token`
      const release = releaseOf(broker, 'citi', { ...consent, jti })
      const ended = endTokens(broker, { bank: 'citi', ending, kept_s: 300 })
      const other = releaseOf(broker, 'citi', { ...consent, jti: 'another.token' })
      expect(await release).toMatchObject({ kind: 'refused', reason: 'token_revoked' })
      await ended
      expect((await other).kind).toBe('entered')
    }
    expect((await findLedger(broker.db, 'citi'))?.size).toBe(size + 2)
  })

  it('writes the first refusal of a minute at once, and counts the others into one entry', async () => {
    const refused = {
      bank: 'citi',
      client: 'ads',
      class: 'advertising',
      reason: 'class_denied',
    } as const
    await recordRefusal(broker, refused)
    expect((await replayLedger(broker, 'citi')).totals['refusals_advertising']).toBe(1)
    await Promise.all(Array.from({ length: 19 }, () => recordRefusal(broker, refused)))
    await withClient(database.ownerUrl, (client) =>
      client.query("update refusal_tallies set minute = minute - interval '1 minute'"),
    )
    const written = await Promise.all([
      sweepRefusals(broker, 'citi'),
      sweepRefusals(broker, 'citi'),
    ])
    expect(written[0] + written[1]).toBe(1)
    expect((await replayLedger(broker, 'citi')).totals['refusals_advertising']).toBe(20)
  })

  it('writes an expiry exactly once, however many sweep', async () => {
    const { id } = await activeConsent(broker, 'citi', {
      expires: new Date(Date.now() + 300).toISOString(),
    })
    await new Promise((resolve) => setTimeout(resolve, 400))
    await Promise.all(Array.from({ length: 5 }, () => expireConsents(broker, 'citi')))
    const state = await replayLedger(broker, 'citi')
    expect(state.consents.get(id)?.state).toBe('expired')
    expect(state.totals['expiries']).toBe(1)
    expect(await revoke(id)).toMatchObject({ state: 'expired', now: false })
  })

  it('ends a grant that nobody redeems', async () => {
    const { id } = await activeConsent(broker, 'citi')
    await withClient(database.ownerUrl, (client) =>
      client.query(
        "update consents set granted_at = granted_at - interval '11 minutes' where id = $1",
        [id],
      ),
    )
    expect(await expireConsents(broker, 'citi')).toBeGreaterThanOrEqual(1)
    expect(await revoke(id)).toMatchObject({ state: 'expired', now: false })
  })

  it('honours a suspension in every later decision, and never takes the suspended paper again', async () => {
    const jws = other.approve({
      recipient: 'messenger',
      class: 'messaging_platform',
      purposes: [purpose],
      clusters: ['ACCOUNT_BASIC', 'BALANCES'],
    })
    await approveRecipient(broker, { bank: 'us-bank', jws })
    await approveRecipient(broker, { bank: 'us-bank', jws })
    const consent = await activeConsent(broker, 'us-bank')
    expect((await releaseOf(broker, 'us-bank', consent)).kind).toBe('entered')
    await suspendRecipient(broker, { bank: 'us-bank', recipient: 'messenger', by: 'bank' })
    expect(await releaseOf(broker, 'us-bank', consent)).toMatchObject({
      kind: 'refused',
      reason: 'recipient_suspended',
    })
    await expect(approveRecipient(broker, { bank: 'us-bank', jws })).rejects.toThrow(
      ApprovalRejected,
    )
    await replayLedger(broker, 'us-bank')
  })

  it('refuses the approval of a class that can never receive, or of another ledger', async () => {
    const approval = { recipient: 'ads', purposes: [purpose], clusters: ['BALANCES' as const] }
    const ads = citi.approve({ ...approval, class: 'advertising' })
    await expect(approveRecipient(broker, { bank: 'citi', jws: ads })).rejects.toThrow(
      'can never receive',
    )
    const elsewhere = other.approve({ ...approval, class: 'messaging_platform' })
    await expect(approveRecipient(broker, { bank: 'citi', jws: elsewhere })).rejects.toThrow(
      ApprovalRejected,
    )
  })

  it('adds one epoch for a ledger that grew, whoever asks', async () => {
    await activeConsent(broker, 'citi')
    const made = await Promise.all([writeEpoch(broker, 'citi', 0), writeEpoch(broker, 'citi', 0)])
    expect(made.filter(Boolean)).toHaveLength(1)
    await replayLedger(broker, 'citi')
  })

  it('fails a poison draft alone', async () => {
    const consent = await activeConsent(broker, 'citi')
    const poison = broker.door.append('citi', {
      names: {},
      decide: () => {
        throw new Error('poison')
      },
    })
    const tooLong = broker.door.append('citi', {
      names: {},
      decide: () => ({
        entry: { kind: 'key', body: { key: 'k'.repeat(5_000), of: 'tokens', use: 'next' } },
      }),
    })
    const good = releaseOf(broker, 'citi', consent)
    await expect(poison).rejects.toThrow('poison')
    await expect(tooLong).rejects.toThrow()
    expect((await good).kind).toBe('entered')
    await replayLedger(broker, 'citi')
  })

  it('refuses the draft after the last that the queue holds, and takes a revocation even then', async () => {
    const { id } = await activeConsent(broker, 'citi')
    const idle = { names: {}, decide: () => ({}) }
    const waiting = Array.from({ length: limits.queue_drafts_max }, () =>
      broker.door.append('citi', idle),
    )
    await expect(broker.door.append('citi', idle)).rejects.toThrow(DoorBusy)
    expect(await revoke(id)).toMatchObject({ state: 'revoked' })
    await Promise.all(waiting)
  })

  it('lets no stopped holder of the lock keep a revocation waiting for longer than its timeouts', async () => {
    const { id } = await activeConsent(broker, 'citi')
    const connections = openDoorConnections(database.serviceUrl, { connections_max: 1 })
    const stopped = await connections.acquire()
    // The server ends it for idling: that is the point, and no error of this test.
    stopped.on('error', () => undefined)
    await stopped.query(
      "begin; select set_config('app.bank', 'citi', true); select from ledger_locks where bank_id = 'citi' for update",
    )
    expect(await revoke(id)).toMatchObject({ state: 'revoked' })
    connections.release(stopped, true)
    await connections.close()
  })

  it('keeps one bank out of the rows of another', async () => {
    const { rows } = await broker.db.knex.transaction(async (tx) => {
      await tx.raw("select set_config('app.bank', 'us-bank', true)")
      return tx.raw<{ rows: { bank_id: string }[] }>(
        'select distinct bank_id from entries union select distinct bank_id from consents',
      )
    })
    expect(rows).toEqual([{ bank_id: 'us-bank' }])
    const unnamed = await broker.db.knex.raw<{ rows: unknown[] }>('select 1 from entries limit 1')
    expect(unnamed.rows).toEqual([])
  })

  it('cannot change what is written, as the service by its grants, as the owner by the trigger', async () => {
    for (const [url, problem] of [
      [database.serviceUrl, /permission denied/],
      [database.ownerUrl, /insert-only/],
    ] as const)
      await withClient(url, async (client) => {
        await client.query("select set_config('app.bank', 'citi', false)")
        await expect(client.query("update entries set kind = 'x'")).rejects.toThrow(problem)
        await expect(client.query('delete from leaf_hashes')).rejects.toThrow(problem)
        await expect(client.query('truncate draft_ids')).rejects.toThrow(problem)
      })
  })

  it('never writes a time before the one before it, when the clock is set back', async () => {
    const consent = await activeConsent(broker, 'citi')
    const ahead = new Date(Date.now() + 3_600_000).toISOString()
    await withClient(database.ownerUrl, (client) =>
      client.query("update ledger_heads set at = $1 where bank_id = 'citi'", [ahead]),
    )
    expect(await releaseOf(broker, 'citi', consent)).toMatchObject({ kind: 'entered', at: ahead })
    await replayLedger(broker, 'citi')
  })

  it('loses nothing and releases nothing while the disk is full, and goes on when it is not', async () => {
    const consent = await activeConsent(broker, 'citi')
    const before = (await replayLedger(broker, 'citi')).size
    await withClient(database.ownerUrl, async (client) => {
      await client.query(
        `create function full_disk() returns trigger language plpgsql as $$
         begin raise exception 'no space left on device' using errcode = '53100'; end $$`,
      )
      await client.query(
        'create trigger full_disk before insert on leaf_hashes for each row execute function full_disk()',
      )
    })
    await expect(releaseOf(broker, 'citi', consent)).rejects.toThrow(DoorUnavailable)
    expect((await replayLedger(broker, 'citi')).size).toBe(before)
    await withClient(database.ownerUrl, (client) =>
      client.query('drop trigger full_disk on leaf_hashes'),
    )
    expect((await releaseOf(broker, 'citi', consent)).kind).toBe('entered')
    expect((await replayLedger(broker, 'citi')).size).toBe(before + 1)
  })
})
