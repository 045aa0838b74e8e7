import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { randomUUID } from 'node:crypto'
import { withClient } from '../../sandbox/postgres_database.ts'
import { closeLedger } from '../../src/broker/close_ledger.ts'
import { eraseLink, TokensNotEnded } from '../../src/broker/erase_link.ts'
import { DoorUnavailable } from '../../src/broker/append.ts'
import type { Broker } from '../../src/broker/broker.ts'
import { revokeConsent } from '../../src/broker/revoke_consent.ts'
import { erasure_consents_max } from '../../src/ledger/entry.ts'
import { findConnections } from '../../src/storage/connections.ts'
import { findConsent } from '../../src/storage/consents.ts'
import { inBank } from '../../src/storage/database.ts'
import { rememberDevice } from '../../src/storage/devices.ts'
import { eraseLinks } from '../../src/storage/erasures.ts'
import { random128 } from '../../src/storage/ids.ts'
import { loginIndexOf } from '../../src/storage/links.ts'
import { entriesOf } from '../support/api_app.ts'
import { approveMessenger, releaseOf } from '../support/consents.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { fakeBanks, type FakeBanks } from '../support/fake_banks.ts'
import { linkedConsent } from '../support/linked_consents.ts'
import { replayLedger, testBank, testBroker, type TestBroker } from '../support/test_broker.ts'

const citi = testBank('citi')
let database: TestDatabase
let banks: FakeBanks
let broker: TestBroker

beforeAll(async () => {
  database = await testDatabase()
  banks = fakeBanks()
  broker = await testBroker(database.serviceUrl, { banks: [citi], bankPort: banks })
  await approveMessenger(broker, citi)
})

afterAll(async () => {
  await replayLedger(broker, 'citi')
  await broker.close()
  await database.drop()
})

const asOwner = (sql: string, values: readonly unknown[] = []) =>
  withClient(
    database.ownerUrl,
    async (client) => (await client.query<Record<string, unknown>>(sql, [...values])).rows,
  )

const tokensOf = (customer: string) => ({
  access_token: `access of ${customer}`,
  expires: Date.now() + 600_000,
})

const link = (customer: string) =>
  linkedConsent(broker, 'citi', { tokens: tokensOf(customer), customer })

const erase = (consentId: string, by: Broker = broker) => eraseLink(by, { bank: 'citi', consentId })

const erasures = async () =>
  (await entriesOf(broker, 'citi')).flatMap((entry) =>
    entry.kind === 'erasure' ? [entry.body.consents] : [],
  )

/** How many rows still say something of the link of a consent. */
async function rowsOf(consent: string, customer: string): Promise<Record<string, unknown>> {
  const login = loginIndexOf(broker.vault, { bank: 'citi', bankSubject: customer })
  const [rows = {}] = await asOwner(
    `with c as (select * from consents where id = $1)
     select (select count(*)::int from links where id = (select link_id from c)) as links,
       (select count(*)::int from link_keys where link_id = (select link_id from c)) as keys,
       (select count(*)::int from bank_tokens where link_id = (select link_id from c)) as tokens,
       (select count(*)::int from devices where login_index = $2) as devices,
       (select count(*)::int from deliveries where consent_id = $1) as deliveries,
       (select count(*)::int from refresh_tokens where consent_id = $1) as refresh_tokens,
       (select count(*)::int from c where accounts_sealed is not null or evidence_sealed is not null) as sealed`,
    [consent, login],
  )
  return rows
}

const nothing = {
  ...{ links: 0, keys: 0, tokens: 0, devices: 0, deliveries: 0, refresh_tokens: 0, sealed: 0 },
}

async function withEverything(customer: string): Promise<string> {
  const consent = await link(customer)
  const loginIndex = loginIndexOf(broker.vault, { bank: 'citi', bankSubject: customer })
  await rememberDevice(broker, { bank: 'citi', loginIndex })
  await asOwner(
    `insert into deliveries (bank_id, pointer_hash, consent_id, client_id, clusters, expires_at)
     values ('citi', decode(md5($1), 'hex'), $1, 'messenger', '{BALANCES}', now() + interval '1 hour')`,
    [consent],
  )
  return consent
}

it('ends what is active, tells the bank, and leaves nothing that leads to the customer', async () => {
  const [kept, customer] = [randomUUID(), randomUUID()]
  const other = await withEverything(kept)
  const consent = await withEverything(customer)
  const { consent: before } = (await findConsent(broker.db, 'citi', consent)) ?? {}
  expect(await rowsOf(consent, customer)).toMatchObject({
    links: 1,
    keys: 1,
    devices: 1,
    sealed: 1,
  })

  expect(await erase(consent)).toEqual({ erased: 1 })
  expect(await rowsOf(consent, customer)).toEqual(nothing)
  expect(banks.revoked).toContain(`access of ${customer}`)
  const [last, ended] = (await entriesOf(broker, 'citi')).toReversed()
  expect(ended).toMatchObject({ kind: 'consent.revoke', body: { consent, by: 'operator' } })
  expect(last).toMatchObject({ kind: 'erasure', body: { consents: [consent] } })
  const loginIndex = loginIndexOf(broker.vault, { bank: 'citi', bankSubject: customer })
  expect(await findConnections(broker, { bank: 'citi', loginIndex })).toEqual([])

  const [handle = ''] = before !== undefined && 'terms' in before ? before.terms.accounts : []
  expect(await releaseOf(broker, 'citi', { id: consent, handle })).toMatchObject({
    ...{ kind: 'refused', reason: 'consent_revoked' },
  })
  expect(await rowsOf(other, kept)).toMatchObject({ links: 1, keys: 1, devices: 1, sealed: 1 })
  expect((await replayLedger(broker, 'citi')).erased).toEqual(new Set([consent]))
})

