import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { generateKeyPairSync } from 'node:crypto'
import type { Response } from 'supertest'
import { DoorUnavailable, type Door } from '../../src/broker/append.ts'
import type { Class } from '../../src/consent/class.ts'
import type { Cluster } from '../../src/consent/cluster.ts'
import { findClient, insertClient, usualSecurity, type Client } from '../../src/storage/clients.ts'
import { inBank } from '../../src/storage/database.ts'
import { apiApp, bank, otherBank, type ApiApp, type Method } from '../support/api_app.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { newSigner, sha256 } from '../support/jwt.ts'
import { replayLedger } from '../support/test_broker.ts'

const purpose = 'https://w3id.org/dpv#RequestedServiceProvision'

let database: TestDatabase
let api: ApiApp
/** Tokens, by who holds them. */
let operator: string
let reader: string
let ofBank: string
let ofOther: string

beforeAll(async () => {
  database = await testDatabase()
  api = await apiApp(database.serviceUrl)
  const registered = {
    legalName: 'Someone, Inc.',
    lei: '7H6GLXDRUGQFU57RNE97',
    website: 'https://someone.example',
    contacts: ['security@someone.example'],
    ...usualSecurity,
    redirectUris: [],
    scopes: [],
  }
  const clients: Client[] = [
    { ...registered, id: 'desk', kind: 'operator' },
    { ...registered, id: 'first-back-end', kind: 'bank', bank },
    { ...registered, id: 'other-back-end', kind: 'bank', bank: otherBank },
    { ...registered, id: 'first-auditor', kind: 'auditor', bank },
  ]
  for (const client of clients) await insertClient(api.broker.db, client)
  operator = api.clientToken('desk', 'registry:read registry:write')
  reader = api.clientToken('desk', 'registry:read')
  ofBank = api.clientToken('first-back-end', 'registry:approve', bank)
  ofOther = api.clientToken('other-back-end', 'registry:approve', otherBank)
})

afterAll(async () => {
  await api.close()
  await database.drop()
})

const signing = newSigner('ES256')
const jwks = { keys: [{ ...signing.publicJwk, kid: 'one' }] }

const metadata = (id: string, change: object = {}) => ({
  client_id: id,
  client_name: 'Budget App, Inc.',
  client_uri: 'https://budget.example',
  contacts: ['security@budget.example'],
  lei: '7H6GLXDRUGQFU57RNE97',
  class: 'messaging_platform',
  pages: [`page-of-${id}`],
  redirect_uris: ['https://budget.example/callback'],
  scope: 'grant_management_query',
  jwks,
  ...change,
})

const ofBackEnd = (id: string, change: object = {}) => ({
  ...metadata(id, { class: undefined, pages: undefined, redirect_uris: undefined }),
  ...{ kind: 'bank', bank, scope: 'consents:revoke' },
  ...change,
})

const post = (path: string, body: object | string, token?: string) =>
  api.call('post', path, token).type('application/json').send(body)

const register = (body: object, token = operator) => post('/registry/recipients', body, token)

