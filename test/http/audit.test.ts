import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { randomUUID } from 'node:crypto'
import { withClient } from '../../sandbox/postgres_database.ts'
import { DoorUnavailable, type Door } from '../../src/broker/append.ts'
import { grantAudit } from '../../src/broker/grant_audit.ts'
import { indexLedger } from '../../src/broker/index_ledger.ts'
import { recordRefusal } from '../../src/broker/record_refusal.ts'
import { revokeConsent } from '../../src/broker/revoke_consent.ts'
import { canonical } from '../../src/ledger/canonical.ts'
import { commitment } from '../../src/broker/commitment.ts'
import { insertGrant, revokeGrant, standingGrant } from '../../src/storage/audit_grants.ts'
import { indexProgress, restartIndex } from '../../src/storage/audit_index.ts'
import { findRead } from '../../src/storage/audit_reads.ts'
import { inBank } from '../../src/storage/database.ts'
import { insertClient, usualSecurity } from '../../src/storage/clients.ts'
import { random128 } from '../../src/storage/ids.ts'
import { parseCheckpoint } from '../../src/merkle/checkpoint.ts'
import { parseNote } from '../../src/merkle/note.ts'
import { parsePolicy } from '../../src/merkle/policy.ts'
import { checkConsistency } from '../../src/merkle/proof.ts'
import { checkTlogProof, parseTlogProof } from '../../src/merkle/tlog_proof.ts'
import { leafHash } from '../../src/merkle/tree.ts'
import { nodeHasher, verifyEd25519 } from '../../src/storage/node_crypto.ts'
import { apiApp, bank, otherBank, recipient, type ApiApp } from '../support/api_app.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'

const purpose = 'https://w3id.org/dpv#RequestedServiceProvision'

let database: TestDatabase
let api: ApiApp
let token: string
/** A consent that was granted, read twice, and revoked; and what was asked under it. */
let consent: string
const interaction = randomUUID()
let fetched: string

beforeAll(async () => {
  database = await testDatabase()
  api = await apiApp(database.serviceUrl)
  token = api.clientToken('auditor', 'audit:read', bank)
  await grant('auditor')
  const active = await api.consent()
  consent = active.id
  await api
    .call('get', '/fdx/v6/accounts', api.consentToken(active))
    .set('x-fapi-interaction-id', interaction)
    .expect(200)
  fetched = String(api.banks.interactions.at(-1))
  await api
    .call('get', `/fdx/v6/accounts/${active.checking}/transactions`, api.consentToken(active))
    .expect(200)
  await refuse('ads')
  await revokeConsent(api.broker, {
    ...{ bank, consentId: consent, by: 'customer', reason: 'USER_ACTION' },
  })
  await index()
})

afterAll(async () => {
  await api.close()
  await database.drop()
})

const hour = 3_600_000

const grant = (auditor: string, { until = hour, from = 0, at = bank } = {}) =>
  grantAudit(api.broker, at, {
    ...{ kind: 'client', auditor, grantedBy: 'the compliance desk' },
    ...(from === 0 ? {} : { from: new Date(Date.now() + from).toISOString() }),
    until: new Date(Date.now() + until).toISOString(),
  })

const refuse = (client: string, reason: 'class_denied' | 'consent_unknown' = 'class_denied') =>
  recordRefusal(api.broker, { bank, client, class: 'advertising', reason })

/** Signs and indexes what there is. */
async function index(of = bank): Promise<void> {
  expect(await api.broker.signer.sign(of)).toBeUndefined()
  await indexLedger(api.broker, of)
}

interface Page {
  readonly size: number
  readonly signed_size: number
  readonly access: number
  readonly entries: readonly {
    n: number
    kind: string
    code: string
    body: Record<string, unknown>
  }[]
  readonly page: { readonly next_cursor?: string }
}

const asked = (query: Record<string, string | number> = {}, by = token) =>
  api.call(
    'get',
    `/audit/${bank}/entries?${new URLSearchParams(Object.entries(query).map(([name, value]) => [name, String(value)]))}`,
    by,
  )

async function found(query: Record<string, string | number> = {}, by = token): Promise<Page> {
  const { body } = await asked(query, by).expect(200)
  return body
}

