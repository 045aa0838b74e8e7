import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { withClient } from '../../sandbox/postgres_database.ts'
import { DoorUnavailable } from '../../src/broker/append.ts'
import { limits, TokensGivenBack } from '../../src/broker/bank_tokens.ts'
import type { Broker } from '../../src/broker/broker.ts'
import { eraseLink } from '../../src/broker/erase_link.ts'
import { grantConsent, type Approved } from '../../src/broker/grant_consent.ts'
import { revokeConsent } from '../../src/broker/revoke_consent.ts'
import { limits as outbox, workOutbox } from '../../src/broker/work_outbox.ts'
import { findConsent } from '../../src/storage/consents.ts'
import { inBank } from '../../src/storage/database.ts'
import { rememberDevice } from '../../src/storage/devices.ts'
import { allowIdle } from '../../src/storage/idle_limit.ts'
import { random128 } from '../../src/storage/ids.ts'
import { findOrInsertLink, loginIndexOf, removeUnusedLink } from '../../src/storage/links.ts'
import { migrationsFolder } from '../../src/storage/migrate.ts'
import { approveMessenger } from '../support/consents.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { fakeBanks, type FakeBanks } from '../support/fake_banks.ts'
import { holdTable } from '../support/hold_table.ts'
import {
  replayLedger,
  requestedConsent,
  testBank,
  testBroker,
  type TestBroker,
} from '../support/test_broker.ts'

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
  expect(await keyless()).toEqual([])
  await replayLedger(broker, 'citi')
  await broker.close()
  await database.drop()
})

const sql = async (text: string, values: readonly unknown[] = []) =>
  (
    await withClient(database.ownerUrl, (client) =>
      client.query<Record<string, unknown>>(text, [...values]),
    )
  ).rows

/** Active consents whose link or key is gone: there must never be one. */
const keyless = () =>
  sql(
    `select c.id from consents c left join links l on l.bank_id = c.bank_id and l.id = c.link_id
     left join link_keys k on k.bank_id = c.bank_id and k.link_id = c.link_id
     where c.state = 'active' and (l.id is null or k.link_id is null)`,
  )

const work = () => workOutbox(broker, 'citi')

/** What a customer approves: the same each time it is tried. `denied`: a recipient that the bank has not approved. */
async function approval(
  customer: string,
  { denied = false, token = `token of ${customer}` }: { denied?: boolean; token?: string } = {},
): Promise<Approved> {
  const recipient = denied ? 'unapproved' : 'messenger'
  const consentId = await requestedConsent(broker, { bank: 'citi', recipient })
  const tokens = { access_token: token, expires: Date.now() + 600_000 }
  return {
    ...{ bank: 'citi', consentId },
    profile: { page_id: 'page', psid: customer, display_name: 'A. Customer' },
    login: { subject: customer, idToken: 'signed', tokens },
    termsSalt: random128(),
    termsCommitment: 'A'.repeat(43),
    accounts: [{ bankAccountId: 'account-1', display: 'Everyday ••••1234' }],
    disclosure: { version: '1', language: 'en', text: 'disclosure' },
  }
}

const grant = async (...of: Parameters<typeof approval>) =>
  (await grantConsent(broker, await approval(...of))).consentId

const loginOf = (customer: string) =>
  loginIndexOf(broker.vault, { bank: 'citi', bankSubject: customer })

/** How many rows are kept of a customer. */
async function kept(customer: string): Promise<Record<string, unknown>> {
  const [rows = {}] = await sql(
    `with l as (select id from links where login_index = $1)
     select (select count(*)::int from l) as links,
       (select count(*)::int from link_keys where link_id in (select id from l)) as keys,
       (select count(*)::int from bank_tokens where link_id in (select id from l) and ended_at is null) as tokens,
       (select count(*)::int from devices where login_index = $1) as devices`,
    [loginOf(customer)],
  )
  return rows
}
const nothing = { links: 0, keys: 0, tokens: 0, devices: 0 }
const whole = { links: 1, keys: 1, tokens: 1 }

/** Keys and tokens without a link, which `kept` does not see. */
const strays = () =>
  sql(
    `select link_id from link_keys where link_id not in (select id from links)
     union all select link_id from bank_tokens where link_id not in (select id from links)`,
  )