describe('registering over the API', () => {
  it('takes what RFC 7591 calls it, and shows it again', async () => {
    const { body, headers } = await register(metadata('budget')).expect(201)
    expect(headers['location']).toBe('https://broker.example/registry/recipients/budget')
    expect(body).toMatchObject({
      ...metadata('budget'),
      token_endpoint_auth_method: 'private_key_jwt',
      dpop_bound_access_tokens: true,
      tls_client_certificate_bound_access_tokens: false,
      require_signed_request_object: false,
      registered_at: expect.any(String),
    })
    expect((await api.call('get', '/registry/recipients/budget', reader).expect(200)).body).toEqual(
      body,
    )
    expect(await findClient(api.broker.db, 'budget')).toMatchObject({
      kind: 'recipient',
      legalName: 'Budget App, Inc.',
      pages: ['page-of-budget'],
      scopes: ['grant_management_query'],
    })
  })

  it('takes keys by reference, certificates, bound tokens and signed requests', async () => {
    const { body } = await register(
      metadata('certified', {
        jwks: undefined,
        jwks_uri: 'https://budget.example/jwks',
        token_endpoint_auth_method: 'tls_client_auth',
        tls_client_auth_san_dns: 'client.budget.example',
        tls_client_certificate_bound_access_tokens: true,
        require_signed_request_object: true,
      }),
    ).expect(201)
    expect(body).toMatchObject({
      jwks_uri: 'https://budget.example/jwks',
      tls_client_auth_san_dns: 'client.budget.example',
      dpop_bound_access_tokens: false,
    })
    expect(await findClient(api.broker.db, 'certified')).toMatchObject({
      authentication: {
        method: 'tls_client_auth',
        subject: { type: 'san_dns', value: 'client.budget.example' },
      },
      binding: 'mtls',
      signedRequests: true,
    })
  })

  it('takes the clients that are no recipients, each with what its kind has', async () => {
    const add = (body: object) => post('/registry/clients', body, operator)
    expect((await add(ofBackEnd('new-back-end')).expect(201)).body).toMatchObject({
      ...{ kind: 'bank', bank, scope: 'consents:revoke' },
    })
    await add(
      ofBackEnd('second-desk', { kind: 'operator', bank: undefined, scope: 'registry:read' }),
    ).expect(201)
    expect((await api.call('get', '/registry/clients/second-desk', reader)).body).toMatchObject({
      kind: 'operator',
    })
    // One list does not show what is in the other.
    await api.call('get', '/registry/recipients/second-desk', reader).expect(404)
    await api.call('get', '/registry/clients/budget', reader).expect(404)
  })

  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  it.each<[string, object, string]>([
    ['an unknown member', { colour: 'red' }, 'invalid_request'],
    ['NUL in its name', { client_name: 'Budget\0' }, 'invalid_client_metadata'],
    [
      'NUL in a key',
      { jwks: { keys: [{ ...signing.publicJwk, kid: 'one\0' }] } },
      'invalid_client_metadata',
    ],
    ['no name', { client_name: undefined }, 'invalid_request'],
    ['a class that no recipient has', { class: 'data_subject' }, 'invalid_request'],
    ['an LEI of the wrong form', { lei: '123' }, 'invalid_request'],
    ['an LEI of wrong check digits', { lei: '7H6GLXDRUGQFU57RNE98' }, 'invalid_client_metadata'],
    ['an id of the wrong form', { client_id: 'a b' }, 'invalid_request'],
    ['a page of the wrong form', { pages: ['a page'] }, 'invalid_request'],
    ['no keys', { jwks: undefined }, 'invalid_client_metadata'],
    ['keys in two places', { jwks_uri: 'https://a.example/jwks' }, 'invalid_client_metadata'],
    [
      'a private key',
      { jwks: { keys: [{ ...signing.privateJwk, kid: 'one' }] } },
      'invalid_client_metadata',
    ],
    [
      'a private RSA key for encryption',
      {
        jwks: {
          keys: [...jwks.keys, { ...privateKey.export({ format: 'jwk' }), kid: 'e', use: 'enc' }],
        },
      },
      'invalid_client_metadata',
    ],
    [
      'a secret key',
      { jwks: { keys: [...jwks.keys, { kty: 'oct', k: 'AA', kid: 's' }] } },
      'invalid_client_metadata',
    ],
    [
      'two keys of one name',
      { jwks: { keys: [...jwks.keys, ...jwks.keys] } },
      'invalid_client_metadata',
    ],
    [
      'a redirect over http',
      { redirect_uris: ['http://secret.example'] },
      'invalid_client_metadata',
    ],
    ['no redirect', { redirect_uris: [] }, 'invalid_client_metadata'],
    ['a scope of another kind', { scope: 'registry:write' }, 'invalid_client_metadata'],
    ['a scope that is none', { scope: 'secret-scope' }, 'invalid_client_metadata'],
    [
      'two ways to bind tokens',
      { dpop_bound_access_tokens: true, tls_client_certificate_bound_access_tokens: true },
      'invalid_client_metadata',
    ],
    ['no way to bind tokens', { dpop_bound_access_tokens: false }, 'invalid_client_metadata'],
    [
      'a certificate without a name',
      { token_endpoint_auth_method: 'tls_client_auth' },
      'invalid_client_metadata',
    ],
    [
      'a certificate with two names',
      {
        ...{ token_endpoint_auth_method: 'tls_client_auth' },
        ...{ tls_client_auth_san_dns: 'a.example', tls_client_auth_san_uri: 'https://a.example' },
      },
      'invalid_client_metadata',
    ],
    ['a secret', { token_endpoint_auth_method: 'client_secret_basic' }, 'invalid_request'],
  ])('refuses %s, says so, and repeats nothing', async (_, change, code) => {
    const { body, text } = await register(metadata('refused', change)).expect(400)
    expect(body).toMatchObject({ code, errors: [expect.anything()] })
    expect(text).not.toContain('secret.example')
    expect(text).not.toContain('secret-scope')
    await api.call('get', '/registry/recipients/refused', reader).expect(404)
  })

  it.each<[string, object, string]>([
    ['no kind', { kind: undefined }, 'invalid_request'],
    ['a recipient among the others', { kind: 'recipient' }, 'invalid_request'],
    ['a bank that is in no directory', { bank: 'nowhere' }, 'invalid_client_metadata'],
    [
      'an auditor of no bank',
      { kind: 'auditor', bank: undefined, scope: undefined },
      'invalid_client_metadata',
    ],
    ['an operator of a bank', { kind: 'operator', scope: undefined }, 'invalid_client_metadata'],
  ])('refuses %s', async (_, change, code) => {
    const { body } = await post('/registry/clients', ofBackEnd('refused', change), operator).expect(
      400,
    )
    expect(body.code).toBe(code)
  })

  it('refuses an id and a page that another has: 409', async () => {
    await register(metadata('taken')).expect(201)
    for (const change of [{ pages: [] }, { client_id: 'taken-too' }]) {
      const { body } = await register(metadata('taken', change)).expect(409)
      expect(body.code).toBe('client_taken')
    }
    await api.call('get', '/registry/recipients/taken-too', reader).expect(404)
  })

  it('refuses what is no JSON, too long, or of another type', async () => {
    await post('/registry/recipients', '{', operator).expect(400)
    await register(metadata('long', { client_name: 'x'.repeat(70_000) })).expect(413)
    await api
      .call('post', '/registry/recipients', operator)
      .type('text/plain')
      .send('x')
      .expect(415)
  })
})