const kindsOf = async (query: Record<string, string | number>) =>
  (await found({ order: 'asc', ...query })).entries.map(({ kind }) => kind)

describe('a query', () => {
  it('shows every entry that is signed, newest first, each with its code and sentence', async () => {
    await index()
    const { entries, size } = await found({ limit: 200 })
    const ledger = await api.entries(bank)
    expect(entries.map(({ n }) => n)).toEqual(Array.from({ length: size }, (_, i) => size - 1 - i))
    for (const entry of entries) {
      const { kind, at, body, totals } = ledger[entry.n] ?? {}
      expect(entry).toMatchObject({ kind, at, body, totals })
    }
    expect(entries.find(({ code }) => code === 'RF001E')).toMatchObject({
      sentence: 'ads, an advertiser, was refused 1 time: its class can never receive data.',
    })
  })

  it('finds by each part of an entry alone', async () => {
    const life = ['consent.grant', 'release', 'release', 'consent.revoke']
    expect(await kindsOf({ consent })).toEqual(life)
    expect(await kindsOf({ recipient })).toEqual(['recipient.approve', ...life.slice(0, 3)])
    expect(await kindsOf({ class: 'advertising' })).toEqual(['refusal'])
    expect(await kindsOf({ kind: 'consent.revoke' })).toEqual(['consent.revoke'])
    expect(await kindsOf({ code: 'CN003I' })).toEqual(['consent.revoke'])
    expect(await kindsOf({ purpose })).toEqual(life.slice(0, 3))
    expect(await kindsOf({ cluster: 'TRANSACTIONS', kind: 'release' })).toEqual(['release'])
    expect(await kindsOf({ reason: 'class_denied' })).toEqual(['refusal'])
    expect(await kindsOf({ actor: 'customer' })).toEqual(['consent.revoke'])
  })

  it('finds by the id of a request, the recipient’s own or one that the bank saw', async () => {
    expect(await kindsOf({ interaction })).toEqual(['release'])
    expect(await kindsOf({ interaction: interaction.toUpperCase(), consent })).toEqual(['release'])
    expect(await kindsOf({ interaction: fetched })).toEqual(['release'])
    expect(await kindsOf({ interaction, kind: 'refusal' })).toEqual([])
    expect(await kindsOf({ interaction: randomUUID() })).toEqual([])
  })

  it('finds by all of them only what is all of them', async () => {
    const all = { consent, recipient, class: 'messaging_platform', kind: 'release', code: 'RL002I' }
    const [first] = (await found({ ...all, purpose, cluster: 'ACCOUNT_BASIC', order: 'asc' }))
      .entries
    expect(first).toMatchObject({ kind: 'release' })
    expect(await kindsOf({ ...all, class: 'third_party' })).toEqual([])
    expect(await kindsOf({ ...all, reason: 'class_denied' })).toEqual([])
    expect(await kindsOf({ consent: `${bank}.${random128()}` })).toEqual([])
    expect(await kindsOf({ kind: 'never.was' })).toEqual([])
  })

  it('finds within a range of indexes, and of time, that holds its start and not its end', async () => {
    const { entries } = await found({ order: 'asc', limit: 200 })
    const third = entries[2] as unknown as { n: number; at: string }
    const between = async (query: Record<string, string | number>) =>
      (await found({ order: 'asc', limit: 200, ...query })).entries.map(({ n }) => n)
    expect(await between({ from_index: 1, to_index: 3 })).toEqual([1, 2])
    expect((await between({ from: third.at }))[0]).toBeLessThanOrEqual(third.n)
    const ats = (await api.entries(bank)).map(({ at }) => at)
    expect(await between({ to: third.at })).toEqual(
      ats.flatMap((at, n) => (at < third.at ? [n] : [])),
    )
    expect(
      await between({ from: '2019-01-01T00:00:00+01:00', to: '2020-01-01T00:00:00Z' }),
    ).toEqual([])
    expect(await between({ from: '2999-01-01T00:00:00Z' })).toEqual([])
  })

  it.each([
    { from: '2026-01-02T00:00:00Z', to: '2026-01-01T00:00:00Z' },
    { from: '2026-01-01T23:59:60Z' },
    { from: 'yesterday' },
    { from_index: 3, to_index: 3 },
    { from_index: -1 },
    { limit: 0 },
    { limit: 201 },
    { order: 'up' },
    { class: 'bank' },
    { cluster: 'ACCOUNT' },
    { consent: 'x' },
    { interaction: 'x' },
    { recipient: 'a b' },
    { purpose: 'a b' },
    { code: 'rl002i' },
  ])('that is none is refused: %j', async (query) => {
    const before = (await api.entries(bank)).length
    const { body } = await asked(query).expect(400)
    expect(body.code).toBe('invalid_request')
    expect(await api.entries(bank)).toHaveLength(before)
  })
})

