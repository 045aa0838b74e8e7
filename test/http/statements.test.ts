import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { withClient } from '../../sandbox/postgres_database.ts'
import { endTokens } from '../../src/broker/end_tokens.ts'
import { reconcileStatements } from '../../src/broker/reconcile_statements.ts'
import { revokeConsent } from '../../src/broker/revoke_consent.ts'
import { statement_interactions_max } from '../../src/ledger/entry.ts'
import { statement_typ } from '../../src/ledger/statement.ts'
import { parsePolicy } from '../../src/merkle/policy.ts'
import { parseVkey } from '../../src/merkle/vkey.ts'
import { verifierCrypto as crypto } from '../../src/cli/verifier_crypto.ts'
import { interactionOfFetch, random128 } from '../../src/storage/ids.ts'
import { findLedger, readLeaves } from '../../src/storage/ledgers.ts'
import { nodeHasher } from '../../src/storage/node_crypto.ts'
import { reportText } from '../../src/verifier/report_text.ts'
import { openSource } from '../../src/verifier/open_source.ts'
import { verifyLedger } from '../../src/verifier/verify.ts'
import { apiApp, bank, otherBank, type ApiApp } from '../support/api_app.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { policyOf, writeLedgerFolder } from '../support/ledger_folder.ts'
import { replayLedger, testBank } from '../support/test_broker.ts'

const path = `/ledger/${bank}/statements`
const day = 86_400_000
let database: TestDatabase
let api: ApiApp
let posting: string
let reading: string
/** Where the newest statement of these tests ends. */
let end: string

beforeAll(open)
afterAll(close)

async function open(): Promise<void> {
  database = await testDatabase()
  api = await apiApp(database.serviceUrl)
  posting = api.clientToken('back-end', 'statements:write', bank)
  reading = api.clientToken('back-end', 'ledger:read', bank)
  end = at(Date.now() - 3_600_000)
}

async function close(): Promise<void> {
  await replayLedger(api.broker, bank)
  await api.close()
  await database.drop()
}

const at = (ms: number) => new Date(ms).toISOString()

/** Reads accounts as the recipient does, and returns the ids under which the bank was asked. */
async function read(times: number): Promise<string[]> {
  const token = api.consentToken(await api.consent())
  const { interactions } = api.banks
  const before = interactions.length
  for (let i = 0; i < times; i++) await api.call('get', '/fdx/v6/accounts', token).expect(200)
  return interactions.slice(before)
}

interface Wish {
  readonly from?: string
  readonly to?: string
  readonly statement?: string
}

const post = (interactions: readonly string[], wish: Wish = {}, token = posting) => {
  const { from = end, to = at(Date.now()) } = wish
  const { statement = api.signing(bank).state({ from, to }, interactions) } = wish
  return api.call('post', path, token).send({ statement, interactions })
}

/** States that these were served since the statement before, and returns the statement. */
async function state(interactions: readonly string[], wish: Wish = {}): Promise<Stated> {
  const { body } = await post(interactions.toSorted(), wish).expect(200)
  end = body.to
  return body
}

interface Stated {
  readonly entry: number
  readonly from: string
  readonly to: string
  readonly root: string
  readonly reconciliation?: object
}

const reconcile = (slack_s = 0, later_ms = 0) => {
  const broker = { ...api.broker, now: () => Date.now() + later_ms }
  return reconcileStatements(broker, bank, { slack_s })
}

/** What became of a statement, as the bank's auditor sees it. */
async function reconciliationOf({ entry }: Stated): Promise<object | undefined> {
  const { body } = await api.call('get', path, reading).expect(200)
  return body.statements.find((one: Stated) => one.entry === entry)?.reconciliation
}

const none = {
  released: 0,
  refused: 0,
  dropped: 0,
  offered: 0,
  unknown: 0,
  missing: 0,
  mismatches: [],
}

/** What `countersign verify` says of the bank's ledger, from its files. */
async function report(): Promise<{ text: string; verified: boolean }> {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-statements-'))
  try {
    const ledger = api.broker.keys.get(bank)
    if (ledger === undefined) throw new Error('no key')
    const key = { vkey: parseVkey(nodeHasher, ledger.vkey), signer: ledger.signer }
    const size = (await findLedger(api.broker.db, bank))?.size ?? 0
    const leaves = await readLeaves(api.broker.db, bank, { from: 0, to: size })
    await writeLedgerFolder(folder, leaves, key)
    const policy = parsePolicy(nodeHasher, policyOf(key))
    const found = await verifyLedger(openSource(folder), { policy, crypto })
    return { text: reportText(found), verified: found.verified }
  } finally {
    await rm(folder, { recursive: true })
  }
}