describe('the lists', () => {
  it('come page by page, each client once', async () => {
    for (const id of ['z-1', 'z-2', 'z-3', 'z-4']) await register(metadata(id)).expect(201)
    const seen: string[] = []
    let query: string | undefined = 'limit=2'
    while (query !== undefined) {
      const answer: Response = await api
        .call('get', `/registry/recipients?${query}`, reader)
        .expect(200)
      seen.push(...answer.body.recipients.map((one: { client_id: string }) => one.client_id))
      const { nextPageKey } = answer.body.page
      query = nextPageKey && `limit=2&pageKey=${nextPageKey}`
    }
    const { rows } = await api.broker.db.knex.raw(
      `select id from clients where kind = 'recipient' order by id`,
    )
    expect(seen).toEqual(rows.map(({ id }: { id: string }) => id))
    const { body } = await api.call('get', '/registry/clients', reader).expect(200)
    expect(body.clients.every((one: { kind?: string }) => one.kind !== undefined)).toBe(true)
  })

  it.each(['limit=0', 'limit=101', 'pageKey=a%20b', 'limit=1&limit=2'])(
    'refuse %s',
    async (query) => {
      await api.call('get', `/registry/recipients?${query}`, reader).expect(400)
    },
  )

  it('show the banks, and to a bank itself alone', async () => {
    const ids = async (token: string) =>
      (await api.call('get', '/registry/banks', token).expect(200)).body.banks.map(
        (one: { bank: string }) => one.bank,
      )
    expect(await ids(reader)).toEqual([bank, otherBank])
    expect(await ids(ofBank)).toEqual([bank])
  })
})

let signed_at = Math.floor(Date.now() / 1000) - 1_000