/** A broker in which something happens to the draft of a grant. */
function withDoor(append: Broker['door']['append']): Broker {
  return { ...broker, door: { ...broker.door, append } }
}
const killed = () => withDoor(() => Promise.reject(new DoorUnavailable('killed')))

/** Lets time pass for what waits in the outbox. */
const pass = (ms: number) =>
  sql(
    'update outbox set due_at = due_at - make_interval(secs => $1 / 1000.0) where done_at is null',
    [ms],
  )

describe('a grant that is refused at its last step', () => {
  it('leaves nothing of the customer, once the bank has taken its tokens back', async () => {
    const customer = randomUUID()
    await rememberDevice(broker, { bank: 'citi', loginIndex: loginOf(customer) })
    banks.silent = true
    await expect(grant(customer, { denied: true })).rejects.toThrow('recipient not approved')
    await work()
    // The bank has to be told by what the link's key seals.
    expect(await kept(customer)).toEqual({ ...whole, devices: 1 })
    banks.silent = false
    await pass(outbox.backoff_ms_max)
    await work()
    expect(banks.revoked).toContain(`token of ${customer}`)
    expect(await kept(customer)).toEqual(nothing)
    expect(await strays()).toEqual([])
  })

  it('since it cannot replace what it is to replace leaves nothing either', async () => {
    const customer = randomUUID()
    const approved = { ...(await approval(customer)), replaces: `citi.${random128()}` }
    await expect(grantConsent(broker, approved)).rejects.toThrow('not one of this profile')
    await work()
    expect(banks.revoked).toContain(`token of ${customer}`)
    expect(await kept(customer)).toEqual(nothing)
  })

  it('leaves the link on which another consent of the customer stands, even an ended one', async () => {
    const customer = randomUUID()
    await rememberDevice(broker, { bank: 'citi', loginIndex: loginOf(customer) })
    const consentId = await grant(customer)
    await expect(grant(customer, { denied: true, token: 'another' })).rejects.toThrow()
    await work()
    expect(banks.revoked).toContain('another')
    expect(banks.revoked).not.toContain(`token of ${customer}`)
    expect(await kept(customer)).toEqual({ ...whole, devices: 1 })
    await revokeConsent(broker, { bank: 'citi', consentId, by: 'customer', reason: 'USER_ACTION' })
    await work()
    expect(await kept(customer)).toMatchObject({ links: 1, keys: 1, tokens: 0 })
  })

  it('leaves nothing when the bank never takes its tokens back', async () => {
    const customer = randomUUID()
    await expect(grant(customer, { denied: true })).rejects.toThrow()
    await sql('update outbox set attempts = $1 where done_at is null', [outbox.attempts_max - 1])
    banks.silent = true
    await work()
    banks.silent = false
    expect(broker.alarms.at(-1)).toMatch(/given up/)
    await work()
    expect(await kept(customer)).toEqual(nothing)
  })
})

