import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { randomUUID } from 'node:crypto'
import { withClient } from '../../sandbox/postgres_database.ts'
import { grantAudit } from '../../src/broker/grant_audit.ts'
import { revokeConsent } from '../../src/broker/revoke_consent.ts'
import { page_consents } from '../../src/http/consent_search_routes.ts'
import { searchStatement, states, type ConsentFilter } from '../../src/storage/consent_search.ts'
import { addEvent } from '../../src/storage/authorization_events.ts'
import { insertRequested } from '../../src/storage/consents.ts'
import { inBank } from '../../src/storage/database.ts'
import { random128, routed } from '../../src/storage/ids.ts'
import { apiApp, bank, otherBank, recipient, type ApiApp } from '../support/api_app.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'

let database: TestDatabase
let api: ApiApp
let staff: string
let auditor: string
let elsewhere: string

/** Consents of the bank: one of each state, oldest first. */
const made: Record<string, string> = {}

beforeAll(async () => {
  database = await testDatabase()
  api = await apiApp(database.serviceUrl)
  staff = api.clientToken('support', 'consents:read', bank)
  auditor = api.clientToken('auditor', 'audit:read', bank)
  await grantAudit(api.broker, bank, {
    ...{ kind: 'client', auditor: 'auditor', grantedBy: 'the compliance desk' },
    until: new Date(Date.now() + 3_600_000).toISOString(),
  })
  elsewhere = api.clientToken('support', 'consents:read', otherBank)
  made['requested'] = await request(bank)
  made['declined'] = await request(bank)
  made['active'] = (await api.consent()).id
  made['revoked'] = (await api.consent({ recipient: 'other-recipient' })).id
  for (const state of ['declined', 'revoked'])
    await revokeConsent(api.broker, {
      ...{ bank, consentId: String(made[state]), by: 'bank', reason: 'BUSINESS_RULE' },
    })
})

afterAll(async () => {
  await api.close()
  await database.drop()
})

async function request(of: string): Promise<string> {
  const id = routed(of, random128())
  await inBank(api.broker.db, of, (tx) =>
    insertRequested(tx, {
      id,
      requested: {
        ...{ recipient, bank: of, purpose: 'https://w3id.org/dpv#RequestedServiceProvision' },
        ...{ clusters: ['BALANCES'], delivery: 'in_thread', one_time: true },
        ...{ lookback_days: 1, duration_days: 1 },
      },
    }),
  )
  return id
}

const search = (query: Record<string, string> | string = {}, token = staff) =>
  api.call('get', `/consents?${new URLSearchParams(query)}`, token)

const found = async (query: Record<string, string>, token = staff): Promise<string[]> => {
  const { body } = await search(query, token).expect(200)
  return body.consents.map(({ id }: { id: string }) => id)
}

const rows = (sql: string) =>
  inBank(api.broker.db, bank, async (tx) => (await tx.raw<{ rows: object[] }>(sql)).rows)

