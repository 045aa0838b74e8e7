import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { withClient } from '../../sandbox/postgres_database.ts'
import {
  BankRefused,
  BankUnavailable,
  type BankPort,
  type BankTokens,
} from '../../src/broker/bank_port.ts'
import {
  limits,
  openTokens,
  withBankToken,
  type BankTokenUse,
} from '../../src/broker/bank_tokens.ts'
import { Refusal } from '../../src/consent/refusal.ts'
import { findConsent } from '../../src/storage/consents.ts'
import { approveMessenger } from '../support/consents.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { bankTokenUse, linkedConsent } from '../support/linked_consents.ts'
import {
  memoryMarks,
  replayLedger,
  testBank,
  testBroker,
  unreachableStaff,
  type TestBroker,
} from '../support/test_broker.ts'

const citi = testBank('citi')
let database: TestDatabase
let broker: TestBroker
let others: TestBroker[]

/** How the bank answers a refresh, and how often it was asked. */
let refresh: BankPort['refresh']
let refreshes: number
const no = () => Promise.reject(new Error('not asked in these tests'))
const bankPort = {
  staff: unreachableStaff,
  startLogin: no,
  finishLogin: no,
  accounts: no,
  transactions: no,
  revoke: no,
  refresh: (...args: Parameters<BankPort['refresh']>) => {
    refreshes += 1
    return refresh(...args)
  },
}

beforeAll(async () => {
  database = await testDatabase()
  const house = { marks: memoryMarks(), seed: randomBytes(32), master: randomBytes(32) }
  const open = () => testBroker(database.serviceUrl, { banks: [citi], bankPort, ...house })
  broker = await open()
  others = [await open(), await open()]
  await approveMessenger(broker, citi)
})
afterAll(async () => {
  for (const one of [broker, ...others]) await one.close()
  await database.drop()
})
beforeEach(() => {
  refreshes = 0
  refresh = () => Promise.resolve(fresh)
})

const inAnHour = Date.now() + 3_600_000
const fresh: BankTokens = { access_token: 'fresh', refresh_token: 'refresh', expires: inAnHour }
const stale: BankTokens = { access_token: 'stale', refresh_token: 'refresh', expires: 1 }

const use = async (tokens: BankTokens): Promise<BankTokenUse> =>
  bankTokenUse(broker, 'citi', await linkedConsent(broker, 'citi', { tokens }))
const echo = (accessToken: string) => Promise.resolve(accessToken)
const stateOf = async ({ consentId }: BankTokenUse) =>
  (await findConsent(broker.db, 'citi', consentId))?.consent.state
const now = async ({ consentId }: BankTokenUse) => bankTokenUse(broker, 'citi', consentId)

describe('a bank token', () => {
  it('is used as it is while it lives', async () => {
    expect(await withBankToken(broker, await use(fresh), echo)).toBe('fresh')
    expect(refreshes).toBe(0)
  })

  it('is renewed before it is used when it ends within half a minute', async () => {
    const soon = { ...stale, expires: Date.now() + 29_000 }
    expect(await withBankToken(broker, await use(soon), echo)).toBe('fresh')
    const later = { ...stale, expires: Date.now() + 60_000 }
    expect(await withBankToken(broker, await use(later), echo)).toBe('stale')
    expect(refreshes).toBe(1)
  })

  it('that cannot be renewed is used to its end', async () => {
    const single = { access_token: 'single', expires: Date.now() + 5_000 }
    expect(await withBankToken(broker, await use(single), echo)).toBe('single')
    expect(refreshes).toBe(0)
  })

  it('is renewed once for twenty requests of three processes, and is kept', async () => {
    const used = await use(stale)
    refresh = async () => {
      await new Promise((resolve) => setTimeout(resolve, 50))
      return fresh
    }
    const processes = [broker, ...others]
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => withBankToken(processes[i % 3] ?? broker, used, echo)),
    )
    expect(answers).toEqual(Array.from({ length: 20 }, () => 'fresh'))
    expect(refreshes).toBe(1)
    expect(await withBankToken(broker, await now(used), echo)).toBe('fresh')
    expect(refreshes).toBe(1)
  })

  it('that the bank refuses is renewed once and tried once more', async () => {
    const used = await use({ ...stale, expires: inAnHour })
    const tried: string[] = []
    const answer = await withBankToken(broker, used, (accessToken) => {
      tried.push(accessToken)
      if (accessToken === 'stale') throw new BankRefused('invalid_token')
      return Promise.resolve('data')
    })
    expect(answer).toBe('data')
    expect(tried).toEqual(['stale', 'fresh'])
    expect(refreshes).toBe(1)
  })

  it('that the bank refuses again is the bank’s fault, and ends nothing', async () => {
    const used = await use(fresh)
    refresh = () => Promise.resolve({ ...fresh, access_token: 'fresher' })
    const asked = withBankToken(broker, used, () => {
      throw new BankRefused('invalid_token')
    })
    await expect(asked).rejects.toMatchObject({ name: 'BankUnavailable', why: 'bad_answer' })
    expect(refreshes).toBe(1)
    expect(await stateOf(used)).toBe('active')
  })

  it('passes on whatever else the call fails with', async () => {
    const used = await use(fresh)
    for (const failure of [new BankUnavailable('timeout'), new Error('ours')])
      await expect(withBankToken(broker, used, () => Promise.reject(failure))).rejects.toBe(failure)
    expect(refreshes).toBe(0)
  })

  it('is not readable where it is kept, and opens with its link’s key only', async () => {
    const used = await use(fresh)
    expect(used.row.sealed.includes('fresh')).toBe(false)
    expect(used.row.expires).toBe(fresh.expires)
    expect(openTokens(used.key, used.row)).toEqual(fresh)
    const { key } = await use(fresh)
    expect(() => openTokens(key, used.row)).toThrow(/does not open/)
    const swapped = { ...used.row, id: (await use(fresh)).row.id }
    expect(() => openTokens(used.key, swapped)).toThrow(/does not open/)
  })
})

