import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { revoke } from '../../src/consent/consent.ts'
import { random128 } from '../../src/storage/ids.ts'
import {
  tallyName,
  type ConsentRecord,
  type Effect,
  type LedgerState,
  type Names,
} from '../../src/storage/ledger_state.ts'
import { activeConsent, approveMessenger } from '../support/consents.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { requestedConsent, testBank, testBroker, type TestBroker } from '../support/test_broker.ts'

const [citi, closing] = [testBank('citi'), testBank('us-bank')]
let database: TestDatabase
let broker: TestBroker

beforeAll(async () => {
  database = await testDatabase()
  broker = await testBroker(database.serviceUrl, { banks: [citi, closing] })
  await approveMessenger(broker, citi)
})

afterAll(async () => {
  await broker.close()
  await database.drop()
})

/** An effect, and where a draft that names this sees it. */
interface Sight {
  readonly bank?: string
  readonly names: Names
  readonly effect: (state: LedgerState) => Effect
  readonly look: (state: LedgerState) => unknown
}

/** What drafts see before an effect, after it in its batch, and in the next. */
async function watch({ bank = 'citi', names, effect, look }: Sight): Promise<unknown[]> {
  const seen: unknown[] = []
  const states: LedgerState[] = []
  const glance = () =>
    broker.door.append(bank, {
      names,
      decide(state) {
        states.push(state)
        seen.push(structuredClone(look(state)))
        return {}
      },
    })
  await glance()
  const change = broker.door.append(bank, {
    names,
    decide(state) {
      states.push(state)
      return { effects: [effect(state)] }
    },
  })
  await Promise.all([change, glance()])
  await glance()
  expect(states[2]).toBe(states[1])
  expect(states[3]).not.toBe(states[2])
  return seen
}

const found = <T>(value: T | undefined): T => {
  if (value === undefined) throw new Error('it is not there')
  return value
}

function revoked({ at }: LedgerState, record: ConsentRecord): ConsentRecord {
  const moved = revoke(record.consent, { by: 'customer', at })
  if (typeof moved === 'string') throw new Error(moved)
  return { ...record, consent: moved, revocationReason: 'USER_ACTION' }
}

const sights: Readonly<Partial<Record<Effect['kind'], () => Promise<Sight>>>> = {
  async 'consent.save'() {
    const { id } = await activeConsent(broker, 'citi')
    return {
      names: { consents: [id] },
      effect: (state) => ({
        kind: 'consent.save',
        record: revoked(state, found(state.consents.get(id))),
      }),
      look: ({ consents }) => consents.get(id),
    }
  },
  async 'consent.remove'() {
    const { id: into } = await activeConsent(broker, 'citi')
    const id = await requestedConsent(broker, { bank: 'citi', recipient: 'messenger' })
    return {
      names: { consents: [id] },
      effect: () => ({ kind: 'consent.remove', id, into }),
      look: ({ consents }) => consents.has(id),
    }
  },
  'approval.save': async () => ({
    names: { recipients: ['messenger', 'another'] },
    effect: ({ approvals, at }) => ({
      kind: 'approval.save',
      approval: {
        ...found(approvals.get('messenger')),
        ...{ recipient: 'another', suspended: true, suspendedAt: at },
      },
    }),
    look: ({ approvals }) => approvals.get('another'),
  }),
  'key.save': async () => ({
    names: { keys: true },
    effect: () => ({ kind: 'key.save', of: 'tokens', key: 'one', use: 'next' }),
    look: ({ keys }) => keys,
  }),
  async 'tally.take'() {
    const { key } = await broker.countRefusal('citi', {
      ...{ client: 'ads', class: 'advertising', consent: '', reason: 'class_denied' },
    })
    return {
      names: { tally: key },
      effect: () => ({ kind: 'tally.take', key, count: 1 }),
      look: ({ tallies }) => tallies.get(tallyName(key)),
    }
  },
  'access_token.revoke': async () => ({
    names: { tokens: ['one', 'other'] },
    effect: () => ({ kind: 'access_token.revoke', name: 'one', kept_s: 300 }),
    look: ({ revokedTokens }) => revokedTokens,
  }),
  'read.save': async () => ({
    names: { reading: 'one' },
    effect: ({ at }) => ({
      kind: 'read.save',
      read: {
        ...{ id: random128(), actor: 'auditor', what: 'entries', asked: '{}', salt: random128() },
        ...{ size: 1, at, token: 'one' },
      },
    }),
    look: ({ readingTokens }) => readingTokens,
  }),
  'ledger.close': async () => ({
    bank: closing.id,
    names: {},
    effect: () => ({ kind: 'ledger.close' }),
    look: ({ closed }) => closed,
  }),
  async 'links.erase'() {
    const { id, linkId } = await activeConsent(broker, 'citi')
    return {
      names: { link: linkId },
      effect: () => ({ kind: 'links.erase', consents: [id] }),
      look: ({ erased }) => erased,
    }
  },
}

describe('what an effect changes', () => {
  it.each(Object.entries(sights))(
    'by %s is seen by the next draft of its batch as by later ones',
    async (_kind, sight) => {
      const [before, beside, later] = await watch(await sight())
      expect(beside).not.toEqual(before)
      expect(beside).toEqual(later)
    },
  )
})
