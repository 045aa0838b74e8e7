import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { randomUUID } from 'node:crypto'
import type { Express } from 'express'
import supertest from 'supertest'
import { withClient } from '../../sandbox/postgres_database.ts'
import type { Broker } from '../../src/broker/broker.ts'
import { expireConsents } from '../../src/broker/expire_consents.ts'
import { revokeConsent } from '../../src/broker/revoke_consent.ts'
import { createApp } from '../../src/http/app.ts'
import { openLog } from '../../src/observe/log.ts'
import { inBank } from '../../src/storage/database.ts'
import { random128, routed } from '../../src/storage/ids.ts'
import { marksSql } from '../../src/storage/timeline.ts'
import { apiApp, bank as apiBank } from '../support/api_app.ts'
import {
  authorizationApp,
  type AuthorizationApp,
  type TestClient,
} from '../support/authorization_app.ts'
import { contractCheck } from '../support/contract_check.ts'
import { testDatabase } from '../support/database.ts'
import { fakeBanks } from '../support/fake_banks.ts'
import { sha256 } from '../support/jwt.ts'
import { backFrom } from '../support/page_app.ts'
import { openPageBrowser } from '../support/page_browser.ts'

let oauth: AuthorizationApp
let broker: Broker
let app: Express
let client: TestClient
let support: TestClient
const check = contractCheck()

beforeAll(async () => {
  oauth = await authorizationApp()
  broker = { ...oauth.broker, bankPort: { ...fakeBanks(), banks: oauth.broker.bankPort.banks } }
  app = createApp(broker, oauth.authorization, openLog('silent'))
  client = await oauth.client({ scopes: ['grant_management_revoke'] })
  support = await oauth.client({ kind: 'bank', scopes: ['consents:read'] })
})

afterAll(() => oauth.close())

/** A call to the whole server, held against openapi.yaml. */
function call(
  by: TestClient,
  { token, path, id = randomUUID() }: { token: string; path: string; id?: string },
): supertest.Test {
  const proof = by.proof({ path, claims: { htm: 'GET', ath: sha256(token) } })
  return supertest(app)
    .get(path)
    .set({ Authorization: `DPoP ${token}`, DPoP: proof, 'x-fapi-interaction-id': id })
    .expect(({ status, type, headers, body }) =>
      check('get', path, { status, type, headers, body }),
    )
}

async function tokenOf(by: TestClient, scope: string): Promise<string> {
  const { body } = await by.token({ grant_type: 'client_credentials', scope }).expect(200)
  return body.access_token
}

interface Told {
  readonly state: string
  readonly steps: readonly { event: string; at: string; [member: string]: unknown }[]
}

async function timeline(consentId: string): Promise<Told> {
  const token = await tokenOf(support, 'consents:read')
  const { body } = await call(support, { token, path: `/consents/${consentId}/timeline` }).expect(
    200,
  )
  expect(body.id).toBe(consentId)
  expect(body.steps.map(({ at }: { at: string }) => at)).toEqual(
    body.steps.map(({ at }: { at: string }) => at).toSorted(),
  )
  return body
}

const eventsOf = ({ steps }: Told) => steps.map(({ event }) => event)

/** A customer goes from the pushed request to the tokens, through every page. */
async function link(customer: string, ids = { asked: randomUUID(), redeemed: randomUUID() }) {
  const named = (id: string) => ({ 'x-fapi-interaction-id': id })
  const pushed = await client.push(
    {
      authorization_details: JSON.stringify([
        client.details({
          profile: { page_id: `page.${client.id}`, psid: customer, display_name: 'Ana Ortiz' },
        }),
      ]),
    },
    named(ids.asked),
  )
  const query = new URLSearchParams({ client_id: client.id, request_uri: pushed.body.request_uri })
  const browser = openPageBrowser(app, broker.issuer)
  const sent = await browser.press(await browser.get(`/oauth/authorize?${query}`), 'continue')
  await browser.get(backFrom(sent, { code: customer }))
  const done = await browser.press(await browser.get('/oauth/authorize/disclosure'), 'approve')
  const code = new URL(done.location).searchParams.get('code') ?? ''
  const headers = { DPoP: client.proof(), ...named(ids.redeemed) }
  const { body } = await client.redeem(code, {}, headers).expect(200)
  return { id: body.grant_id as string, token: body.access_token as string }
}

const linked = [
  ...['requested', 'arrived', 'bank_login_begun', 'bank_login_returned', 'accounts_picked'],
  ...['approved', 'granted', 'code_redeemed'],
]

async function read(token: string, id = randomUUID()): Promise<number> {
  await broker.signer.sign(oauth.bank)
  const { headers } = await call(client, { token, path: '/fdx/v6/accounts', id }).expect(200)
  return Number(String(headers['countersign-entry']).split(' ')[0])
}