describe('a statement', () => {
  it('of all that was served is entered, and reconciled', async () => {
    const statement = await state(await read(3))
    expect(statement).toMatchObject({ count: 3, from: expect.any(String) })
    expect(statement).not.toHaveProperty('reconciliation')
    expect(await reconcile()).toBe(1)
    expect(await reconciliationOf(statement)).toMatchObject({ ...none, released: 3 })
    expect((await replayLedger(api.broker, bank)).completeness).toMatchObject({ served: 3 })
    expect(api.broker.alarms).toEqual([])
  })

  it('of nothing says that nothing was served', async () => {
    const statement = await state([])
    expect(await reconcile()).toBe(1)
    expect(await reconciliationOf(statement)).toMatchObject(none)
  })

  it('with one request too many is an alarm, an entry, and a line in the report', async () => {
    const never = randomUUID()
    const statement = await state([...(await read(2)), never])
    await reconcile()
    expect(await reconciliationOf(statement)).toMatchObject({
      ...{ ...none, released: 2, unknown: 1 },
      mismatches: [{ interaction: never, what: 'unknown' }],
    })
    expect(api.broker.alarms.pop()).toContain('1 requests stated that were never made')
    const { text, verified } = await report()
    expect(verified).toBe(true)
    expect(text).toContain('MISMATCH. 1 request is in one of the two records only.')
  })

  it('with one request too few is an alarm, an entry, and a line in the report', async () => {
    const [first = '', second = ''] = await read(2)
    const statement = await state([first])
    await reconcile()
    const release = (await api.entries(bank)).findLast(({ kind }) => kind === 'release')
    expect(await reconciliationOf(statement)).toMatchObject({
      ...{ ...none, released: 1, missing: 1 },
      mismatches: [{ interaction: second, what: 'missing', release: release?.n }],
    })
    expect(api.broker.alarms.pop()).toContain('1 released that are not stated')
    expect((await report()).text).toMatch(/released, and not stated +1\n/)
  })

  it('counts as dropped what came when the consent had ended, and what nothing came of', async () => {
    const consent = await api.consent()
    const token = api.consentToken(consent)
    const { bankPort } = api.broker
    const { accounts } = bankPort
    bankPort.accounts = async (...args) => {
      const found = await accounts(...args)
      await revokeConsent(api.broker, {
        ...{ bank, consentId: consent.id, by: 'customer', reason: 'USER_ACTION' },
      })
      return found
    }
    await api.call('get', '/fdx/v6/accounts', token).expect(403)
    bankPort.accounts = accounts
    const revoked = api.banks.interactions.at(-1) ?? ''
    // As by a process that died while the bank answered.
    const fetch = random128()
    const asked = { consent: consent.id, recipient: 'messenger', fetch, interaction: randomUUID() }
    await api.broker.earlyCheck(bank, asked)
    const statement = await state([revoked, interactionOfFetch(fetch)])
    await reconcile()
    expect(await reconciliationOf(statement)).toMatchObject({ ...none, dropped: 2 })
  })

  it('counts as refused what came when the token had ended', async () => {
    const token = api.consentToken(await api.consent(), { jti: 'ending.token' })
    const { bankPort } = api.broker
    const { accounts } = bankPort
    bankPort.accounts = async (...args) => {
      await endTokens(api.broker, { bank, ending: { jti: 'ending.token' }, kept_s: 300 })
      return accounts(...args)
    }
    await api.call('get', '/fdx/v6/accounts', token).expect(401)
    bankPort.accounts = accounts
    const statement = await state([api.banks.interactions.at(-1) ?? ''])
    await reconcile()
    expect(await reconciliationOf(statement)).toMatchObject({ ...none, refused: 1 })
  })

  it('matches a release that answers from several requests', async () => {
    const consent = await api.consent()
    const fetches = [random128(), random128(), random128()]
    const release = (await api.entries(bank)).findLast((entry) => entry.kind === 'release')
    if (release?.kind !== 'release') throw new Error('no release')
    const { prev: _, ...before } = release.body
    const entry = {
      kind: 'release' as const,
      body: { ...before, consent: consent.id, accounts: [consent.checking], fetches },
    }
    await api.broker.door.append(bank, {
      names: { consents: [consent.id] },
      decide: () => ({ entry }),
    })
    const statement = await state(fetches.slice(0, 2).map(interactionOfFetch))
    await reconcile()
    expect(await reconciliationOf(statement)).toMatchObject({ released: 2, missing: 1 })
    expect(api.broker.alarms.splice(0)).toHaveLength(1)
  })
})