/** An approval by a bank, each signed later than the one before. */
const approvalBy = (
  of: string,
  change: Partial<{
    recipient: string
    class: Class
    purposes: string[]
    keys: string[]
    clusters: Cluster[]
  }> = {},
) =>
  api.signing(of).approve({
    ...{ recipient: 'budget', class: 'messaging_platform', purposes: [purpose], iat: ++signed_at },
    ...{ clusters: ['BALANCES'], ...change },
  })

const readable: Cluster[] = ['ACCOUNT_BASIC', 'BALANCES', 'TRANSACTIONS']

const hand = (token: string, jws: string, at = bank) =>
  post(`/registry/banks/${at}/approvals`, { jws }, token)

const suspend = (token: string, recipient = 'budget', at = bank) =>
  api.call('post', `/registry/banks/${at}/recipients/${recipient}/suspension`, token)

const told = (token: string, recipient = 'budget', at = bank) =>
  api.call('get', `/registry/banks/${at}/recipients/${recipient}`, token)

describe('what a bank says of a recipient', () => {
  it('is nothing at first', async () => {
    const { body } = await told(ofBank).expect(200)
    expect(body).toEqual({ bank, recipient: 'budget', state: 'none', history: [] })
    await told(ofBank, 'nobody').expect(404)
  })

  it('is entered by the bank, suspended by either, and told with all its history', async () => {
    const keys = [sha256('an encryption key')]
    const first = approvalBy(bank, { keys })
    const { body } = await hand(ofBank, first).expect(200)
    expect(body).toMatchObject({ bank, recipient: 'budget', state: 'approved', keys })
    const size = (await api.entries(bank)).length
    await hand(operator, first).expect(200) // the same paper changes nothing
    expect(await api.entries(bank)).toHaveLength(size)

    expect((await suspend(ofBank).expect(200)).body).toMatchObject({
      state: 'suspended',
      suspended_at: expect.any(String),
    })
    expect((await suspend(ofBank).expect(409)).body.code).toBe('recipient_suspended')
    expect((await hand(ofBank, first).expect(409)).body.code).toBe('approval_out_of_order')
    expect((await hand(ofBank, approvalBy(bank)).expect(409)).body.code).toBe(
      'approval_out_of_order', // signed before the suspension
    )
    signed_at = Math.floor(Date.now() / 1000) + 2
    await hand(operator, approvalBy(bank)).expect(200)
    await suspend(operator).expect(200)

    const { history } = (await told(reader).expect(200)).body
    expect(history.map((one: { event: string; by?: string }) => [one.event, one.by])).toEqual([
      ['suspended', 'operator'],
      ['approved', undefined],
      ['suspended', 'bank'],
      ['approved', undefined],
    ])
    expect(history.at(-1)).toMatchObject({ jws: first, keys })
    const entered = (await api.entries(bank)).slice(-4)
    expect(history.map((one: { entry: number }) => one.entry)).toEqual(
      entered.map(({ n }) => n).toReversed(),
    )
    await replayLedger(api.broker, bank)
    const { body: list } = await api.call('get', `/registry/banks/${bank}/approvals`, ofBank)
    expect(list.approvals).toContainEqual(
      expect.objectContaining({ recipient: 'budget', state: 'suspended' }),
    )
  })

  it('is honoured by the next release, and by none after', async () => {
    const consent = await api.consent()
    const read = () => api.call('get', '/fdx/v6/accounts', api.consentToken(consent))
    await read().expect(200)
    await suspend(ofBank, 'messenger').expect(200)
    expect((await read().expect(403)).body.code).toBe('recipient_suspended')
    await replayLedger(api.broker, bank)
  })

  it.each<[string, () => string]>([
    ['signed by another bank', () => approvalBy(otherBank)],
    ['no JWS', () => 'a.b'],
    ['of a class that can never receive', () => approvalBy(bank, { class: 'advertising' })],
    ['of a recipient that is not registered', () => approvalBy(bank, { recipient: 'secret-one' })],
    ['of no purpose', () => approvalBy(bank, { purposes: [] })],
    ['of a purpose that none may name', () => approvalBy(bank, { purposes: ['secret:marketing'] })],
    [
      'of 9 keys',
      () => approvalBy(bank, { keys: Array.from({ length: 9 }, (_, i) => sha256(`${i}`)) }),
    ],
    ['of a key that is no thumbprint', () => approvalBy(bank, { keys: ['secret'] })],
  ])('is refused when it is %s', async (_, jws) => {
    const before = (await api.entries(bank)).length
    const { body, text } = await hand(ofBank, jws()).expect(400)
    expect(body.code).toBe('approval_rejected')
    expect(text).not.toContain('secret')
    expect(await api.entries(bank)).toHaveLength(before)
  })

  it('is refused with another member, without one, and too long', async () => {
    const path = `/registry/banks/${bank}/approvals`
    await post(path, { jws: approvalBy(bank), note: 'x' }, ofBank).expect(400)
    await post(path, {}, ofBank).expect(400)
    await hand(ofBank, 'x'.repeat(3_001)).expect(400)
  })

  it('is suspended only where it stands', async () => {
    expect((await suspend(ofBank, 'z-1').expect(409)).body.code).toBe('recipient_not_approved')
  })
})