describe('a search', () => {
  it('finds all of the bank, newest first, for its staff and its auditors alike', async () => {
    const all = ['revoked', 'active', 'declined', 'requested'].map((name) => made[name])
    expect(await found({})).toEqual(all)
    expect(await found({}, auditor)).toEqual(all)
    expect(await found({}, elsewhere)).toEqual([])
  })

  it.each(['requested', 'declined', 'active', 'revoked'])('finds what is %s', async (state) => {
    expect(await found({ state })).toEqual([made[state]])
  })

  it('finds by id, by recipient, and by both only what is both', async () => {
    const { active = '', revoked = '' } = made
    expect(await found({ consentId: active })).toEqual([active])
    expect(await found({ recipient: 'other-recipient' })).toEqual([revoked])
    expect(await found({ consentId: active, recipient: 'other-recipient' })).toEqual([])
    expect(await found({ consentId: active, recipient, state: 'active' })).toEqual([active])
    expect(await found({ consentId: routed(bank, random128()) })).toEqual([])
    expect(await found({ consentId: active }, elsewhere)).toEqual([])
  })

  it("finds by the recipient's pairwise subject, and by no other", async () => {
    const [link] = await rows(
      `select l.recipient_sub, l.bank_sub from links l join consents c on c.link_id = l.id where c.id = '${made['active']}'`,
    )
    const { recipient_sub, bank_sub } = Object(link)
    expect(await found({ sub: recipient_sub })).toEqual([made['active']])
    expect(await found({ sub: bank_sub })).toEqual([])
    expect(await found({ sub: recipient_sub }, elsewhere)).toEqual([])
  })

  it('finds by the interaction id of a step, of a request for data, and of the fetch that the bank saw', async () => {
    const { active = '' } = made
    const step = randomUUID()
    await inBank(api.broker.db, bank, (tx) =>
      addEvent(tx, bank, { consent: active, event: 'code_redeemed', interaction: step }),
    )
    const read = randomUUID()
    await api
      .call('get', '/fdx/v6/accounts', api.consentToken({ id: active }))
      .set('x-fapi-interaction-id', read)
      .expect(200)
    const seenByBank = String(api.banks.interactions.at(-1))
    expect(new Set([step, read, seenByBank]).size).toBe(3)
    for (const interactionId of [step, read.toUpperCase(), seenByBank]) {
      expect(await found({ interactionId })).toEqual([active])
      expect(await found({ interactionId, state: 'revoked' })).toEqual([])
      expect(await found({ interactionId }, elsewhere)).toEqual([])
    }
    expect(await found({ interactionId: randomUUID() })).toEqual([])
  })

  it('tells of a consent what FDX has, and nothing of accounts or people', async () => {
    const { body } = await search({ state: 'active' }).expect(200)
    const [{ id, createdTime, requestedTime, ...summary }] = body.consents
    expect(id).toBe(made['active'])
    expect(createdTime > requestedTime).toBe(true)
    expect(summary).toEqual({
      ...{ state: 'active', status: 'ACTIVE', durationType: 'TIME_BOUND', durationPeriod: 90 },
      lookbackPeriod: 90,
      updatedTime: createdTime,
      expirationTime: expect.any(String),
      lastAccessedTime: expect.any(String),
      parties: [
        expect.objectContaining({ type: 'DATA_RECIPIENT', name: 'Harbor Messaging, Inc.' }),
        expect.objectContaining({ type: 'DATA_PROVIDER' }),
      ],
      resources: [
        { resourceType: 'ACCOUNT', dataClusters: ['ACCOUNT_BASIC', 'BALANCES', 'TRANSACTIONS'] },
      ],
    })
    expect(JSON.stringify(body)).not.toMatch(/Ortiz|1001|4242|account/)
  })

  it('shows a consent that nobody approved without what only a grant has', async () => {
    const { body } = await search({ state: 'requested' }).expect(200)
    expect(Object.keys(body.consents[0])).toEqual([
      ...['id', 'state', 'requestedTime', 'parties', 'durationType', 'lookbackPeriod'],
      'resources',
    ])
  })
})