describe('pages', () => {
  it('are those of the ledger as it was at the first, while it grows, both ways', async () => {
    for (const order of ['asc', 'desc'])
      for (const filter of [{}, { kind: 'refusal' }, { consent }]) {
        await refuse(`ads-${random128()}`)
        await index()
        const whole = await found({ ...filter, order, limit: 200 })
        const limit = Math.max(3, Math.ceil(whole.entries.length / 4))
        const seen: number[] = []
        let page = await found({ ...filter, order, limit: 2 })
        for (;;) {
          seen.push(...page.entries.map(({ n }) => n))
          const { next_cursor: cursor } = page.page
          if (cursor === undefined) break
          await refuse(`ads-${random128()}`)
          await index()
          page = await found({ ...filter, order, limit, cursor })
          expect(page.size).toBe(whole.size)
        }
        expect(seen).toEqual(whole.entries.map(({ n }) => n))
      }
  })

  it('are one entry in the ledger, with what was asked committed to', async () => {
    await index()
    const first = await found({ kind: 'release', limit: 1 })
    const cursor = String(first.page.next_cursor)
    const second = await found({ kind: 'release', limit: 1, cursor })
    expect(second.access).toBe(first.access)
    const ledger = await api.entries(bank)
    expect(ledger.at(-1)).toMatchObject({
      ...{ n: first.access, kind: 'access' },
      body: { actor: 'auditor', what: 'entries' },
    })
    const kept = await findRead(api.broker.db, bank, await readIdOf(first.access))
    expect(kept).toMatchObject({ actor: 'auditor', size: first.size })
    expect(kept?.asked).toBe(canonical({ kind: 'release', order: 'desc' }))
    const opened = commitment(Buffer.from(kept?.salt ?? '', 'base64url'), kept?.asked ?? '')
    expect(ledger.at(-1)?.body).toMatchObject({ asked: opened })
  })

  it('go on only where they were given: same bank, auditor and question, within an hour', async () => {
    await index()
    const { next_cursor: cursor = '' } = (await found({ kind: 'release', limit: 1 })).page
    await secondAuditor()
    const other = api.clientToken('second-auditor', 'audit:read', bank)
    const tampered = `${cursor.slice(0, -2)}${cursor.endsWith('AA') ? 'BB' : 'AA'}`
    for (const answer of [
      await asked({ kind: 'release', cursor }, other),
      await asked({ kind: 'refusal', cursor }),
      await asked({ cursor }),
      await asked({ kind: 'release', order: 'asc', cursor }),
      await asked({ kind: 'release', cursor: tampered }),
      await asked({ kind: 'release', cursor: 'x' }),
      await asked({ kind: 'release', cursor: '' }),
    ])
      expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_cursor' } })
    const now = Date.now()
    const clock = api.broker as { now: () => number }
    const { now: real } = clock
    clock.now = () => now + hour + 60_000
    const late = api.clientToken('auditor', 'audit:read', bank)
    const { body } = await asked({ kind: 'release', cursor }, late).expect(400)
    clock.now = real
    expect(body.detail).toContain('has ended')
    await found({ kind: 'release', cursor })
  })
})

/** The record behind an `access` entry. */
const readIdOf = (n: number) =>
  inBank(api.broker.db, bank, async (tx) => {
    const { rows } = await tx.raw<{ rows: { id: string }[] }>(
      'select id from audit_reads where n = ?',
      [n],
    )
    return String(rows[0]?.id)
  })

