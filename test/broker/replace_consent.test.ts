import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { CannotReplace } from '../../src/broker/changed_consent.ts'
import { grantConsent } from '../../src/broker/grant_consent.ts'
import { revokeConsent } from '../../src/broker/revoke_consent.ts'
import type { RequestedTerms } from '../../src/consent/terms.ts'
import { readEntry, consentOf, type Entry } from '../../src/ledger/entry.ts'
import { findConsent, insertRequested } from '../../src/storage/consents.ts'
import { inBank } from '../../src/storage/database.ts'
import { random128, routed } from '../../src/storage/ids.ts'
import { findLedger, readLeaves } from '../../src/storage/ledgers.ts'
import { approveRecipient } from '../../src/broker/approve_recipient.ts'
import { purpose, releaseOf } from '../support/consents.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { replayLedger, testBank, testBroker, type TestBroker } from '../support/test_broker.ts'

const citi = testBank('citi')
const care = 'https://w3id.org/dpv#CustomerCare'
let database: TestDatabase
let broker: TestBroker

beforeAll(async () => {
  database = await testDatabase()
  broker = await testBroker(database.serviceUrl, { banks: [citi] })
  for (const recipient of ['messenger', 'other'])
    await approveRecipient(broker, {
      bank: 'citi',
      jws: citi.approve({
        ...{ recipient, class: 'messaging_platform', purposes: [purpose, care] },
        clusters: ['ACCOUNT_BASIC', 'BALANCES', 'TRANSACTIONS'],
      }),
    })
})

afterAll(async () => {
  await broker.close()
  await database.drop()
})

interface Asked extends Partial<RequestedTerms> {
  readonly replaces?: string
  readonly psid?: string
  readonly subject?: string
}

/** A request, approved by a customer whose profile and bank login have one name unless it says otherwise. */
async function granted(customer: string, asked: Asked = {}): Promise<string> {
  const { replaces, psid = customer, subject = customer, ...change } = asked
  const asking = routed('citi', random128())
  const requested: RequestedTerms = {
    ...{ recipient: 'messenger', bank: 'citi', purpose, delivery: 'in_thread' },
    ...{ clusters: ['ACCOUNT_BASIC', 'BALANCES'] },
    ...{ lookback_days: 90, one_time: false, duration_days: 90 },
    ...change,
  }
  await inBank(broker.db, 'citi', (tx) => insertRequested(tx, { id: asking, requested }))
  const { consentId } = await grantConsent(broker, {
    ...{ bank: 'citi', consentId: asking, ...(replaces === undefined ? {} : { replaces }) },
    profile: { page_id: 'page', psid, display_name: psid },
    login: {
      ...{ subject, idToken: `signed ${asking}` },
      tokens: { access_token: random128(), expires: Date.now() + 300_000 },
    },
    ...{ termsSalt: random128(), termsCommitment: 'A'.repeat(43) },
    accounts: [{ bankAccountId: 'one', display: 'Everyday ••••1111' }],
    disclosure: { version: '2', language: 'en', text: 'as shown' },
  })
  return consentId
}

async function entries(consentId: string): Promise<Entry[]> {
  const size = (await findLedger(broker.db, 'citi'))?.size ?? 0
  const leaves = await readLeaves(broker.db, 'citi', { from: 0, to: size })
  return leaves.map((leaf) => readEntry(leaf)).filter((entry) => consentOf(entry) === consentId)
}

const kinds = async (consentId: string) => (await entries(consentId)).map(({ kind }) => kind)

const rows = (sql: string) =>
  inBank(broker.db, 'citi', async (tx) => {
    const found = await tx.raw<{ rows: Record<string, unknown>[] }>(sql)
    return found.rows
  })

async function active(consentId: string) {
  const record = await findConsent(broker.db, 'citi', consentId)
  if (record?.consent.state !== 'active') throw new Error(`${consentId} is not active`)
  return { ...record, terms: record.consent.terms }
}

