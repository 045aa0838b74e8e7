import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import supertest from 'supertest'
import { inBank } from '../../src/storage/database.ts'
import { findConsent } from '../../src/storage/consents.ts'
import { findPushedRequest } from '../../src/storage/pushed_requests.ts'
import { suspendRecipient } from '../../src/broker/approve_recipient.ts'
import {
  authorizationApp,
  redirectUri,
  type AuthorizationApp,
  type TestClient,
} from '../support/authorization_app.ts'
import { sha256 } from '../support/jwt.ts'

let server: AuthorizationApp
let recipient: TestClient

beforeAll(async () => {
  server = await authorizationApp()
  recipient = await server.client()
})
afterAll(() => server.close())

const details = (change: object) => JSON.stringify([recipient.details(change)])

/** Details whose page is the recipient's own, so that nothing else can be wrong with them than the profile's other members. */
const profiled = (members: object) =>
  details({ profile: { page_id: `page.${recipient.id}`, psid: '2', ...members } })

const scope = 'fdx:accountbasic:read fdx:balances:read fdx:transactions:read'

describe('a pushed request', () => {
  it('is kept, with a consent that is asked for, and nothing of it is given out but a reference', async () => {
    const { body, headers } = await recipient.push({ scope }).expect(201)
    expect(body).toEqual({ request_uri: expect.any(String), expires_in: 300 })
    expect(body.request_uri).toMatch(
      /^urn:ietf:params:oauth:request_uri:first-bank\.[A-Za-z0-9_-]{43}$/,
    )
    expect(headers['cache-control']).toBe('no-store')
    const { db, vault } = server.broker
    const named = { clientId: recipient.id, requestUri: String(body.request_uri) }
    const pushed = await findPushedRequest(db, vault, named)
    expect(pushed).toEqual({
      bank: 'first-bank',
      clientId: recipient.id,
      consentId: expect.stringMatching(/^first-bank\.[A-Za-z0-9_-]{22}$/),
      redirectUri,
      state: 'a-state',
      scope,
      codeChallenge: expect.any(String),
      responseMode: 'query',
      profile: {
        page_id: `page.${recipient.id}`,
        psid: '9876543210',
        display_name: 'Alice Example',
      },
      expires: expect.any(Number),
    })
    expect((pushed?.expires ?? 0) - server.broker.now()).toBeLessThanOrEqual(300_000)
    const consent = await findConsent(db, 'first-bank', pushed?.consentId ?? '')
    expect(consent).toEqual({
      consent: { id: pushed?.consentId, state: 'requested', recipient: recipient.id },
      requested: {
        recipient: recipient.id,
        bank: 'first-bank',
        clusters: ['ACCOUNT_BASIC', 'BALANCES', 'TRANSACTIONS'],
        purpose: 'https://w3id.org/dpv#RequestedServiceProvision',
        lookback_days: 90,
        one_time: false,
        duration_days: 90,
        delivery: 'in_thread',
      },
      redeemed: false,
    })
  })

  it('is found by nobody else, by no other reference, and holds no name in the clear', async () => {
    const other = await server.client()
    const { body } = await recipient.push().expect(201)
    const { db, vault } = server.broker
    const find = (clientId: string, requestUri: string) =>
      findPushedRequest(db, vault, { clientId, requestUri })
    expect(await find(other.id, body.request_uri)).toBeUndefined()
    expect(await find(recipient.id, `${body.request_uri}x`)).toBeUndefined()
    expect(await find(recipient.id, body.request_uri.replace('first', 'other'))).toBeUndefined()
    expect(await find(recipient.id, 'urn:ietf:params:oauth:request_uri:')).toBeUndefined()
    const stored = JSON.stringify(await server.rows('select * from pushed_requests'))
    expect(stored).not.toContain('Alice')
    expect(stored).not.toContain(body.request_uri.split('.')[1])
  })

  it.each<[string, Record<string, string | undefined>]>([
    ['without state', { state: undefined }],
    ['without nonce', { nonce: undefined }],
    ['with a nonce of 64 characters', { nonce: 'n'.repeat(64) }],
    ['with a state of 1,000 characters', { state: 's'.repeat(1_000) }],
    ['with its scopes in another order', { scope: scope.split(' ').toReversed().join(' ') }],
    ['without scope', { scope: undefined }],
    ['with response_mode query', { response_mode: 'query' }],
    ['to be answered in a JWT', { response_mode: 'jwt' }],
    ['to be answered in a JWT in the query', { response_mode: 'query.jwt' }],
    ['that creates a grant', { grant_management_action: 'create' }],
    [
      'with parameters that are not known',
      { claims: '{"id_token":{}}', prompt: 'consent', x: '1' },
    ],
    ['with a parameter that has no value', { request: '', grant_id: '' }],
  ])('%s is accepted', async (_, form) => {
    await recipient.push(form).expect(201)
  })

  it.each<[string, Record<string, string | undefined>, string]>([
    [
      'with a request_uri',
      { request_uri: 'urn:ietf:params:oauth:request_uri:x' },
      'invalid_request',
    ],
    ['with a request object that is none', { request: 'e30.e30.' }, 'invalid_request_object'],
    ['without response_type', { response_type: undefined }, 'invalid_request'],
    ['for a token', { response_type: 'token' }, 'unsupported_response_type'],
    ['for code and id_token', { response_type: 'code id_token' }, 'unsupported_response_type'],
    ['to be answered in a fragment', { response_mode: 'fragment' }, 'invalid_request'],
    ['to be answered in a form', { response_mode: 'form_post.jwt' }, 'invalid_request'],
    ['without redirect_uri', { redirect_uri: undefined }, 'invalid_request'],
    ['to a URI that is not registered', { redirect_uri: `${redirectUri}/` }, 'invalid_request'],
    ['without code_challenge', { code_challenge: undefined }, 'invalid_request'],
    ['with plain PKCE', { code_challenge_method: 'plain' }, 'invalid_request'],
    ['with PKCE of no method', { code_challenge_method: undefined }, 'invalid_request'],
    ['with a challenge that is no SHA-256', { code_challenge: 'c'.repeat(42) }, 'invalid_request'],
    ['with a nonce of 65 characters', { nonce: 'n'.repeat(65) }, 'invalid_request'],
    ['with a state of 1,025 characters', { state: 's'.repeat(1_025) }, 'invalid_request'],
    ['with a state of control characters', { state: 'a\r\nb' }, 'invalid_request'],
    ['with a state beyond ASCII', { state: 'é' }, 'invalid_request'],
    ['with a nonce beyond ASCII', { nonce: 'é' }, 'invalid_request'],
    ['with a scope too few', { scope: 'fdx:accountbasic:read' }, 'invalid_scope'],
    ['with a scope too many', { scope: `${scope} openid` }, 'invalid_scope'],
    [
      'that replaces a grant it does not name',
      { grant_management_action: 'replace' },
      'invalid_request',
    ],
    ['that merges into a grant', { grant_management_action: 'merge' }, 'invalid_request'],
    ['with a grant_id and no action', { grant_id: 'first-bank.x' }, 'invalid_request'],
    [
      'that creates a grant that it names',
      { grant_management_action: 'create', grant_id: 'first-bank.x' },
      'invalid_request',
    ],
    [
      'that merges into a grant that it names',
      { grant_management_action: 'merge', grant_id: 'first-bank.x' },
      'invalid_request',
    ],
    [
      'that replaces what is no grant',
      { grant_management_action: 'replace', grant_id: 'first-bank.x' },
      'invalid_grant_id',
    ],
    [
      'that replaces a grant of no bank',
      { grant_management_action: 'replace', grant_id: `no-bank.${'x'.repeat(22)}` },
      'invalid_grant_id',
    ],
    [
      'that replaces a grant that is not known',
      { grant_management_action: 'replace', grant_id: `first-bank.${'x'.repeat(22)}` },
      'invalid_grant_id',
    ],
    ['without authorization_details', { authorization_details: undefined }, 'invalid_request'],
  ])('%s is refused', async (_, form, error) => {
    const { body } = await recipient.push(form).expect(400)
    expect(body).toEqual({ error, error_description: expect.any(String) })
  })

  it('with NUL is refused, in a parameter and in an assertion', async () => {
    await recipient.push({ state: 'a\0b' }).expect(400)
    await recipient.redeem('x', { redirect_uri: '\0' }).expect(400)
    const claims = { iss: '\0', sub: '\0' }
    await recipient
      .push({ client_id: undefined, client_assertion: recipient.assertion({ claims }) })
      .expect(401)
  })

  it('with a parameter twice is refused, also one that is not known or has no value', async () => {
    for (const twice of ['state=a&state=a', 'x=1&x=1', 'scope=&scope='])
      for (const path of ['/oauth/par', '/oauth/token'] as const) {
        const answer = await supertest(server.app).post(path).type('form').send(twice).expect(400)
        expect(answer.body.error).toBe('invalid_request')
      }
  })
})