async function secondAuditor(): Promise<void> {
  await insertClient(api.broker.db, {
    ...{
      id: 'second-auditor',
      kind: 'auditor',
      bank,
      legalName: 'Second',
      contacts: ['a@b.example'],
    },
    ...{ lei: '7H6GLXDRUGQFU57RNE97', website: 'https://second.example' },
    ...{ ...usualSecurity, redirectUris: [], scopes: [] },
  })
  await grant('second-auditor')
}

describe('one entry', () => {
  const one = (index: number | string) => api.call('get', `/audit/${bank}/entries/${index}`, token)

  it('is its bytes, what they say, and its proof; looking at it is an entry', async () => {
    const before = (await api.entries(bank)).length
    const { body } = await one(before - 1).expect(200)
    const bytes = Buffer.from(body.bytes, 'base64')
    const proof = parseTlogProof(body.proof)
    const leaf = leafHash(nodeHasher, bytes)
    expect(Buffer.from(proof.extra ?? []).equals(bytes)).toBe(true)
    expect(body.leaf_hash).toBe(Buffer.from(leaf).toString('base64'))
    const { text } = await api.call('get', `/ledger/${bank}/policy`).expect(200)
    const policy = parsePolicy(nodeHasher, text)
    checkTlogProof({ hasher: nodeHasher, verifyEd25519 }, { policy, tlogProof: proof, leaf })
    expect(JSON.parse(bytes.toString())).toMatchObject({ n: before - 1, body: body.body })
    expect((await api.entries(bank)).at(-1)).toMatchObject({
      ...{ n: body.access, kind: 'access', body: { what: 'entry', actor: 'auditor' } },
    })
  })

  it('is not there past the end, and not looked at then', async () => {
    const before = (await api.entries(bank)).length
    for (const index of [before, '99999999', 'x', '01', '-1']) await one(index).expect(404)
    expect(await api.entries(bank)).toHaveLength(before)
  })
})

describe('the history of a ledger', () => {
  const between = (query: Record<string, string>) =>
    api.call('get', `/audit/${bank}/consistency?${new URLSearchParams(query)}`, token)

  it('is proven between checkpoints that were given out', async () => {
    await index()
    const { text } = await api.call('get', `/ledger/${bank}/checkpoint`).expect(200)
    const from = parseCheckpoint(parseNote(text).text)
    await refuse(`ads-${random128()}`)
    await index()
    const { body } = await between({ from: String(from.size) }).expect(200)
    expect(body.from.note).toBe(text)
    const to = parseCheckpoint(parseNote(body.to.note).text)
    expect(to.size).toBeGreaterThan(from.size)
    const proof = body.proof.map((hash: string) => Buffer.from(hash, 'base64'))
    checkConsistency(nodeHasher, { from, to, proof })
    await between({ from: String(from.size), to: String(to.size) }).expect(200)
    await between({ from: String(to.size), to: String(from.size) }).expect(404)
    await between({ from: String(to.size + 1) }).expect(404)
    await between({}).expect(400)
  })
})

describe('counts over time', () => {
  const series = (query: Record<string, string>) =>
    api.call('get', `/audit/${bank}/series?${new URLSearchParams(query)}`, token)
  const day_ms = 86_400_000
  const range = {
    from: new Date(Date.now() - day_ms).toISOString(),
    to: new Date(Date.now() + day_ms).toISOString(),
  }
  const sum = (points: readonly { count: number }[]) =>
    points.reduce((all, { count }) => all + count, 0)

  it('are those of the ledger’s totals, with a line for each class that got nothing', async () => {
    await index()
    const { totals = {} } = (await api.entries(bank)).at(-1) ?? {}
    const { body } = await series(range).expect(200)
    expect(body.series).toHaveLength(8)
    for (const { direction, value, points } of body.series)
      expect([direction, value, sum(points)]).toEqual([
        ...[direction, value, totals[`${direction}s_${value}`]],
      ])
    expect((await api.entries(bank)).at(-1)).toMatchObject({ body: { what: 'series' } })
  })

  it('are told apart by purpose, recipient or reason, by hours or days', async () => {
    const by = async (name: string) =>
      (await series({ ...range, by: name, step: 'day' }).expect(200)).body.series.map(
        ({ direction, value }: { direction: string; value: string }) => `${direction} ${value}`,
      )
    expect(await by('purpose')).toEqual(expect.arrayContaining([`release ${purpose}`, 'refusal ']))
    expect(await by('recipient')).toEqual(
      expect.arrayContaining([`release ${recipient}`, 'refusal ads']),
    )
    expect(await by('reason')).toEqual(expect.arrayContaining(['release ', 'refusal class_denied']))
    const empty = { from: '2020-01-01T00:00:00Z', to: '2020-01-02T00:00:00Z' }
    expect((await series({ ...empty, by: 'reason' }).expect(200)).body.series).toEqual([])
    for (const wrong of [
      {},
      { ...range, by: 'kind' },
      { ...range, step: 'week' },
      { from: range.to, to: range.from },
    ])
      await series(wrong as Record<string, string>).expect(400)
  })
})