describe('the same statement', () => {
  it('again is answered as the first time, however it is signed', async () => {
    const interactions = (await read(2)).toSorted()
    const range = { from: end, to: at(Date.now()) }
    const first = await state(interactions, range)
    const size = (await findLedger(api.broker.db, bank))?.size
    const again = await Promise.all([1, 2].map(() => post(interactions, range).expect(200)))
    expect(again.map(({ body }) => body)).toEqual([first, first])
    await state([])
    expect((await post(interactions, range).expect(200)).body).toEqual(first)
    expect((await findLedger(api.broker.db, bank))?.size).toBe((size ?? 0) + 1)
    await reconcile()
    expect((await post(interactions, range).expect(200)).body).toMatchObject({
      reconciliation: { released: 2 },
    })
  })

  it('posted twice at once is entered once', async () => {
    const range = { from: end, to: at(Date.now()) }
    const both = await Promise.all([1, 2].map(() => post([], range).expect(200)))
    expect(both[0]?.body).toEqual(both[1]?.body)
    end = range.to
  })

  it('is reconciled once, by however many processes, one of which died before it could', async () => {
    const statement = await state(await read(1))
    const done = await Promise.all([1, 2, 3].map(() => reconcile()))
    expect(Math.max(...done)).toBeGreaterThan(0)
    expect(await reconcile()).toBe(0)
    const kinds = (await api.entries(bank)).filter(
      (entry) => entry.kind === 'reconcile' && entry.body.statement === statement.entry,
    )
    expect(kinds).toHaveLength(1)
  })
})

describe('a statement is refused', () => {
  const rejected = async (code: string, wish: Wish & { ids?: readonly string[] }) => {
    const { body } = await post(wish.ids ?? [], wish)
    expect(body).toMatchObject({ code })
    return body.detail as string
  }

  it('that overlaps with one before, or is one of two at once that overlap', async () => {
    const from = at(Date.parse(end) - 1)
    expect(await rejected('statement_out_of_order', { from })).toContain('has ended')
    const now = Date.now()
    const posted = await Promise.all([now - 1, now].map((to) => post([], { to: at(to) })))
    expect(posted.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 409])
    end = posted.find(({ status }) => status === 200)?.body.to
  })

  it('and nothing is kept of one that overlaps, however often it comes with other ids', async () => {
    const kept = () =>
      withClient(database.ownerUrl, async (client) => {
        const { rows } = await client.query('select count(*)::int as count from statement_lists')
        return rows as unknown
      })
    const before = await kept()
    for (let times = 0; times < 3; times++)
      await post([randomUUID()], { from: at(Date.parse(end) - 1) }).expect(409)
    expect(await kept()).toEqual(before)
  })

  it('that is of no time, or of a time to come', async () => {
    expect(await rejected('statement_out_of_order', { from: end, to: end })).toContain('begins')
    const to = at(Date.now() + 61_000)
    expect(await rejected('statement_out_of_order', { to })).toContain('time to come')
  })

  it('that is older or longer than what can be compared', async () => {
    const from = Date.now() - 46 * day
    const old = { from: at(from), to: at(from + day) }
    expect(await rejected('statement_rejected', old)).toContain('45 days')
    const long = { from: at(Date.now() - 31 * day - 1), to: at(Date.now()) }
    expect(await rejected('statement_rejected', long)).toContain('31 days')
  })

  it('that another key signed, or that is for another ledger, or no statement', async () => {
    const range = { from: end, to: at(Date.now()) }
    const claims = { ...range, count: 0, root: '47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU' }
    const own = api.signing(bank)
    const other = api.signing(otherBank)
    for (const [statement, why] of [
      [testBank(bank).state(range, []), "the bank's key"], // as by a key that the bank had, or will have
      [other.state(range, []), "the bank's key"],
      [own.sign(statement_typ, { ...claims, iss: otherBank }), 'another ledger'],
      [
        own.sign(statement_typ, { ...claims, aud: `broker.example/ledger/${otherBank}` }),
        'another',
      ],
      [own.sign('countersign-approval+jwt', claims), 'not a signed statement'],
      [own.sign(statement_typ, { ...claims, count: '0' }), 'count'],
      [own.sign(statement_typ, { ...claims, from: '2026-01-01' }), 'expected'],
      ['nothing at all', 'not a compact JWS'],
    ] as const)
      expect(await rejected('statement_rejected', { statement })).toContain(why)
  })

  it('that counts or hashes other ids than came with it, or ids in another form', async () => {
    const ids = [randomUUID(), randomUUID()].toSorted()
    const statement = api.signing(bank).state({ from: end, to: at(Date.now()) }, ids)
    const rejectedFor = (others: readonly string[]) =>
      rejected('statement_rejected', { statement, ids: others })
    expect(await rejectedFor(ids.slice(1))).toContain('counts other')
    expect(await rejectedFor([randomUUID(), randomUUID()].toSorted())).toContain('root')
    const backwards = { statement, interactions: ids.toReversed() }
    const twice = { statement, interactions: [ids[0], ids[0]] }
    for (const body of [backwards, twice]) {
      const answer = await api.call('post', path, posting).send(body).expect(400)
      expect(answer.body).toMatchObject({ code: 'statement_rejected' })
    }
    const loud = { statement, interactions: ids.map((id) => id.toUpperCase()) }
    const answer = await api.call('post', path, posting).send(loud).expect(400)
    expect(answer.body).toMatchObject({ code: 'invalid_request' })
  })

  it('from whoever may not post one, before its body is read', async () => {
    const long = 'x'.repeat(3 * 1024 * 1024)
    const stray = api.clientToken('back-end', 'statements:write', otherBank)
    await api.call('post', path).send({ long }).expect(401)
    for (const token of [reading, stray])
      await api.call('post', path, token).send({ long }).expect(403)
    await api.call('get', path, posting).expect(403)
    await api.call('get', path, api.clientToken('auditor', 'ledger:read', otherBank)).expect(403)
    await api.call('post', path, posting).send({ long }).expect(413)
  })

  it('with more ids than 50,000, and taken with as many', async () => {
    const ids = Array.from(
      { length: statement_interactions_max + 1 },
      (_, i) => `00000000-0000-4000-8000-${i.toString(16).padStart(12, '0')}`,
    )
    const { body } = await api
      .call('post', path, posting)
      .send({ statement: 'a.b.c', interactions: ids })
    expect(body).toMatchObject({ code: 'invalid_request' })
    const statement = await state(ids.slice(1))
    await reconcile()
    expect(await reconciliationOf(statement)).toMatchObject({ unknown: statement_interactions_max })
    expect(api.broker.alarms.splice(0)).toHaveLength(1)
  })
})