const consentRequest = (change: object) => ({
  consentRequest: {
    durationType: 'TIME_BOUND',
    lookbackPeriod: 30,
    resources: [{ resourceType: 'ACCOUNT', dataClusters: ['BALANCES'] }],
    ...change,
  },
})

describe('authorization details', () => {
  it.each<[string, object, object]>([
    ['of one time', consentRequest({ durationType: 'ONE_TIME' }), { one_time: true }],
    ['without durationPeriod', consentRequest({}), { duration_days: 90 }],
    [
      'of a year and no lookback',
      consentRequest({ durationPeriod: 365, lookbackPeriod: 0 }),
      { duration_days: 365, lookback_days: 0 },
    ],
    [
      'of one day and two years back',
      consentRequest({ durationPeriod: 1, lookbackPeriod: 730 }),
      { duration_days: 1, lookback_days: 730 },
    ],
    ['without delivery', { delivery: undefined }, { delivery: 'link_out' }],
    ['without page_id', { profile: { page_id: undefined, psid: '2', display_name: 'A' } }, {}],
    ['for a name in any script', { profile: { psid: '2', display_name: 'Zoë 👩‍👧 李' } }, {}],
  ])('%s are accepted', async (_, change: { profile?: object }, kept) => {
    const profile = { page_id: `page.${recipient.id}`, ...change.profile }
    const asked = details(change.profile === undefined ? change : { profile })
    const { body } = await recipient.push({ authorization_details: asked }).expect(201)
    const named = { clientId: recipient.id, requestUri: String(body.request_uri) }
    const pushed = await findPushedRequest(server.broker.db, server.broker.vault, named)
    const consent = await findConsent(server.broker.db, 'first-bank', pushed?.consentId ?? '')
    expect(consent?.requested).toMatchObject(kept)
  })

  it.each<[string, () => string]>([
    ['that are no JSON', () => '[{'],
    ['that are no list', () => JSON.stringify(recipient.details())],
    ['of none', () => '[]'],
    ['of two', () => JSON.stringify([recipient.details(), recipient.details()])],
    [
      'without bound',
      () => JSON.stringify([recipient.details({ purpose: `https://${'x'.repeat(5_000)}` })]),
    ],
    ['nested without bound', () => '['.repeat(4_000)],
    ['of another type', () => details({ type: 'payment' })],
    ['with a member that is not known', () => details({ actions: ['read'] })],
    ['with __proto__', () => details({}).replace('{', '{"__proto__":{},')],
    ['with an unknown member of the consent', () => details(consentRequest({ autoConnect: true }))],
    [
      'with an unknown member of a resource',
      () =>
        details(
          consentRequest({
            resources: [{ resourceType: 'ACCOUNT', resourceId: '1', dataClusters: ['BALANCES'] }],
          }),
        ),
    ],
    ['with an unknown member of the profile', () => profiled({ display_name: 'A', email: 'a' })],
    ['that last for ever', () => details(consentRequest({ durationType: 'PERSISTENT' }))],
    ['of no day', () => details(consentRequest({ durationPeriod: 0 }))],
    ['of more than a year', () => details(consentRequest({ durationPeriod: 366 }))],
    ['of half a day', () => details(consentRequest({ durationPeriod: 0.5 }))],
    ['of a day in letters', () => details(consentRequest({ durationPeriod: '1' }))],
    ['that look back too far', () => details(consentRequest({ lookbackPeriod: 731 }))],
    ['without lookback', () => details(consentRequest({ lookbackPeriod: undefined }))],
    ['of no resource', () => details(consentRequest({ resources: [] }))],
    [
      'of a customer',
      () =>
        details(
          consentRequest({ resources: [{ resourceType: 'CUSTOMER', dataClusters: ['BALANCES'] }] }),
        ),
    ],
    [
      'of no cluster',
      () => details(consentRequest({ resources: [{ resourceType: 'ACCOUNT', dataClusters: [] }] })),
    ],
    [
      'of a cluster twice',
      () =>
        details(
          consentRequest({
            resources: [{ resourceType: 'ACCOUNT', dataClusters: ['BALANCES', 'BALANCES'] }],
          }),
        ),
    ],
    [
      'of an unknown cluster',
      () =>
        details(
          consentRequest({ resources: [{ resourceType: 'ACCOUNT', dataClusters: ['TAX'] }] }),
        ),
    ],
    ['of no bank', () => details({ bank: undefined })],
    ['of an unknown bank', () => details({ bank: 'no-such-bank' })],
    ['without purpose', () => details({ purpose: undefined })],
    ['whose purpose is no IRI', () => details({ purpose: 'service' })],
    ['of an unknown delivery', () => details({ delivery: 'by_post' })],
    [
      'for a page of another recipient',
      () => details({ profile: { page_id: 'page-of-another', psid: '2', display_name: 'A' } }),
    ],
    ['without profile', () => details({ profile: undefined })],
    ['without a name', () => profiled({})],
    ['with a name that turns the text around', () => profiled({ display_name: 'a\u202eb' })],
    ['with a name of two lines', () => profiled({ display_name: 'a\nb' })],
  ])('%s are refused, and nothing is recorded', async (_, authorization_details) => {
    const { body } = await recipient
      .push({ authorization_details: authorization_details() })
      .expect(400)
    expect(body.error).toBe('invalid_authorization_details')
    expect(body.error_description).toMatch(/^[ !#-[\]-~]+$/)
    expect(await refusals(recipient)).toEqual([])
  })
})

/** The refusals of a client that are in the ledger: class, reason and count. */
async function refusals(client: TestClient): Promise<unknown[]> {
  const rows = await server.rows(
    `select convert_from(leaf, 'UTF8')::jsonb -> 'body' as body from entries where kind = 'refusal' order by n`,
  )
  return rows
    .map(({ body }) => body as { client: string; class: string; reason: string; count: number })
    .filter((body) => body.client === client.id)
    .map(({ class: of, reason, count }) => ({ class: of, reason, count }))
}

describe('a recipient that asks for what it can never have is refused, and that is recorded', () => {
  it.each(['advertising', 'third_party'] as const)('of class %s, whatever it asks', async (of) => {
    const client = await server.client({ class: of })
    const { body } = await client.push().expect(400)
    expect(body.error).toBe('access_denied')
    expect(await refusals(client)).toEqual([{ class: of, reason: 'class_denied', count: 1 }])
  })

  it('even when the rest of its request is wrong', async () => {
    const client = await server.client({ class: 'advertising' })
    await client.push({ response_type: 'token', code_challenge: undefined }).expect(400)
    expect(await refusals(client)).toHaveLength(1)
  })

  it('that the bank has not approved, at that bank', async () => {
    const client = await server.client({ approved: false })
    const { body } = await client.push().expect(400)
    expect(body.error).toBe('unauthorized_client')
    expect(await refusals(client)).toMatchObject([{ reason: 'recipient_not_approved' }])
  })

  it('that the bank has suspended', async () => {
    const client = await server.client()
    await suspendRecipient(server.broker, { bank: server.bank, recipient: client.id, by: 'bank' })
    const { body } = await client.push().expect(400)
    expect(body.error).toBe('unauthorized_client')
    expect(await refusals(client)).toMatchObject([{ reason: 'recipient_suspended' }])
  })

  it.each([
    ['purpose_denied', { purpose: 'https://w3id.org/dpv#Advertising' }],
    ['purpose_denied', { purpose: 'https://w3id.org/dpv#SellDataToThirdParties' }],
    ['purpose_denied', { purpose: 'https://w3id.org/dpv#NoSuchPurpose' }],
    ['purpose_not_approved', { purpose: 'https://w3id.org/dpv#CustomerCare' }],
    [
      'cluster_not_approved',
      consentRequest({ resources: [{ resourceType: 'ACCOUNT', dataClusters: ['FRAUD_ALERTS'] }] }),
    ],
  ])('for %s', async (reason, change) => {
    const client = await server.client()
    const authorization_details = JSON.stringify([client.details(change)])
    const { body } = await client.push({ authorization_details }).expect(400)
    expect(body.error).toBe('invalid_authorization_details')
    expect(await refusals(client)).toEqual([{ class: 'messaging_platform', reason, count: 1 }])
  })

  it('and leaves no consent behind', async () => {
    const client = await server.client({ class: 'advertising' })
    await client.push().expect(400)
    const rows = await server.rows(`select id from consents where recipient = '${client.id}'`)
    expect(rows).toEqual([])
  })
})

it("a bank's own client asks no customer for consent", async () => {
  const client = await server.client({ kind: 'bank' })
  const { body } = await client.push().expect(400)
  expect(body.error).toBe('unauthorized_client')
})

it('a redirect URI that was registered in spite of its scheme is not used', async () => {
  const uri = 'http://recipient.example/callback'
  await server.broker.db.knex.raw('update clients set redirect_uris = ? where id = ?', [
    [uri],
    recipient.id,
  ])
  await recipient.push({ redirect_uri: uri }).expect(400)
  await server.broker.db.knex.raw('update clients set redirect_uris = ? where id = ?', [
    [redirectUri, 'http://127.0.0.1:9/callback'],
    recipient.id,
  ])
  await recipient.push({ redirect_uri: 'http://127.0.0.1:9/callback' }).expect(201)
})

it('one bank sees nothing of what was pushed for another', async () => {
  await recipient.push({ code_challenge: sha256('x') }).expect(201)
  const seen = await inBank(server.broker.db, 'other-bank', (tx) =>
    tx.raw<{ rows: unknown[] }>('select from pushed_requests'),
  )
  expect(seen.rows).toEqual([])
})
