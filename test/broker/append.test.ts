import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { grant } from '../../src/consent/consent.ts'
import type { Terms } from '../../src/consent/terms.ts'
import type { Decision } from '../../src/broker/append.ts'
import { approveRecipient } from '../../src/broker/approve_recipient.ts'
import { random128 } from '../../src/broker/ids.ts'
import { recordRefusal, sweepRefusals } from '../../src/broker/record_refusal.ts'
import { revokeConsent } from '../../src/broker/revoke_consent.ts'
import { uncovered } from '../../src/consent/consent.ts'
import { withClient } from '../../sandbox/postgres_database.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import {
  replayLedger,
  requestedConsent,
  testBank,
  testBroker,
  type TestBroker,
} from '../support/test_broker.ts'

const bank = testBank('citi')
const purpose = 'https://w3id.org/dpv#RequestedServiceProvision'
let database: TestDatabase
let broker: TestBroker

beforeAll(async () => {
  database = await testDatabase()
  broker = await testBroker(database.serviceUrl, { banks: [bank] })
  const jws = bank.approve({
    recipient: 'messenger',
    class: 'messaging_platform',
    purposes: [purpose],
    clusters: ['ACCOUNT_BASIC', 'BALANCES', 'TRANSACTIONS'],
  })
  await approveRecipient(broker, { bank: 'citi', jws })
})

afterAll(async () => {
  await broker.close()
  await database.drop()
})

async function activeConsent(): Promise<{ id: string; handle: string }> {
  const id = await requestedConsent(broker, { bank: 'citi', recipient: 'messenger' })
  const handle = random128()
  const terms: Terms = {
    recipient: 'messenger',
    purpose,
    clusters: ['ACCOUNT_BASIC', 'BALANCES'],
    accounts: [handle],
    lookback_days: 90,
    one_time: false,
    expires: new Date(Date.now() + 86_400_000).toISOString(),
    delivery: 'in_thread',
    disclosure: { version: '1', language: 'en', sha256: 'A'.repeat(43) },
  }
  const outcome = await broker.door.append('citi', {
    names: { consents: [id], recipients: ['messenger'] },
    decide(state): Decision {
      const record = state.consents.get(id)
      if (record === undefined) return { refused: 'consent_unknown' }
      const moved = grant(record.consent, {
        terms,
        approval: state.approvals.get('messenger'),
        at: state.at,
      })
      if (typeof moved === 'string') return { refused: moved }
      return {
        entry: {
          kind: 'consent.grant',
          body: { ...terms, consent: id, login: 'A'.repeat(43), terms: 'A'.repeat(43) },
        },
        effects: [{ set: 'consent', record: { ...record, consent: moved, linkId: random128() } }],
      }
    },
  })
  expect(outcome.kind).toBe('entered')
  return { id, handle }
}

function releaseDraft(id: string, handle: string) {
  const access = {
    recipient: 'messenger',
    to: 'messaging_platform',
    clusters: ['BALANCES'],
    accounts: [handle],
  } as const
  return broker.door.append('citi', {
    names: { consents: [id], recipients: ['messenger'], tokens: ['jti'] },
    releases: true,
    decide(state): Decision {
      const refused = uncovered(state.consents.get(id)?.consent, {
        access,
        approval: state.approvals.get('messenger'),
        at: state.at,
      })
      if (refused !== undefined) return { refused }
      return {
        entry: {
          kind: 'release',
          body: {
            ...access,
            consent: id,
            fetches: [random128()],
            interaction: '00000000-0000-4000-8000-000000000000',
            payload: 'A'.repeat(43),
            purpose,
          },
        },
      }
    },
  })
}

describe('the one door', () => {
  it('enters no release after a revocation, and every release it acknowledged, in an order that replays', async () => {
    const { id, handle } = await activeConsent()
    let going = true
    const acknowledged: number[] = []
    const refused: string[] = []
    const clients = Array.from({ length: 16 }, async () => {
      while (going) {
        const outcome = await releaseDraft(id, handle)
        if (outcome.kind === 'entered') acknowledged.push(outcome.n)
        else if (outcome.kind === 'refused') {
          refused.push(outcome.reason)
          return
        }
      }
    })
    const signing = setInterval(() => void broker.signer.sign('citi'), 200)
    await new Promise((resolve) => setTimeout(resolve, 500))
    const ended = await revokeConsent(broker, {
      bank: 'citi',
      consentId: id,
      by: 'customer',
      reason: 'USER_ACTION',
    })
    await Promise.all(clients)
    going = false
    clearInterval(signing)
    expect(ended.state).toBe('revoked')
    expect(new Set(refused)).toEqual(new Set(['consent_revoked']))
    const state = await replayLedger(broker, 'citi')
    expect(state.consents.get(id)?.state).toBe('revoked')
    expect(state.totals['releases_messaging_platform']).toBe(acknowledged.length)
    expect(acknowledged.length).toBeGreaterThan(16)
    expect(broker.alarms).toEqual([])
    expect(await broker.signer.sign('citi')).toBeUndefined()
  })

  it('answers a second revocation as the first', async () => {
    const { id } = await activeConsent()
    const wish = { bank: 'citi', consentId: id, by: 'customer', reason: 'USER_ACTION' } as const
    const first = await revokeConsent(broker, wish)
    const second = await revokeConsent(broker, { ...wish, by: 'operator' })
    expect(first).toMatchObject({ state: 'revoked', now: true })
    expect(second).toEqual({ ...first, now: false })
  })

  it('writes the first refusal of a minute at once and counts the others', async () => {
    const refuse = () =>
      recordRefusal(broker, {
        bank: 'citi',
        client: 'ads',
        class: 'advertising',
        reason: 'class_denied',
      })
    await Promise.all(Array.from({ length: 20 }, refuse))
    const before = await replayLedger(broker, 'citi')
    expect(before.totals['refusals_advertising']).toBeGreaterThanOrEqual(1)
    await withClient(database.ownerUrl, (client) =>
      client.query("update refusal_tallies set minute = minute - interval '1 minute'"),
    )
    await sweepRefusals(broker, 'citi')
    const after = await replayLedger(broker, 'citi')
    expect(after.totals['refusals_advertising']).toBe(20)
  })
})