describe('a grant of which nobody knows what became', () => {
  it('is gone after the time it is given, and not before', async () => {
    const customer = randomUUID()
    await expect(grantConsent(killed(), await approval(customer))).rejects.toThrow('killed')
    await pass(limits.unclaimed_ms_max - 60_000)
    await work()
    expect(await kept(customer)).toMatchObject(whole)
    await pass(60_000)
    await work()
    expect(banks.revoked).toContain(`token of ${customer}`)
    expect(await kept(customer)).toEqual(nothing)
  })

  it('may be tried again, and keeps its tokens then', async () => {
    const customer = randomUUID()
    const approved = await approval(customer)
    await expect(grantConsent(killed(), approved)).rejects.toThrow('killed')
    const { consentId } = await grantConsent(broker, approved)
    await pass(limits.unclaimed_ms_max)
    await work()
    expect(banks.revoked).not.toContain(`token of ${customer}`)
    expect(await kept(customer)).toMatchObject(whole)
    await revokeConsent(broker, { bank: 'citi', consentId, by: 'customer', reason: 'USER_ACTION' })
    await work()
    expect(banks.revoked).toContain(`token of ${customer}`)
  })

  it('keeps its tokens when it was entered, however often it is tried after', async () => {
    const customer = randomUUID()
    const approved = await approval(customer)
    const unheard = withDoor(async (bank, draft) => {
      await broker.door.append(bank, draft)
      throw new DoorUnavailable('unheard')
    })
    await expect(grantConsent(unheard, approved)).rejects.toThrow('unheard')
    await expect(grantConsent(broker, approved)).rejects.toThrow()
    await pass(limits.unclaimed_ms_max)
    await work()
    expect(banks.revoked).not.toContain(`token of ${customer}`)
    const { consentId } = approved
    await revokeConsent(broker, { bank: 'citi', consentId, by: 'customer', reason: 'USER_ACTION' })
    await work()
    expect(banks.revoked).toContain(`token of ${customer}`)
  })

  it('is not entered once its tokens have ended: it fails, and leaves nothing', async () => {
    const customer = randomUUID()
    const approved = await approval(customer)
    const late = withDoor(async (bank, draft) => {
      await pass(limits.unclaimed_ms_max)
      await work()
      expect(await kept(customer)).toEqual(nothing)
      return broker.door.append(bank, draft)
    })
    await expect(grantConsent(late, approved)).rejects.toThrow(DoorUnavailable)
    const record = await findConsent(broker.db, 'citi', approved.consentId)
    expect(record?.consent.state).toBe('requested')
    expect(await strays()).toEqual([])
  })

  it('is not entered with ended tokens where the link stays for another consent either', async () => {
    const customer = randomUUID()
    await revokeConsent(broker, {
      ...{ bank: 'citi', consentId: await grant(customer, { token: 'the first' }) },
      ...{ by: 'customer', reason: 'USER_ACTION' },
    })
    const late = withDoor(async (bank, draft) => {
      await pass(limits.unclaimed_ms_max)
      await work()
      return broker.door.append(bank, draft)
    })
    const granting = grantConsent(late, await approval(customer))
    await expect(granting).rejects.toThrow(DoorUnavailable)
    expect(await kept(customer)).toMatchObject({ links: 1, keys: 1, tokens: 0 })
  })
})

describe('an approval that is tried again once its tokens were given back', () => {
  const begunAgain = (approved: Approved) =>
    expect(grantConsent(broker, approved)).rejects.toThrow(TokensGivenBack)

  it('has to begin again, and leaves nothing, when its link was removed with them', async () => {
    const customer = randomUUID()
    const approved = await approval(customer, { denied: true })
    await expect(grantConsent(broker, approved)).rejects.toThrow('recipient not approved')
    await begunAgain(approved)
    await work()
    expect(await kept(customer)).toEqual(nothing)
    await begunAgain(approved)
    expect(await kept(customer)).toEqual(nothing)
    expect(await strays()).toEqual([])
  })

  it('has to begin again when its link stays for another consent', async () => {
    const customer = randomUUID()
    await grant(customer)
    const approved = await approval(customer, { token: 'another' })
    await expect(grantConsent(killed(), approved)).rejects.toThrow('killed')
    await pass(limits.unclaimed_ms_max)
    await work()
    await begunAgain(approved)
    expect(await kept(customer)).toMatchObject(whole)
  })

  it('has to begin again when the bank did not answer, and may have ended them', async () => {
    const customer = randomUUID()
    const approved = await approval(customer)
    await expect(grantConsent(killed(), approved)).rejects.toThrow('killed')
    await pass(limits.unclaimed_ms_max)
    banks.silent = true
    await work()
    banks.silent = false
    await begunAgain(approved)
    await pass(outbox.backoff_ms_max)
    await work()
    expect(await kept(customer)).toEqual(nothing)
  })

  it('has to begin again when the customer was erased meanwhile', async () => {
    const customer = randomUUID()
    const consentId = await grant(customer)
    const approved = await approval(customer, { token: 'another' })
    await expect(grantConsent(killed(), approved)).rejects.toThrow('killed')
    await eraseLink(broker, { bank: 'citi', consentId })
    await begunAgain(approved)
    expect(await kept(customer)).toEqual(nothing)
    expect(await strays()).toEqual([])
  })
})