describe('while nothing can be entered', () => {
  it('nothing is shown, and whoever goes on with a page is', async () => {
    await index()
    const { next_cursor: cursor = '' } = (await found({ limit: 1 })).page
    const broker = api.broker as { door: Door }
    const { door } = broker
    const append = () => Promise.reject(new DoorUnavailable('the ledger is not answering'))
    broker.door = { ...door, append }
    try {
      const range = 'from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z'
      for (const rest of [
        'entries',
        'entries/0',
        `series?${range}`,
        'export',
        'export?format=csv',
      ]) {
        const { body, headers } = await api.call('get', `/audit/${bank}/${rest}`, token).expect(503)
        expect(body).toMatchObject({ code: 'unavailable' })
        expect(headers).not.toHaveProperty('countersign-export')
      }
      await found({ limit: 1, cursor })
    } finally {
      broker.door = door
    }
  })
})

describe('a grant', () => {
  const own = (by = token, at = bank) => api.call('get', `/audit/${at}/grant`, by)

  it('tells its auditor of itself', async () => {
    const { body } = await own().expect(200)
    expect(body).toMatchObject({
      ...{ bank, auditor: 'auditor', kind: 'client', granted_by: 'the compliance desk' },
    })
  })

  it('is for one bank, and for who has the scope', async () => {
    await own(token, otherBank).expect(403)
    await own(token, 'no-bank').expect(403)
    for (const by of [
      api.clientToken('auditor', 'ledger:read', bank),
      api.clientToken('support', 'consents:read', bank),
      api.consentToken({ id: consent }),
    ]) {
      const { body } = await own(by).expect(403)
      expect(body.code).toBe('insufficient_scope')
    }
    await api.call('get', `/audit/${bank}/entries`).expect(401)
  })

  it('that ends, or is revoked, ends at once, in the middle of pages too', async () => {
    await index()
    const [standing] = [
      await standingGrant(api.broker.db, bank, { kind: 'client', auditor: 'auditor' }),
    ]
    const { next_cursor: cursor = '' } = (await found({ limit: 1 })).page
    expect(await revokeGrant(api.broker.db, bank, standing?.id ?? '')).toBe(true)
    expect(await revokeGrant(api.broker.db, bank, standing?.id ?? '')).toBe(false)
    const before = (await api.entries(bank)).length
    for (const answer of [await asked({ limit: 1, cursor }), await asked(), await own()])
      expect(answer).toMatchObject({ status: 403, body: { code: 'audit_grant_required' } })
    expect(await api.entries(bank)).toHaveLength(before)
    await grant('auditor', { from: hour, until: 2 * hour })
    await own().expect(403)
    const past = (ms: number) => new Date(Date.now() - ms).toISOString()
    await insertGrant(api.broker.db, bank, {
      ...{ id: random128(), kind: 'client', auditor: 'auditor', grantedBy: 'x' },
      ...{ from: past(2 * hour), until: past(1) },
    })
    await own().expect(403)
    await grant('auditor')
    await own().expect(200)
  })

  it('is needed by an auditor for all else that is the bank’s alone, and ends it at once', async () => {
    const all = api.clientToken('auditor', 'audit:read ledger:read', bank)
    const answers = async (by: string) => {
      const paths = [
        ...[`/ledger/${bank}/tile/entries/000.p/1`, `/ledger/${bank}/statements`],
        ...[`/ledger/${bank}/summary?from_index=0&to_index=1`, `/consents`],
        ...[`/consents/${consent}/timeline`, `/ledger/${bank}/sum/99999999`],
      ]
      const sent = await Promise.all(paths.map(async (path) => api.call('get', path, by)))
      return sent.map(({ status, body }) => (status === 403 ? body.code : status))
    }
    const good = [200, 200, 200, 200, 200, 404]
    expect(await answers(all)).toEqual(good)
    const standing = async () =>
      standingGrant(api.broker.db, bank, { kind: 'client', auditor: 'auditor' })
    for (let found = await standing(); found !== undefined; found = await standing())
      await revokeGrant(api.broker.db, bank, found.id)
    expect(await answers(all)).toEqual(good.map(() => 'audit_grant_required'))
    expect(await answers(api.clientToken('back-end', 'consents:read ledger:read', bank))).toEqual(
      good,
    )
    await grant('auditor')
  })

  it('is of an auditor of that bank, and for 400 days at most', async () => {
    for (const auditor of ['support', 'messenger', 'nobody'])
      await expect(grant(auditor)).rejects.toThrow('not registered as an auditor')
    await expect(grant('auditor', { at: otherBank })).rejects.toThrow('not registered')
    await expect(grant('auditor', { until: -1 })).rejects.toThrow('before it begins')
    await expect(grant('auditor', { until: 400 * 24 * hour + 60_000 })).rejects.toThrow('400 days')
    const day = 86_400_000
    const far = new Date(Date.now() + 10 * day)
    const grants = { kind: 'client', auditor: 'auditor', grantedBy: 'x' } as const
    await grantAudit(api.broker, bank, {
      ...{ ...grants, from: far.toISOString() },
      until: new Date(far.getTime() + 400 * day).toISOString(),
    })
  })
})