describe('who may', () => {
  it("see and do what at another bank: not a bank's client", async () => {
    await hand(ofOther, approvalBy(otherBank), otherBank).expect(200)
    const before = await api.entries(otherBank)
    for (const call of [
      told(ofBank, 'budget', otherBank),
      suspend(ofBank, 'budget', otherBank),
      hand(ofBank, approvalBy(otherBank), otherBank),
      api.call('get', `/registry/banks/${otherBank}/approvals`, ofBank),
      told(ofBank, 'budget', 'nowhere'),
    ])
      expect((await call.expect(403)).body.code).toBe('insufficient_scope')
    expect(await api.entries(otherBank)).toEqual(before)
  })

  it('name a bank that there is not: nobody', async () => {
    await told(operator, 'budget', 'nowhere').expect(404)
    await hand(operator, approvalBy(bank), 'nowhere').expect(404)
    await suspend(operator, 'budget', 'Not-A-Bank').expect(404)
  })

  const readings = [
    '/registry/recipients',
    '/registry/recipients/budget',
    '/registry/clients',
    '/registry/clients/desk',
    '/registry/banks',
    `/registry/banks/${bank}/approvals`,
    `/registry/banks/${bank}/recipients/budget`,
  ]
  const changes = [
    '/registry/recipients',
    '/registry/clients',
    '/registry/recipients/budget/disablement',
    '/registry/clients/desk/disablement',
    `/registry/banks/${bank}/approvals`,
    `/registry/banks/${bank}/recipients/budget/suspension`,
  ]
  const every: [Method, string][] = [
    ...readings.map((path): [Method, string] => ['get', path]),
    ...changes.map((path): [Method, string] => ['post', path]),
  ]
  it.each(every)(
    '%s %s: no recipient, no auditor, nobody without a token',
    async (method, path) => {
      await api.call(method, path).expect(401)
      for (const token of [
        api.clientToken('messenger', 'grant_management_query'),
        api.clientToken('first-auditor', 'ledger:read', bank),
        api.clientToken('first-back-end', 'consents:revoke', bank),
        api.consentToken({ id: `${bank}.x` }),
      ])
        expect((await api.call(method, path, token).expect(403)).body.code).toBe(
          'insufficient_scope',
        )
      await api.call('delete', path, operator).expect(405)
    },
  )

  it.each(changes)('post %s: not who may only read', async (path) => {
    await api.call('post', path, reader).expect(403)
  })

  it.each(changes.slice(0, 4).map((path) => [path]))(
    "post %s: not a bank's client",
    async (path) => {
      await api.call('post', path, ofBank).expect(403)
    },
  )

  it("see other clients than recipients: not a bank's client", async () => {
    for (const path of ['/registry/recipients', '/registry/recipients/budget']) {
      const { text } = await api.call('get', path, ofBank).expect(200)
      expect(text).toContain('https://budget.example/callback')
      expect(text).not.toContain('page-of-budget')
    }
    await api.call('get', '/registry/clients', ofBank).expect(403)
    await api.call('get', '/registry/clients/desk', ofBank).expect(403)
  })
})