describe('the pages of a search', () => {
  it('join without a gap or a repetition, whatever is added meanwhile', async () => {
    const all = await found({})
    const seen: string[] = []
    let pageKey: string | undefined
    for (let page = 0; page < all.length; page++) {
      const { body } = await search({
        ...{ limit: '1' },
        ...(pageKey === undefined ? {} : { pageKey }),
      }).expect(200)
      seen.push(...body.consents.map(({ id }: { id: string }) => id))
      pageKey = body.page.nextPageKey
      if (page === 0) made['later'] = await request(bank)
    }
    expect(pageKey).toBeUndefined()
    expect(seen).toEqual(all)
    await rows(`delete from consents where id = '${made['later']}'`)
  })

  it('keep apart consents that were asked for in the same microsecond', async () => {
    const together = await Promise.all(Array.from({ length: 3 }, () => request(otherBank)))
    await inBank(api.broker.db, otherBank, (tx) =>
      tx.raw(`update consents set created_at = '2026-01-01T00:00:00.123456Z'`),
    )
    const first = await search({ limit: '2' }, elsewhere).expect(200)
    const { nextPageKey: pageKey } = first.body.page
    const second = await search({ limit: '2', pageKey }, elsewhere).expect(200)
    const ids = [...first.body.consents, ...second.body.consents].map(({ id }) => id)
    expect(ids).toEqual(together.toSorted().toReversed())
  })

  it('have 25 consents where nothing is said, and at most 100', async () => {
    const counts = async (query: Record<string, string>) => (await found(query)).length
    const ids = await Promise.all(Array.from({ length: 101 }, () => request(bank)))
    expect(page_consents).toEqual({ default: 25, max: 100 })
    expect(await counts({})).toBe(25)
    expect(await counts({ limit: '1' })).toBe(1)
    expect(await counts({ limit: '100' })).toBe(100)
    for (const limit of ['0', '101', '-1', '1.5', 'ten', '', '1e2', '0x10', '99999999999999999999'])
      await refused(search({ limit }), 'limit')
    await rows(`delete from consents where id = any('{${ids.join(',')}}')`)
  })

  it('are gone on with by their own key alone: not forged, not cut, not for another search or bank', async () => {
    const { body } = await search({ limit: '1', recipient }).expect(200)
    const { nextPageKey: key } = body.page
    expect(Buffer.from(key, 'base64url').toString('latin1')).not.toContain(bank)
    await search({ limit: '2', recipient, pageKey: key }).expect(200)
    const flipped = (at: number) => {
      const bytes = Buffer.from(key, 'base64url')
      bytes.writeUInt8((bytes.at(at) ?? 0) ^ 1, at < 0 ? bytes.length + at : at)
      return bytes.toString('base64url')
    }
    const forged = [
      ...[flipped(0), flipped(20), flipped(-1), key.slice(0, -4), `${key}AAAA`, `${key}=`],
      ...[
        `${key}!`,
        'A',
        '',
        '.',
        Buffer.from('{"at":"2026-01-01","id":"x"}').toString('base64url'),
      ],
    ]
    for (const pageKey of forged)
      await refused(search({ limit: '1', recipient, pageKey }), 'pageKey')
    await refused(search({ pageKey: key }), 'pageKey')
    await refused(search({ recipient, state: 'active', pageKey: key }), 'pageKey')
    await refused(search({ recipient, pageKey: key }, elsewhere), 'pageKey')
    await refused(search({ recipient, pageKey: 'A'.repeat(513) }), 'pageKey')
  })
})

/** A 400 that names the parameter and repeats nothing. */
async function refused(sent: ReturnType<typeof search>, name: string): Promise<void> {
  const { body } = await sent.expect(400)
  expect(body).toMatchObject({ code: 'invalid_request', errors: [{ in: 'query', name }] })
}

describe('a search that is wrong', () => {
  it.each([
    ['consentId', 'nonsense'],
    ['consentId', 'first-bank.short'],
    ['consentId', `First.${'a'.repeat(22)}`],
    ['consentId', `first-bank.${'a'.repeat(22)}'; drop table consents`],
    ['interactionId', 'not-a-uuid'],
    ['interactionId', `urn:uuid:${randomUUID()}`],
    ['interactionId', `{${randomUUID()}}`],
    ['state', 'ACTIVE'],
    ['state', 'gone'],
    ['state', 'active,revoked'],
    ['sub', 'short'],
    ['sub', 'a'.repeat(23)],
    ['recipient', 'a'.repeat(129)],
    ['recipient', 'with space'],
    ['recipient', 'nul\0'],
    ['state', ''],
    ['recipient', ''],
  ])('in its %s is told so: %j', async (name, value) => {
    await refused(search({ [name]: value }), name)
  })

  it.each(['consentId', 'interactionId', 'state', 'sub', 'recipient', 'limit', 'pageKey'])(
    'by sending %s twice is told so',
    async (name) => {
      const sent = api.call('get', `/consents?${name}=1&${name}=1`, staff)
      expect((await sent.expect(400)).body.errors).toEqual([
        { in: 'query', name, detail: 'is sent more than once' },
      ])
    },
  )

  it('takes no other method, and parameters of other names for nothing', async () => {
    await api.call('post', '/consents', staff).expect(405)
    await api.call('delete', `/consents/${made['active']}/timeline`, staff).expect(405)
    expect(await found({ bank: otherBank, offset: '3' })).toHaveLength(4)
    await api.call('head', '/consents', staff).expect(200)
  })
})