describe('the index', () => {
  it('never says what is not signed', async () => {
    await index()
    await refuse(`ads-${random128()}`)
    await indexLedger(api.broker, bank)
    const { size, signed } = await indexProgress(api.broker.db, bank)
    expect(size).toBe(signed)
    expect((await api.entries(bank)).length).toBeGreaterThan(signed)
  })

  it('is made once, by any number of processes at the same time, and the same when it is made anew', async () => {
    await Promise.all(Array.from({ length: 40 }, () => refuse(`ads-${random128()}`)))
    expect(await api.broker.signer.sign(bank)).toBeUndefined()
    await Promise.all(Array.from({ length: 8 }, () => indexLedger(api.broker, bank)))
    const kept = () =>
      withClient(database.ownerUrl, async (client) => {
        const rowsOf = async (sql: string) => (await client.query(sql)).rows
        return {
          entries: await rowsOf(
            'select e.n, e.at, f.facet, e.consent_id from audit_entries e join audit_facets f using (bank_id) where f.id = e.facet order by n',
          ),
          interactions: await rowsOf('select * from audit_interactions order by 1, 2, 3'),
          hours: await rowsOf('select * from audit_hours order by 1, 2, 3, 4, 5, 6, 7'),
        }
      })
    const before = await kept()
    expect(before.entries).toHaveLength((await indexProgress(api.broker.db, bank)).signed)
    await restartIndex(api.broker.db, bank)
    expect((await found()).entries).toEqual([])
    await Promise.all(Array.from({ length: 4 }, () => indexLedger(api.broker, bank)))
    await index()
    const after = await kept()
    expect(after.entries.slice(0, before.entries.length)).toEqual(before.entries)
    expect(after).toMatchObject({ interactions: before.interactions, hours: before.hours })
  })

  it('goes on past what no version knows yet, and shows it', async () => {
    await index(otherBank)
    const { size } = await indexProgress(api.broker.db, otherBank)
    const leaf = Buffer.from(
      canonical({
        at: new Date().toISOString(),
        body: { by: 'bank' },
        kind: 'consent.transfer',
        n: size,
        totals: {},
        v: 1,
      }),
    )
    await withClient(database.ownerUrl, async (client) => {
      await client.query(
        `insert into entries (bank_id, n, kind, at, leaf) values ($1, $2, 'consent.transfer', now(), $3)`,
        [otherBank, size, leaf],
      )
      await client.query('update ledger_signed set size = size + 1 where bank_id = $1', [otherBank])
    })
    await indexLedger(api.broker, otherBank)
    expect(await indexProgress(api.broker.db, otherBank)).toMatchObject({ size: size + 1 })
  })
})