describe('disabling', () => {
  it('suspends a recipient at every bank that approves it, and is for good', async () => {
    await register(metadata('ended')).expect(201)
    for (const at of [bank, otherBank])
      await hand(operator, approvalBy(at, { recipient: 'ended' }), at).expect(200)
    const end = () => api.call('post', '/registry/recipients/ended/disablement', operator)
    const { body } = await end().expect(200)
    expect(body.disabled_at).toEqual(expect.any(String))
    expect((await end().expect(200)).body).toEqual(body)
    expect(await findClient(api.broker.db, 'ended')).toBeUndefined()
    for (const at of [bank, otherBank])
      expect((await told(reader, 'ended', at)).body).toMatchObject({
        state: 'suspended',
        history: [{ event: 'suspended', by: 'operator' }, { event: 'approved' }],
      })
    await api.call('post', '/registry/recipients/nobody/disablement', operator).expect(404)
  })

  it('is for good: no approval brings data back, nor does any token it holds', async () => {
    await register(metadata('dead')).expect(201)
    await hand(operator, approvalBy(bank, { recipient: 'dead', clusters: readable })).expect(200)
    const consent = await api.consent({ recipient: 'dead' })
    const token = api.consentToken(consent, { clientId: 'dead' })
    const consentPath = `/fdx/v6/consents/${consent.id}`
    for (const path of ['/fdx/v6/accounts', consentPath, `/oauth/grants/${consent.id}`])
      await api.call('get', path, token).expect(200)
    await api.call('post', '/registry/recipients/dead/disablement', operator).expect(200)
    signed_at = Math.floor(Date.now() / 1000) + 2
    const again = approvalBy(bank, { recipient: 'dead', clusters: readable })
    expect((await hand(ofBank, again).expect(400)).body.code).toBe('approval_rejected')
    const refused = async () =>
      expect((await api.call('get', '/fdx/v6/accounts', token).expect(403)).body.code).toBe(
        'recipient_suspended',
      )
    await refused()
    // An approval that was on its way when the recipient was disabled.
    await inBank(api.broker.db, bank, (tx) =>
      tx.raw(`update approvals set suspended_at = null where recipient = 'dead'`),
    )
    await refused()
    await api.call('get', consentPath, token).expect(401)
    await api.call('get', `/oauth/grants/${consent.id}`, token).expect(401)
    const kinds = (await api.entries(bank, consent.id)).map(({ kind }) => kind)
    expect(kinds.filter((kind) => kind === 'release')).toHaveLength(1)
  })

  it('is done at the banks that answer when another one does not', async () => {
    await register(metadata('half')).expect(201)
    for (const at of [bank, otherBank])
      await hand(operator, approvalBy(at, { recipient: 'half' }), at).expect(200)
    const end = () => api.call('post', '/registry/recipients/half/disablement', operator)
    // What the door says of a ledger that another process holds for eight seconds.
    const broker = api.broker as { door: Door }
    const { door } = broker
    const append: Door['append'] = (of, draft) =>
      of === bank
        ? Promise.reject(new DoorUnavailable('the ledger is not answering'))
        : door.append(of, draft)
    broker.door = { ...door, append }
    try {
      await end().expect(503)
    } finally {
      broker.door = door
    }
    expect(await findClient(api.broker.db, 'half')).toBeUndefined()
    expect((await told(reader, 'half', otherBank)).body.state).toBe('suspended')
    await end().expect(200)
    expect((await told(reader, 'half', bank)).body.state).toBe('suspended')
  })

  it('takes effect on the next call of an operator, whatever token it holds', async () => {
    await post(
      '/registry/clients',
      ofBackEnd('leaving', { kind: 'operator', bank: undefined, scope: 'registry:write' }),
      operator,
    ).expect(201)
    const token = api.clientToken('leaving', 'registry:read registry:write')
    await api.call('get', '/registry/clients/leaving', token).expect(200)
    await api.call('post', '/registry/clients/leaving/disablement', token).expect(200)
    await api.call('get', '/registry/clients/leaving', token).expect(401)
    await post('/registry/clients', ofBackEnd('too-late'), token).expect(401)
  })
})