describe('a replace', () => {
  it('is one entry, by the customer, with all the new terms and a login of its own', async () => {
    const id = await granted('ann')
    const before = await active(id)
    const after = await granted('ann', {
      ...{ replaces: id, clusters: ['BALANCES', 'TRANSACTIONS'], lookback_days: 7 },
      ...{ purpose: care, delivery: 'link_out', duration_days: 30 },
    })
    expect(after).toBe(id)
    const [grant, replace, ...more] = await entries(id)
    expect(more).toEqual([])
    const { terms, bankTokenId } = await active(id)
    expect(replace).toMatchObject({
      kind: 'consent.replace',
      body: { ...terms, by: 'customer', consent: id, prev: grant?.n, login: expect.any(String) },
    })
    expect(terms).toMatchObject({
      ...{ clusters: ['BALANCES', 'TRANSACTIONS'], lookback_days: 7 },
      ...{ purpose: care, delivery: 'link_out' },
    })
    const login = (entry: Entry | undefined) => entry && 'login' in entry.body && entry.body.login
    expect(login(replace)).not.toBe(login(grant))
    expect(terms.accounts).not.toEqual(before.terms.accounts)
    expect(bankTokenId).not.toBe(before.bankTokenId)
    expect(await rows('select about from outbox')).toContainEqual({ about: before.bankTokenId })
    expect(await rows(`select id from consents where state = 'requested'`)).toEqual([])
    await replayLedger(broker, 'citi')
  })

  it.each<[string, Asked, RegExp]>([
    ['of another bank login', { subject: 'mallory' }, /not one of this profile and bank login/],
    ['of another profile', { psid: 'mallory' }, /not one of this profile and bank login/],
    ['of another recipient', { recipient: 'other' }, /not one of this profile and bank login/],
  ])('%s changes nothing', async (_, change, why) => {
    const customer = `bea ${_}`
    const id = await granted(customer)
    const before = await active(id)
    const refused = granted(customer, { replaces: id, duration_days: 10, ...change })
    await expect(refused).rejects.toThrow(CannotReplace)
    await expect(refused).rejects.toThrow(why)
    expect(await active(id)).toEqual(before)
    expect(await kinds(id)).toEqual(['consent.grant'])
  })

  it('of a grant that has ended changes nothing', async () => {
    const id = await granted('cal')
    await revokeConsent(broker, {
      ...{ bank: 'citi', consentId: id, by: 'customer', reason: 'USER_ACTION' },
    })
    await expect(granted('cal', { replaces: id })).rejects.toThrow('has ended')
    expect(await kinds(id)).toEqual(['consent.grant', 'consent.revoke'])
  })

  it('by what is another grant already changes neither', async () => {
    const [one, two] = [await granted('dan'), await granted('dan', { delivery: 'link_out' })]
    const before = [await active(one), await active(two)]
    await expect(granted('dan', { replaces: one, delivery: 'link_out' })).rejects.toThrow(
      'another active grant has this purpose and delivery',
    )
    expect([await active(one), await active(two)]).toEqual(before)
    // Its own likeness is no other.
    expect(await granted('dan', { replaces: two, delivery: 'link_out' })).toBe(two)
  })

  it('asked beyond what the bank approves is refused and recorded, and changes nothing', async () => {
    const id = await granted('eve')
    const refused = granted('eve', { replaces: id, clusters: ['FRAUD_ALERTS'] })
    await expect(refused).rejects.toThrow('cluster not approved')
    expect(await kinds(id)).toEqual(['consent.grant'])
    expect((await active(id)).terms.clusters).toEqual(['ACCOUNT_BASIC', 'BALANCES'])
  })

  it('leaves no token of a bank behind that no consent stands on and nobody is to end', async () => {
    const id = await granted('ivy')
    await expect(granted('ivy', { replaces: id, subject: 'mallory' })).rejects.toThrow()
    await expect(granted('ivy', { replaces: id, clusters: ['FRAUD_ALERTS'] })).rejects.toThrow()
    const left = await rows(
      `select t.id from bank_tokens t where t.ended_at is null
         and not exists (select from consents c where c.bank_token_id = t.id)
         and not exists (select from outbox o where o.about = t.id)`,
    )
    expect(left).toEqual([])
  })
})

describe('at the same time', () => {
  it('replaces come one after the other, an entry each, and the last has its terms', async () => {
    const id = await granted('fay')
    const days = [10, 20, 30, 40, 50]
    await Promise.all(days.map((lookback_days) => granted('fay', { replaces: id, lookback_days })))
    const found = await entries(id)
    expect(found.map(({ kind }) => kind)).toEqual([
      'consent.grant',
      ...days.map(() => 'consent.replace'),
    ])
    const asked = found.slice(1).map(({ body }) => 'lookback_days' in body && body.lookback_days)
    expect(new Set(asked)).toEqual(new Set(days))
    const { terms, bankTokenId } = await active(id)
    expect(terms.lookback_days).toBe(asked.at(-1))
    expect(found.at(-1)?.body).toMatchObject({ accounts: terms.accounts })
    const ended = await rows('select about from outbox')
    expect(ended).not.toContainEqual({ about: bankTokenId })
    const kept = await rows(
      `select t.id from bank_tokens t join consents c using (link_id) where c.id = '${id}'`,
    )
    // Each token but the last one's is to be ended at the bank.
    expect(kept.filter(({ id: about }) => !ended.some((one) => one['about'] === about))).toEqual([
      { id: bankTokenId },
    ])
  })

  it('a replace and a revocation have one order, and the revocation stands', async () => {
    for (let round = 0; round < 8; round++) {
      const customer = `gil ${round}`
      const id = await granted(customer)
      const [replaced] = await Promise.allSettled([
        granted(customer, { replaces: id, lookback_days: 1 }),
        revokeConsent(broker, {
          ...{ bank: 'citi', consentId: id, by: 'customer', reason: 'USER_ACTION' },
        }),
      ])
      const found = await kinds(id)
      expect(found).toEqual(
        replaced.status === 'fulfilled'
          ? ['consent.grant', 'consent.replace', 'consent.revoke']
          : ['consent.grant', 'consent.revoke'],
      )
      expect((await findConsent(broker.db, 'citi', id))?.consent.state).toBe('revoked')
    }
  })

  it('a release is one of the old terms or of the new, and never of both', async () => {
    const id = await granted('hal')
    await broker.signer.sign('citi')
    const handles: string[] = []
    const outcomes = []
    for (let round = 0; round < 6; round++) {
      const [handle = ''] = (await active(id)).terms.accounts
      handles.push(handle)
      const asked = Array.from({ length: 5 }, () => releaseOf(broker, 'citi', { id, handle }))
      await granted('hal', { replaces: id, lookback_days: round })
      outcomes.push(...(await Promise.all(asked)), await releaseOf(broker, 'citi', { id, handle }))
      await broker.signer.sign('citi')
    }
    // What names the accounts of the old terms is refused once the new ones are there.
    const last = outcomes.filter((_, index) => index % 6 === 5)
    expect(last).toEqual(
      last.map(() => expect.objectContaining({ kind: 'refused', reason: 'account_not_covered' })),
    )
    let current: readonly string[] = []
    for (const { kind, body } of await entries(id)) {
      if (kind === 'release') expect(body.accounts).toEqual(current)
      else if ('accounts' in body) current = body.accounts
    }
    expect(handles).toHaveLength(new Set(handles).size)
    await replayLedger(broker, 'citi')
  })
})