describe('the ids of a statement', () => {
  it('that are gone must be posted again, and then are compared', async () => {
    const ids = (await read(1)).toSorted()
    const statement = await state(ids)
    await withClient(database.ownerUrl, (client) =>
      client.query('delete from statement_lists where root = $1', [
        Buffer.from(statement.root, 'base64url'),
      ]),
    )
    await expect(reconcile()).rejects.toThrow('post it again')
    await post(ids, statement).expect(200)
    expect(await reconcile()).toBe(1)
    expect(await reconciliationOf(statement)).toMatchObject({ ...none, released: 1 })
  })

  it('pages of them go back to the first', async () => {
    const all: number[] = []
    for (let key: number | undefined; ;) {
      const query = key === undefined ? '?limit=3' : `?limit=3&pageKey=${key}`
      const { body } = await api.call('get', `${path}${query}`, reading).expect(200)
      all.push(...body.statements.map((one: Stated) => one.entry))
      key = body.page.nextPageKey
      if (key === undefined) break
    }
    const entered = (await api.entries(bank)).flatMap(({ kind, n }) =>
      kind === 'statement' ? [n] : [],
    )
    expect(all).toEqual(entered.toReversed())
    await api.call('get', `${path}?limit=501`, reading).expect(400)
  })
})

// The last one on this ledger, since it ends in a time to come.
describe('the edge of a range', () => {
  it('holds nothing against anyone, and loses nothing', async () => {
    const slack_s = 20
    const turn = () => reconcile(slack_s, 60_000)
    const [first = '', second = ''] = await read(2)
    const early = await state([first])
    expect(await reconcile(slack_s)).toBe(0) // what was under way at its end may not be over
    expect(await turn()).toBe(1)
    expect(await reconciliationOf(early)).toMatchObject({ ...none, released: 1 })
    // Stated one statement late, which is no mismatch; another never, which is not due yet.
    const [never = ''] = await read(1)
    const late = await state([second])
    expect(await turn()).toBe(1)
    expect(await reconciliationOf(late)).toMatchObject({ ...none, released: 1 })
    const last = await state([], { to: at(Date.now() + 30_000) })
    expect(await turn()).toBe(1)
    expect(await reconciliationOf(last)).toMatchObject({
      ...{ ...none, missing: 1 },
      mismatches: [{ interaction: never, what: 'missing' }],
    })
    expect(api.broker.alarms.splice(0)).toHaveLength(1)
  })
})

describe('a gap between two statements', () => {
  beforeAll(async () => {
    await close()
    await open()
  })

  it('is no mismatch, and shown', async () => {
    await state([])
    await read(1)
    const from = at(Date.now() + 1)
    while (Date.now() <= Date.parse(from)) await new Promise(setImmediate)
    const statement = await state([], { from })
    await reconcile()
    expect(await reconciliationOf(statement)).toMatchObject(none)
    const { completeness } = await replayLedger(api.broker, bank)
    expect(completeness).toMatchObject({ gaps: 1 })
    expect(completeness.gaps_ms).toBeGreaterThan(0)
  })
})
