import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { declineConsent } from '../../src/broker/decline_consent.ts'
import { grantConsent, type Approved } from '../../src/broker/grant_consent.ts'
import { narrowConsent } from '../../src/broker/narrow_consent.ts'
import { revokeConsent } from '../../src/broker/revoke_consent.ts'
import type { RequestedTerms } from '../../src/consent/terms.ts'
import { findConsent, insertRequested } from '../../src/storage/consents.ts'
import { inBank } from '../../src/storage/database.ts'
import { random128, routed } from '../../src/storage/ids.ts'
import { approveMessenger, purpose } from '../support/consents.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { replayLedger, testBank, testBroker, type TestBroker } from '../support/test_broker.ts'

const citi = testBank('citi')
let database: TestDatabase
let broker: TestBroker

beforeAll(async () => {
  database = await testDatabase()
  broker = await testBroker(database.serviceUrl, { banks: [citi] })
  await approveMessenger(broker, citi)
})

afterAll(async () => {
  await replayLedger(broker, 'citi')
  await broker.close()
  await database.drop()
})

/** A request as PAR leaves it. */
async function requested(change: Partial<RequestedTerms> = {}): Promise<string> {
  const id = routed('citi', random128())
  const terms: RequestedTerms = {
    recipient: 'messenger',
    bank: 'citi',
    clusters: ['ACCOUNT_BASIC', 'BALANCES'],
    purpose,
    lookback_days: 90,
    one_time: false,
    duration_days: 90,
    delivery: 'in_thread',
    ...change,
  }
  await inBank(broker.db, 'citi', (tx) => insertRequested(tx, { id, requested: terms }))
  return id
}

const approve = (consentId: string, customer: string, change: Partial<Approved> = {}) =>
  grantConsent(broker, {
    bank: 'citi',
    consentId,
    profile: { page_id: 'page', psid: customer, display_name: customer },
    login: {
      subject: customer,
      idToken: 'signed',
      tokens: { access_token: random128(), expires: Date.now() + 300_000 },
    },
    termsSalt: random128(),
    termsCommitment: 'A'.repeat(43),
    accounts: [
      { bankAccountId: 'one', display: 'Everyday ••••1111' },
      { bankAccountId: 'two', display: 'Savings ••••2222' },
    ],
    disclosure: { version: '1', language: 'en', text: 'as shown' },
    ...change,
  })

async function termsOf(consentId: string) {
  const record = await findConsent(broker.db, 'citi', consentId)
  if (record?.consent.state !== 'active') throw new Error(`${consentId} is not active`)
  return { terms: record.consent.terms, requested: record.requested, token: record.bankTokenId }
}

describe('a second grant that is identical', () => {
  it('gives the first its terms, all of them, and keeps its id', async () => {
    const first = await approve(await requested({ duration_days: 30 }), 'ann')
    const before = await termsOf(first.consentId)
    const second = await approve(await requested({ duration_days: 60, lookback_days: 7 }), 'ann')
    expect(second.consentId).toBe(first.consentId)
    const after = await termsOf(first.consentId)
    expect(after.requested).toMatchObject({ duration_days: 60, lookback_days: 7 })
    expect(after.terms.lookback_days).toBe(7)
    expect(Date.parse(after.terms.expires) - Date.parse(before.terms.expires)).toBeGreaterThan(
      29 * 86_400_000,
    )
    const { rows } = await inBank(broker.db, 'citi', (tx) =>
      tx.raw<{ rows: { about: string }[] }>('select about from outbox'),
    )
    expect(rows).toContainEqual({ about: before.token })
    expect(after.token).not.toBe(before.token)
  })

  it('is not one for another delivery', async () => {
    const first = await approve(await requested(), 'bea')
    const second = await approve(await requested({ delivery: 'link_out' }), 'bea')
    expect(second.consentId).not.toBe(first.consentId)
  })

  it('is a new consent once the first has ended', async () => {
    const { consentId } = await approve(await requested(), 'cal')
    await revokeConsent(broker, { bank: 'citi', consentId, by: 'customer', reason: 'USER_ACTION' })
    expect((await approve(await requested(), 'cal')).consentId).not.toBe(consentId)
  })
})

describe('a grant', () => {
  it('of more than the bank approved is refused, and the refusal recorded as the recipient', async () => {
    const before = (await replayLedger(broker, 'citi')).totals['refusals_messaging_platform'] ?? 0
    const denied = await requested({ purpose: 'https://w3id.org/dpv#CustomerCare' })
    await expect(approve(denied, 'hal')).rejects.toThrow('purpose not approved')
    const { totals } = await replayLedger(broker, 'citi')
    expect(totals['refusals_messaging_platform']).toBe(before + 1)
  })

  it("ends no later than the bank's own", async () => {
    const bankEnd = Date.now() + 3_600_000
    const login = { subject: 'dee', idToken: 'signed', bankEnd }
    const tokens = { access_token: random128(), expires: bankEnd }
    const { consentId } = await approve(await requested(), 'dee', { login: { ...login, tokens } })
    expect((await termsOf(consentId)).terms.expires).toBe(new Date(bankEnd).toISOString())
  })

  it('is made once of one request, and the second click is no attempt of the recipient', async () => {
    const before = (await replayLedger(broker, 'citi')).totals['refusals_messaging_platform']
    const id = await requested()
    const results = await Promise.allSettled([
      approve(id, 'eve'),
      approve(id, 'eve'),
      approve(id, 'eve'),
    ])
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    const { totals } = await replayLedger(broker, 'citi')
    expect(totals['refusals_messaging_platform']).toBe(before)
  })

  it('or a decline of one request wins, not both', async () => {
    for (let round = 0; round < 5; round++) {
      const consentId = await requested()
      const [granted, declined] = await Promise.allSettled([
        approve(consentId, `fay ${round}`),
        declineConsent(broker, { bank: 'citi', consentId, event: 'declined' }),
      ])
      expect([granted.status, declined.status].toSorted()).toEqual(['fulfilled', 'rejected'])
    }
  })
})

describe('narrowing', () => {
  it('leaves fewer of its accounts, and never gives one back', async () => {
    const { consentId } = await approve(await requested(), 'gil')
    const { accounts } = (await termsOf(consentId)).terms
    const [kept = '', other = ''] = accounts
    await narrowConsent(broker, { bank: 'citi', consentId, accounts: [kept] })
    expect((await termsOf(consentId)).terms.accounts).toEqual([kept])
    await expect(
      narrowConsent(broker, { bank: 'citi', consentId, accounts: [kept, other] }),
    ).rejects.toThrow('account not covered')
    expect((await replayLedger(broker, 'citi')).consents.get(consentId)?.state).toBe('active')
  })
})