describe('who may search', () => {
  const paths = () => ['/consents', `/consents/${made['active']}/timeline`]

  it('is a bank by one scope, its auditor by another, and nobody else', async () => {
    const tokens = [
      api.clientToken('back-end', 'consents:revoke ledger:read', bank),
      api.clientToken('auditor', 'ledger:read', bank),
      api.clientToken('operator', 'registry:read registry:write'),
      api.clientToken(recipient, 'grant_management_query grant_management_revoke'),
      api.consentToken({ id: String(made['active']) }),
    ]
    for (const path of paths()) {
      for (const token of tokens) {
        const { body, headers } = await api.call('get', path, token).expect(403)
        expect(body.code).toBe('insufficient_scope')
        expect(headers['www-authenticate']).toContain('scope="consents:read"')
      }
      await api.call('get', path).expect(401)
      await api.call('get', path, auditor).expect(200)
      await api.call('get', path, staff).expect(200)
    }
  })

  it('has a bank, whatever its scopes say', async () => {
    for (const scope of ['consents:read', 'audit:read'])
      for (const path of paths())
        await api.call('get', path, api.clientToken('stray', scope)).expect(403)
  })
})

describe('among very many consents', () => {
  beforeAll(async () => {
    await inBank(api.broker.db, bank, async (tx) => {
      await tx.raw(
        `insert into consents (bank_id, id, recipient, state, requested, terms, link_id, granted_at, expires_at, created_at)
         select '${bank}', '${bank}.' || md5(i::text), 'recipient-' || i % 5, 'active', '{}', '{"purpose":"p"}', md5(i::text),
           now(), now(), now() - make_interval(secs => i)
         from generate_series(1, 20000) i`,
      )
      await tx.raw(
        `insert into links (bank_id, id, profile_index, login_index, recipient_sub, bank_sub, sealed)
         select '${bank}', md5(i::text), decode(md5(i::text), 'hex'), '', md5(i::text), '', '' from generate_series(1, 20000) i`,
      )
      await tx.raw(
        `insert into authorization_events (bank_id, consent_id, event, interaction_id)
         select '${bank}', '${bank}.' || md5(i::text), 'requested', gen_random_uuid() from generate_series(1, 20000) i`,
      )
      await tx.raw(
        `insert into fetches (bank_id, id, consent_id, interaction)
         select '${bank}', md5(i::text), '${bank}.' || md5(i::text), gen_random_uuid() from generate_series(1, 20000) i`,
      )
    })
    await withClient(database.ownerUrl, (client) =>
      client.query('vacuum analyze consents, links, authorization_events, fetches, entries'),
    )
  })

  const filters: ConsentFilter[] = [
    {},
    ...states.map((state) => ({ state })),
    { recipient: 'recipient-1' },
    { recipient: 'nobody' },
    { recipient: 'recipient-1', state: 'active' },
    { consentId: `${bank}.x`, state: 'active' },
    { sub: 'x' },
    { interactionId: randomUUID() },
    { interactionId: randomUUID(), sub: 'x', recipient: 'recipient-1', consentId: 'x' },
  ]

  it.each(filters.flatMap((filter) => [false, true].map((after) => ({ filter, after }))))(
    'reads no more than it shows: $filter, after a place: $after',
    async ({ filter, after }) => {
      const place = { at: new Date(Date.now() - 10_000_000).toISOString(), id: `${bank}.x` }
      const { sql, bindings } = searchStatement(bank, {
        ...{ filter, after: after ? place : undefined, limit: 26 },
      })
      const plan = await inBank(api.broker.db, bank, async (tx) => {
        const answer = await tx.raw<{ rows: { 'QUERY PLAN': [{ Plan: Plan }] }[] }>(
          `explain (analyze, format json) ${sql}`,
          bindings,
        )
        return answer.rows[0]?.['QUERY PLAN'][0].Plan
      })
      const scans = scansOf(plan)
      expect(scans.filter(({ 'Node Type': type }) => type === 'Seq Scan')).toEqual([])
      for (const scan of scans) expect(readBy(scan)).toBeLessThan(200)
    },
  )
})

interface Plan {
  readonly 'Node Type': string
  readonly 'Relation Name'?: string
  readonly 'Actual Rows': number
  readonly 'Actual Loops': number
  readonly 'Rows Removed by Filter'?: number
  readonly Plans?: readonly Plan[]
}

/** The scans of tables that grow. */
function scansOf(plan: Plan | undefined): Plan[] {
  if (plan === undefined) return []
  const own = ['consents', 'links', 'authorization_events', 'fetches'].includes(
    plan['Relation Name'] ?? '',
  )
  return [...(own ? [plan] : []), ...(plan.Plans ?? []).flatMap(scansOf)]
}

const readBy = (plan: Plan) =>
  (plan['Actual Rows'] + (plan['Rows Removed by Filter'] ?? 0)) * plan['Actual Loops']