it('changes nothing a second time, and knows no link that there never was', async () => {
  const consent = await link(randomUUID())
  await erase(consent)
  const before = (await erasures()).length
  expect(await erase(consent)).toEqual({ erased: 0 })
  expect((await erasures()).length).toBe(before)
  await expect(erase(`citi.${random128()}`)).rejects.toThrow('consent unknown')
})

it('waits for the bank to take its tokens back, unless it is told not to', async () => {
  const customer = randomUUID()
  const consent = await link(customer)
  banks.silent = true
  await expect(erase(consent)).rejects.toThrow(TokensNotEnded)
  expect(await rowsOf(consent, customer)).toMatchObject({ links: 1, keys: 1, tokens: 1, sealed: 1 })
  await eraseLink(broker, { bank: 'citi', consentId: consent, withoutBank: true })
  banks.silent = false
  expect(await rowsOf(consent, customer)).toEqual(nothing)
})

/** A process that is killed at its second draft. */
function dying(): Broker {
  let drafts = 0
  const append: Broker['door']['append'] = (...draft) =>
    ++drafts === 2 ? Promise.reject(new Error('killed')) : broker.door.append(...draft)
  return { ...broker, door: { ...broker.door, append } }
}

it('goes on where it was killed: before the first entry, and between two', async () => {
  const customer = randomUUID()
  const ids: string[] = []
  for (let i = 0; i < erasure_consents_max + 2; i++) {
    const consentId = await link(customer)
    ids.push(consentId)
    if (i <= erasure_consents_max)
      await revokeConsent(broker, {
        ...{ bank: 'citi', consentId, by: 'customer', reason: 'USER_ACTION' },
      })
  }
  const [first = ''] = ids
  await expect(erase(first, dying())).rejects.toThrow('killed')
  expect(await rowsOf(first, customer)).toMatchObject({ links: 1, keys: 1, sealed: 1 })
  await expect(erase(first, dying())).rejects.toThrow('killed')
  expect(await rowsOf(first, customer)).toEqual(nothing)
  expect(await erase(first)).toEqual({ erased: 2 })
  const named = (await erasures()).slice(-2)
  expect(named.map(({ length }) => length)).toEqual([erasure_consents_max, 2])
  expect(named.flat().toSorted()).toEqual(ids.toSorted())
})

it('by two at once is entered once', async () => {
  const consent = await link(randomUUID())
  const both = await Promise.all([erase(consent), erase(consent)])
  expect(both.map(({ erased }) => erased).toSorted((a, b) => a - b)).toEqual([0, 1])
})

it('before a grant that was prepared under the link leaves no active consent without its key', async () => {
  const customer = randomUUID()
  const first = await link(customer)
  await revokeConsent(broker, {
    ...{ bank: 'citi', consentId: first, by: 'customer', reason: 'USER_ACTION' },
  })
  // The erasure comes between what a grant stores and its draft.
  const append: Broker['door']['append'] = async (bank, draft) => {
    if (draft.names.identical !== undefined) await erase(first)
    return broker.door.append(bank, draft)
  }
  const late = { ...broker, door: { ...broker.door, append } }
  const granting = linkedConsent(late, 'citi', { tokens: tokensOf(customer), customer })
  await expect(granting).rejects.toThrow(DoorUnavailable)
  const keyless = await asOwner(
    `select c.id from consents c left join link_keys k on k.bank_id = c.bank_id and k.link_id = c.link_id
     where c.state = 'active' and k.link_id is null`,
  )
  expect(keyless).toEqual([])
  expect(await rowsOf(await link(customer), customer)).toMatchObject({ links: 1, keys: 1 })
})

it('is done again to what a backup brought back', async () => {
  const customer = randomUUID()
  const consent = await withEverything(customer)
  await inBank(broker.db, 'citi', (tx) => eraseLinks(tx, 'citi', [consent, `citi.${random128()}`]))
  expect(await rowsOf(consent, customer)).toEqual(nothing)
})

// The last one: the ledger takes no entry after it.
it('needs no entry where the ledger was closed', async () => {
  const customer = randomUUID()
  const consent = await withEverything(customer)
  await closeLedger(broker, { bank: 'citi', reason: 'the bank has a new key' })
  const before = (await erasures()).length
  expect(await erase(consent)).toEqual({ erased: 1 })
  expect(await rowsOf(consent, customer)).toEqual(nothing)
  expect(await erase(consent)).toEqual({ erased: 0 })
  expect((await erasures()).length).toBe(before)
})
