import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { randomBytes } from 'node:crypto'
import { withClient } from '../../sandbox/postgres_database.ts'
import { LedgerClosed } from '../../src/broker/append.ts'
import { suspendRecipient } from '../../src/broker/approve_recipient.ts'
import { closeLedger } from '../../src/broker/close_ledger.ts'
import { openLedger } from '../../src/broker/open_ledger.ts'
import { revokeConsent } from '../../src/broker/revoke_consent.ts'
import { sweepRefusals, recordRefusal } from '../../src/broker/record_refusal.ts'
import { writeEpoch } from '../../src/broker/write_epoch.ts'
import { embeddedCheckpoint } from '../../src/ledger/embedded_note.ts'
import { readEntry } from '../../src/ledger/entry.ts'
import { parseCheckpoint } from '../../src/merkle/checkpoint.ts'
import { parseNote } from '../../src/merkle/note.ts'
import { publishCheckpoint } from '../../src/storage/signed.ts'
import { readLeaves } from '../../src/storage/ledgers.ts'
import { activeConsent, approveMessenger, releaseOf } from '../support/consents.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import {
  memoryMarks,
  originOf,
  replayLedger,
  testBank,
  testBroker,
  type TestBroker,
} from '../support/test_broker.ts'

const [citi, next] = [testBank('citi'), testBank('citi-2')]
const [seed, marks] = [randomBytes(32), memoryMarks()]
const reason = 'the bank has a new key'

describe('a ledger that is closed', () => {
  let database: TestDatabase
  let broker: TestBroker
  let other: TestBroker
  beforeAll(async () => {
    database = await testDatabase()
    broker = await testBroker(database.serviceUrl, { banks: [citi], seed, marks })
    other = await testBroker(database.serviceUrl, { banks: [citi], seed, marks })
    await approveMessenger(broker, citi)
  })
  afterAll(async () => {
    await broker.close()
    await other.close()
    await database.drop()
  })

  it('ends every consent, also one that is granted meanwhile, and nothing follows', async () => {
    const consents = await Promise.all([1, 2, 3].map(() => activeConsent(broker, 'citi')))
    // One process closes while another grants: each grant is before the end, and ended, or refused.
    const [closing, ...grants] = await Promise.allSettled([
      closeLedger(broker, { bank: 'citi', reason }),
      ...[1, 2, 3, 4].map(() => activeConsent(other, 'citi')),
    ])
    for (const grant of grants)
      if (grant.status === 'rejected') expect(grant.reason).toBeInstanceOf(LedgerClosed)
    if (closing.status === 'rejected') throw closing.reason
    const state = await replayLedger(broker, 'citi')
    expect(state.closed).toBe(true)
    expect([...state.consents.values()].filter((one) => one.state === 'active')).toEqual([])
    const granted = grants.filter(({ status }) => status === 'fulfilled').length
    expect(closing.value.ended).toBe(consents.length + granted)
    const { size } = parseCheckpoint(parseNote(closing.value.checkpoint).text)
    expect(size).toBe(state.size)
    const [last] = await readLeaves(broker.db, 'citi', { from: size - 1, to: size })
    const { kind, body } = readEntry(last ?? new Uint8Array())
    expect(kind).toBe('close')
    if (!('checkpoint' in body)) throw new Error('no checkpoint')
    expect(embeddedCheckpoint(body.checkpoint)).toMatchObject({ origin: originOf('citi') })
  })

  it('takes nothing more, and answers as before what changes nothing', async () => {
    const before = await replayLedger(broker, 'citi')
    const [consentId = ''] = before.consents.keys()
    const suspended = suspendRecipient(broker, { bank: 'citi', recipient: 'messenger', by: 'bank' })
    await expect(suspended).rejects.toThrow(LedgerClosed)
    await expect(activeConsent(broker, 'citi')).rejects.toThrow(LedgerClosed)
    await expect(
      releaseOf(broker, 'citi', { id: consentId, handle: 'A'.repeat(22) }),
    ).resolves.toMatchObject({ reason: 'consent_revoked' })
    const again = { bank: 'citi', consentId, by: 'customer', reason: 'USER_ACTION' } as const
    expect(await revokeConsent(broker, again)).toMatchObject({ state: 'revoked', now: false })
    await recordRefusal(broker, {
      bank: 'citi',
      client: 'messenger',
      class: 'messaging_platform',
      reason: 'consent_revoked',
      consent: consentId,
    })
    expect(await sweepRefusals(broker, 'citi')).toBe(0)
    expect(await writeEpoch(broker, 'citi', 0)).toBe(false)
    expect((await replayLedger(broker, 'citi')).size).toBe(before.size)
  })

  it('is closed once', async () => {
    const first = await closeLedger(broker, { bank: 'citi', reason })
    expect(first.ended).toBe(0)
    expect(await closeLedger(other, { bank: 'citi', reason: 'again' })).toEqual(first)
  })

  it('is followed by another, whose first entry carries its last checkpoint', async () => {
    const { checkpoint } = await closeLedger(broker, { bank: 'citi', reason })
    const predecessor = { checkpoint: Buffer.from(checkpoint).toString('base64url'), reason }
    const banks = new Map([[next.id, next]])
    const successor = await testBroker(database.serviceUrl, { banks: [], seed, marks })
    try {
      const of = {
        ...successor,
        bankPort: { ...successor.bankPort, banks },
        issuer: broker.issuer,
        keys: new Map([[next.id, broker.keys.get('citi') ?? missing()]]),
      }
      expect(await openLedger(of, next.id, { predecessor })).toBe(true)
      const { genesis } = await replayLedger(of, next.id)
      expect(genesis?.predecessor).toEqual(predecessor)
      expect(genesis?.origin).toBe(originOf(next.id))
    } finally {
      await successor.close()
    }
  })
})

describe('a ledger of which more witnesses cosigned the end than an entry holds', () => {
  it('is closed all the same', async () => {
    const database = await testDatabase()
    const broker = await testBroker(database.serviceUrl, { banks: [citi] })
    try {
      await broker.signer.sign('citi')
      await publishCheckpoint(broker.db, 'citi')
      const line = `— witness.example ${Buffer.alloc(76).toString('base64')}`
      await withClient(database.ownerUrl, (client) =>
        client.query(
          `insert into cosignatures (bank_id, size, vkey, cosigned_at, line)
           select bank_id, size, 'vkey ' || i, now(), $1 || e'\\n' from ledger_signed, generate_series(1, 64) i`,
          [line],
        ),
      )
      expect(await closeLedger(broker, { bank: 'citi', reason })).toMatchObject({ ended: 0 })
      expect((await replayLedger(broker, 'citi')).closed).toBe(true)
    } finally {
      await broker.close()
      await database.drop()
    }
  })
})

function missing(): never {
  throw new Error('no key')
}