describe('a bank that answers invalid_grant', () => {
  it('has ended the consent: it is revoked by the bank, once, and its token goes to the outbox', async () => {
    const used = await use(stale)
    refresh = () => Promise.reject(new BankRefused('invalid_grant'))
    const answers = await Promise.allSettled(
      [broker, ...others, broker].map((one) => withBankToken(one, used, echo)),
    )
    for (const answer of answers)
      expect(answer).toMatchObject({
        status: 'rejected',
        reason: { name: 'Refusal', reason: 'consent_revoked' },
      })
    const state = await replayLedger(broker, 'citi')
    expect(state.consents.get(used.consentId)).toMatchObject({
      state: 'revoked',
      ended: { by: 'bank' },
    })
    const { rows } = await withClient(database.ownerUrl, (client) =>
      client.query('select task from outbox where about = $1', [used.row.id]),
    )
    expect(rows).toEqual([{ task: 'bank_token.revoke' }])
  })

  it('about a token that was replaced meanwhile does not end the consent that goes on', async () => {
    const customer = 'someone who links twice'
    const consentId = await linkedConsent(broker, 'citi', { tokens: stale, customer })
    const before = await bankTokenUse(broker, 'citi', consentId)
    expect(await linkedConsent(broker, 'citi', { tokens: fresh, customer })).toBe(consentId)
    refresh = () => Promise.reject(new BankRefused('invalid_grant'))
    const asked = withBankToken(broker, before, echo)
    await expect(asked).rejects.toMatchObject({ name: 'BankUnavailable' })
    expect(await stateOf(before)).toBe('active')
    expect(await withBankToken(broker, await now(before), echo)).toBe('fresh')
  })
})

describe('a bank that fails to renew', () => {
  it.each(['timeout', 'unreachable', 'bad_answer', 'too_large'] as const)(
    'ends nothing, and the next request works: %s',
    async (why) => {
      const used = await use(stale)
      refresh = () => Promise.reject(new BankUnavailable(why))
      const asked = withBankToken(broker, used, echo)
      await expect(asked).rejects.toMatchObject({ name: 'BankUnavailable', why })
      expect(await stateOf(used)).toBe('active')
      expect((await now(used)).row).toEqual(used.row)
      refresh = () => Promise.resolve(fresh)
      expect(await withBankToken(broker, used, echo)).toBe('fresh')
    },
  )

  it('does not hold the connections that other work needs', async () => {
    const used = await Promise.all(Array.from({ length: 12 }, () => use(stale)))
    let answer: (tokens: BankTokens) => void = () => undefined
    const answered = new Promise<BankTokens>((resolve) => (answer = resolve))
    refresh = () => answered
    const asked = used.map((one) => withBankToken(broker, one, echo))
    // A pool of ten connections, and twelve tokens that wait for a bank that is silent.
    for (let i = 0; i < 5; i++) expect(await stateOf(used[0] ?? (await use(fresh)))).toBe('active')
    expect(refreshes).toBeLessThanOrEqual(limits.renewals_per_bank_max)
    answer(fresh)
    expect(await Promise.all(asked)).toEqual(Array.from({ length: 12 }, () => 'fresh'))
  })
})

describe('a token that has ended', () => {
  it('is not renewed', async () => {
    const used = await use(stale)
    await withClient(database.ownerUrl, (client) =>
      client.query('update bank_tokens set ended_at = now() where id = $1', [used.row.id]),
    )
    await expect(withBankToken(broker, used, echo)).rejects.toEqual(new Refusal('consent_revoked'))
    expect(refreshes).toBe(0)
  })

  it('is not found under another link', async () => {
    const used = { ...(await use(stale)), linkId: 'another' }
    await expect(withBankToken(broker, used, echo)).rejects.toEqual(new Refusal('consent_revoked'))
    expect(refreshes).toBe(0)
  })
})