describe('tokens that a process is giving back to the bank', () => {
  /** Has the bank take its time over what is due, until `end` is called. */
  async function holding() {
    let end = () => {}
    const ended = new Promise<void>((resolve) => (end = resolve))
    const held = { working: Promise.resolve(0), end: () => end() }
    await new Promise<void>((asked) => {
      const revoke: Broker['bankPort']['revoke'] = (...of) => {
        asked()
        return ended.then(() => broker.bankPort.revoke(...of))
      }
      held.working = workOutbox({ ...broker, bankPort: { ...broker.bankPort, revoke } }, 'citi')
    })
    return held
  }

  it('are claimed by no grant, which fails at once and waits for nobody', async () => {
    const customer = randomUUID()
    const approved = await approval(customer)
    const late = withDoor(async (bank, draft) => {
      await pass(limits.unclaimed_ms_max)
      const held = await holding()
      const failed = await broker.door.append(bank, draft).catch((error: unknown) => error)
      held.end()
      await held.working
      throw failed
    })
    const failed = await grantConsent(late, approved).catch((error: unknown) => error)
    expect(failed).toMatchObject({ name: 'DoorUnavailable', cause: { code: 'CS002' } })
    expect(await kept(customer)).toEqual(nothing)
  })

  it('are not waited for by an approval that is tried again', async () => {
    const approved = await approval(randomUUID())
    await expect(grantConsent(killed(), approved)).rejects.toThrow('killed')
    await pass(limits.unclaimed_ms_max)
    const held = await holding()
    const tried = await grantConsent(broker, approved).catch((error: unknown) => error)
    held.end()
    await held.working
    expect(tried).toBeInstanceOf(TokensGivenBack)
  })
})

describe('a grant whose tokens ended while it waited', () => {
  it.each([
    ['by an erasure', 'update bank_tokens set ended_at = now() where link_id = $1'],
    [
      'since their task was given up',
      `update outbox set attempts = 720 where about = (select id from bank_tokens where link_id = $1)`,
    ],
    [
      'by a process that was killed before it noted so',
      `update outbox set due_at = now() where about = (select id from bank_tokens where link_id = $1)`,
    ],
  ])('%s is not entered', async (_, change) => {
    const customer = randomUUID()
    const late = withDoor(async (bank, draft) => {
      const [link] = await sql('select id from links where login_index = $1', [loginOf(customer)])
      await sql(change, [link?.['id']])
      return broker.door.append(bank, draft)
    })
    const approved = await approval(customer)
    await expect(grantConsent(late, approved)).rejects.toThrow(DoorUnavailable)
    const record = await findConsent(broker.db, 'citi', approved.consentId)
    expect(record?.consent.state).toBe('requested')
  })
})

describe('what grants that came to nothing left before it was looked for', () => {
  it('is found by the migration, and removed after the time that a grant has', async () => {
    const [stands, waits, alone] = [randomUUID(), randomUUID(), randomUUID()]
    await grant(stands)
    for (const customer of [waits, alone])
      await expect(grantConsent(killed(), await approval(customer))).rejects.toThrow('killed')
    await sql('delete from outbox')
    await sql(
      `update bank_tokens set ended_at = now() where link_id = (select id from links where login_index = $1)`,
      [loginOf(alone)],
    )
    await sql(await readFile(join(migrationsFolder, '0020_links.sql'), 'utf8'))
    await work()
    expect(await kept(alone)).toEqual(nothing)
    expect(await kept(waits)).toMatchObject(whole)
    await pass(limits.unclaimed_ms_max)
    for (let done = 1; done > 0;) done = await work()
    expect(await kept(waits)).toEqual(nothing)
    expect(await kept(stands)).toMatchObject(whole)
    expect(banks.revoked).not.toContain(`token of ${stands}`)
    expect(banks.revoked).toContain(`token of ${waits}`)
  })
})