describe('a timeline', () => {
  it('tells the whole life of a consent, by whom, under which interaction ids, and with which entries', async () => {
    const ids = { asked: randomUUID(), redeemed: randomUUID() }
    const { id, token } = await link('ana', ids)
    const reads = [randomUUID(), randomUUID(), randomUUID()]
    const entries = []
    for (const one of reads) entries.push(await read(token, one))
    await revokeConsent(broker, {
      ...{ bank: oauth.bank, consentId: id, by: 'customer', reason: 'USER_ACTION' },
    })

    const told = await timeline(id)
    expect(told.state).toBe('revoked')
    expect(eventsOf(told)).toEqual([...linked, 'first_release', 'last_release', 'revoked'])
    const by = (event: string) => told.steps.find((step) => step.event === event)
    expect(by('requested')).toMatchObject({ interactionId: ids.asked })
    expect(by('code_redeemed')).toMatchObject({ interactionId: ids.redeemed })
    const ofBrowser = linked.slice(1, 6).map((event) => by(event)?.['interactionId'])
    expect(new Set(ofBrowser).size).toBe(1)
    expect(by('first_release')).toMatchObject({ interactionId: reads[0], entry: entries[0] })
    expect(by('last_release')).toMatchObject({ interactionId: reads[2], entry: entries[2] })
    expect(by('revoked')).toMatchObject({
      ...{ by: 'INDIVIDUAL', reason: 'USER_ACTION', entry: Number(entries[2]) + 1 },
    })
    expect(JSON.stringify(told)).not.toMatch(/Ortiz|psid|4242|ana/)
  })

  it('joins the steps of every approval that gave the consent its terms', async () => {
    const first = await link('bea')
    const second = await link('bea')
    expect(second.id).toBe(first.id)
    const told = await timeline(first.id)
    const again = linked.map((event) => (event === 'granted' ? 'replaced' : event))
    expect(eventsOf(told)).toEqual([...linked, ...again])
    expect(told.steps.find(({ event }) => event === 'replaced')).toMatchObject({ by: 'INDIVIDUAL' })
  })

  it('still tells of a consent that ended long ago, when all that led to it is gone', async () => {
    const { id, token } = await link('cy')
    await read(token)
    await withClient(oauth.ownerUrl, async (owner) => {
      await owner.query(
        `update consents set granted_at = granted_at - interval '9 years', expires_at = now() - interval '8 years' where id = $1`,
        [id],
      )
      await owner.query('delete from authorization_events where consent_id = $1', [id])
    })
    expect(await expireConsents(broker, oauth.bank)).toBe(0)
    await revokeConsent(broker, {
      ...{ bank: oauth.bank, consentId: id, by: 'operator', reason: 'BUSINESS_RULE' },
    })
    const told = await timeline(id)
    expect(eventsOf(told)).toEqual(['granted', 'first_release', 'last_release', 'revoked'])
    expect(told.steps.at(-1)).toMatchObject({ by: 'DATA_ACCESS_PLATFORM' })
  })

  it('tells of an end that came by itself, and why', async () => {
    const id = await granted()
    await withClient(oauth.ownerUrl, (owner) =>
      owner.query(`update consents set granted_at = now() - interval '11 minutes' where id = $1`, [
        id,
      ]),
    )
    await expireConsents(broker, oauth.bank)
    const told = await timeline(id)
    expect(eventsOf(told)).toEqual(['requested', 'approved', 'granted', 'expired'])
    expect(told.steps.at(-1)).toMatchObject({ cause: 'unredeemed' })
  })

  it('tells of a request that nobody answered, from 15 minutes on', async () => {
    const { body } = await client.push().expect(201)
    const [row] = await oauth.rows(
      `select consent_id from pushed_requests where client_id = '${client.id}' order by created_at desc limit 1`,
    )
    expect(body.request_uri).toBeDefined()
    const id = String(row?.['consent_id'])
    expect(eventsOf(await timeline(id))).toEqual(['requested'])
    oauth.advance(15 * 60 + 1)
    const told = await timeline(id)
    expect(told.state).toBe('requested')
    expect(eventsOf(told)).toEqual(['requested', 'abandoned'])
    const [asked, abandoned] = told.steps.map(({ at }) => Date.parse(at))
    expect(Number(abandoned) - Number(asked)).toBe(15 * 60_000)
    oauth.advance(-15 * 60 - 1)
  })

  it('is of this bank alone, and what is no consent is told like what is not there', async () => {
    const token = await tokenOf(support, 'consents:read')
    const answers = []
    for (const id of [
      routed(oauth.bank, random128()),
      routed('other-bank', random128()),
      routed('no-bank', random128()),
      ...['nonsense', `${oauth.bank}.`, '%2e%2e', `${oauth.bank}.%00`, "'"],
    ])
      answers.push(await call(support, { token, path: `/consents/${id}/timeline` }).expect(404))
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1)
    const path = `/consents/${'a'.repeat(257)}/timeline`
    expect((await call(support, { token, path }).expect(404)).body.code).toBe('not_found')
    await supertest(app).get('/consents/%ff/timeline').expect(400)
  })
})

/** A consent that is active and not redeemed. */
async function granted(): Promise<string> {
  const code = await client.code()
  const [row] = await oauth.rows(
    'select consent_id from authorization_codes order by expires_at desc limit 1',
  )
  expect(code).toMatch(/^first-bank\./)
  return String(row?.['consent_id'])
}

it('reads few of a consent that has very many entries', async () => {
  const database = await testDatabase()
  const api = await apiApp(database.serviceUrl)
  const { id } = await api.consent()
  const plan = await inBank(api.broker.db, apiBank, async (tx) => {
    await tx.raw(
      `insert into entries (bank_id, n, kind, at, consent_id, leaf)
       select ?, 100 + i, case when i % 10 = 0 then 'release' else 'refusal' end, now(), ?, 'leaf' from generate_series(1, 20000) i`,
      [apiBank, id],
    )
    const answer = await tx.raw<{ rows: { 'QUERY PLAN': string }[] }>(
      `explain (analyze, timing off) ${marksSql}`,
      { bank: apiBank, id },
    )
    return answer.rows.map((row) => row['QUERY PLAN']).join('\n')
  })
  await api.close()
  await database.drop()
  expect(plan).not.toContain('Seq Scan')
  const counts = [...plan.matchAll(/actual rows=(\d+)|Removed by Filter: (\d+)/g)]
  for (const [, rows, removed] of counts) expect(Number(rows ?? removed)).toBeLessThan(10)
})