describe('the link of a grant that is refused', () => {
  it('stays for another grant that waits at the door', async () => {
    const customer = randomUUID()
    const waiting = withDoor(async (bank, draft) => {
      await expect(grant(customer, { denied: true, token: 'another' })).rejects.toThrow()
      await work()
      return broker.door.append(bank, draft)
    })
    const { consentId } = await grantConsent(waiting, await approval(customer))
    expect((await findConsent(broker.db, 'citi', consentId))?.consent.state).toBe('active')
    expect(await kept(customer)).toMatchObject(whole)
  })

  const profileOf = (customer: string) => ({
    ...{ bank: 'citi', bankSubject: customer },
    profile: { page_id: 'page', psid: customer, display_name: 'A. Customer' },
  })
  const find = (customer: string) =>
    inBank(broker.db, 'citi', (tx) => findOrInsertLink(tx, broker.vault, profileOf(customer)))

  it('stays for one that has found it and stored nothing yet', async () => {
    const customer = randomUUID()
    await expect(grant(customer, { denied: true })).rejects.toThrow()
    const found = await inBank(broker.db, 'citi', async (tx) => {
      const link = await findOrInsertLink(tx, broker.vault, profileOf(customer))
      await work()
      return link
    })
    expect((await find(customer)).id).toBe(found.id)
  })

  it('goes later when one that had found it comes to nothing', async () => {
    const customer = randomUUID()
    await expect(grant(customer, { denied: true })).rejects.toThrow()
    const nobody = inBank(broker.db, 'citi', async (tx) => {
      await findOrInsertLink(tx, broker.vault, profileOf(customer))
      await work()
      throw new Error('came to nothing')
    })
    await expect(nobody).rejects.toThrow('came to nothing')
    await pass(outbox.backoff_ms_max)
    await work()
    expect(await kept(customer)).toEqual(nothing)
  })

  it('is removed under a lock that a stopped process holds no longer than the door would', async () => {
    const { id } = await find(randomUUID())
    const idle = await inBank(broker.askingDb, 'citi', async (tx) => {
      await allowIdle(tx, outbox.task_idle_ms)
      await removeUnusedLink(tx, { bank: 'citi', id })
      const { rows } = await tx.raw<{ rows: object[] }>('show idle_in_transaction_session_timeout')
      return rows
    })
    expect(idle).toEqual([{ idle_in_transaction_session_timeout: '2s' }])
  })

  it('is made anew for one that looks for it while it is removed', async () => {
    const customer = randomUUID()
    const { id } = await find(customer)
    const next = await inBank(broker.db, 'citi', async (tx) => {
      await removeUnusedLink(tx, { bank: 'citi', id })
      const looking = find(customer)
      await waiting(1)
      return { looking }
    })
    const made = await next.looking
    expect(made.id).not.toBe(id)
    expect(await kept(customer)).toMatchObject({ links: 1, keys: 1 })
  })

  it('stays for one that is entered at this moment, whatever became of its tokens', async () => {
    const customer = randomUUID()
    const held = await holdTable(database.ownerUrl, 'authorization_events')
    const granting = grant(customer)
    await held.waiting(1)
    const [link] = await sql('select id from links where login_index = $1', [loginOf(customer)])
    await sql('update bank_tokens set ended_at = now() where link_id = $1', [link?.['id']])
    const removing = inBank(broker.db, 'citi', (tx) =>
      removeUnusedLink(tx, { bank: 'citi', id: String(link?.['id']) }),
    )
    await waiting(2)
    await held.release()
    await Promise.all([granting, removing])
    expect(await kept(customer)).toMatchObject({ links: 1, keys: 1 })
  })

  it('is there for each that was granted, when many come and go at once', async () => {
    const customers = Array.from({ length: 4 }, () => randomUUID())
    const all = customers.flatMap((customer) =>
      [true, false, true, true].map((denied) => grant(customer, { denied, token: random128() })),
    )
    const working = Promise.allSettled(Array.from({ length: 8 }, work))
    const settled = await Promise.allSettled(all)
    await working
    for (let done = 1; done > 0;) done = await work()
    expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(4)
    for (const customer of customers) expect(await kept(customer)).toMatchObject(whole)
    expect(await strays()).toEqual([])
  })
})

/** Resolves once so many wait for locks. */
async function waiting(wanted: number): Promise<void> {
  for (let found = 0; found < wanted;) {
    const [row] = await sql(
      `select count(*)::int as count from pg_locks l join pg_stat_activity a using (pid)
       where not l.granted and a.datname = current_database()`,
    )
    found = Number(row?.['count'])
  }
}
