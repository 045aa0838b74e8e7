import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { randomUUID } from 'node:crypto'
import type { Express } from 'express'
import supertest, { type Response } from 'supertest'
import type { Broker } from '../../src/broker/broker.ts'
import { grantAudit } from '../../src/broker/grant_audit.ts'
import { createApp } from '../../src/http/app.ts'
import { openContract } from '../../src/http/contract.ts'
import { openLog } from '../../src/observe/log.ts'
import { findConsent } from '../../src/storage/consents.ts'
import { inBank } from '../../src/storage/database.ts'
import { random128, random256, routed } from '../../src/storage/ids.ts'
import { signedSize } from '../../src/storage/signed.ts'
import {
  authorizationApp,
  redirectUri,
  verifier,
  type AuthorizationApp,
  type TestClient,
} from '../support/authorization_app.ts'
import { entriesOf } from '../support/api_app.ts'
import { fakeBanks } from '../support/fake_banks.ts'
import { newSigner, sha256 } from '../support/jwt.ts'

/** Bank A's credentials, and bank B, whose objects they are tried on. */
const a = 'first-bank'
const b = 'other-bank'

/** Whatever of a bank can be named in a request. */
interface Objects {
  readonly consent: string
  readonly account: string
  readonly accessToken: string
  readonly refreshToken: string
  readonly code: string
  readonly requestUri: string
  readonly pageId: string
  readonly pointer: string
  readonly interaction: string
  readonly sub: string
  readonly pageKey: string
  readonly bank: string
}

interface Probe {
  readonly path: string
  readonly json?: object
  readonly form?: Record<string, string>
}

/** How an operation is tried. */
interface Way {
  /**
   * `token`: by each of A's access tokens. `client`: by each of A's clients. What these are told of an object of B's is what they
   * are told of one that never was. `anyone`: what A's credentials are told is what nobody in particular is told.
   */
  readonly by: 'token' | 'client' | 'anyone'
  /** Answers to `anyone` that differ each time: pages with their form tokens, counters. Compared by their status. */
  readonly varies?: true
  /** Whose it is, whatever bank it is about. */
  readonly exceptFor?: readonly (keyof typeof scopes)[]
  /** Members of the answer that may tell the two apart. */
  readonly mayTell?: readonly string[]
  readonly probes: (of: Objects) => readonly Probe[]
}

const at = (...paths: readonly string[]): (() => readonly Probe[]) => {
  return () => paths.map((path) => ({ path }))
}

const ofConsent = (path: (id: string) => string) => (of: Objects) => [{ path: path(of.consent) }]
const entriesPath = () => `/ledger/${b}/tile/entries/000.p/${signed}`
const ofAudit =
  (...paths: readonly string[]) =>
  (of: Objects) =>
    paths.map((path) => ({ path: `/audit/${of.bank}/${path}` }))
const ledger = (file: string) => at(`/ledger/${b}/${file}`)

/** Every operation of openapi.yaml. One that is not here fails the walk: say how it is tried. */
const ways: Readonly<Record<string, Way>> = {
  getMetadata: { by: 'anyone', probes: at('/.well-known/oauth-authorization-server') },
  getConsentedResource: {
    by: 'anyone',
    probes: at('/.well-known/oauth-protected-resource/fdx/v6'),
  },
  getOwnResource: { by: 'anyone', probes: at('/.well-known/oauth-protected-resource') },
  getJwks: { by: 'anyone', probes: at('/oauth/jwks') },
  pushAuthorizationRequest: {
    by: 'client',
    probes: (of) =>
      [
        { grant_management_action: 'replace', grant_id: of.consent, bank: a, page_id: undefined },
        { grant_management_action: 'replace', grant_id: of.consent, bank: b, page_id: undefined },
        { bank: a, page_id: of.pageId },
        { bank: b, page_id: of.pageId },
        { request_uri: of.requestUri, bank: a, page_id: undefined },
      ].map(({ bank, page_id, ...form }) => ({
        path: '/oauth/par',
        form: {
          ...form,
          response_type: 'code',
          redirect_uri: redirectUri,
          code_challenge: sha256(verifier),
          code_challenge_method: 'S256',
          authorization_details: JSON.stringify([details({ bank, page_id })]),
        },
      })),
  },
  authorize: {
    by: 'anyone',
    varies: true,
    probes: (of) =>
      [cast.recipient, cast.ofB].map(({ id }) => ({
        path: `/oauth/authorize?${new URLSearchParams({ client_id: id, request_uri: of.requestUri })}`,
      })),
  },
  issueToken: {
    by: 'client',
    // Whoever shows 256 bits that are another's is told so, and the attempt is in that bank's ledger.
    mayTell: ['error_description'],
    probes: (of) => [
      {
        path: '/oauth/token',
        form: {
          ...{ grant_type: 'authorization_code', code: of.code },
          ...{ redirect_uri: redirectUri, code_verifier: verifier },
        },
      },
      {
        path: '/oauth/token',
        form: { grant_type: 'refresh_token', refresh_token: of.refreshToken },
      },
    ],
  },
  introspectToken: {
    by: 'client',
    probes: (of) =>
      [of.accessToken, of.refreshToken, of.code].map((token) => ({
        path: '/oauth/introspect',
        form: { token },
      })),
  },
  revokeToken: {
    by: 'client',
    probes: (of) =>
      [of.accessToken, of.refreshToken, of.code].map((token) => ({
        path: '/oauth/revoke',
        form: { token },
      })),
  },
  getGrant: { by: 'token', probes: ofConsent((id) => `/oauth/grants/${id}`) },
  revokeGrant: { by: 'token', probes: ofConsent((id) => `/oauth/grants/${id}`) },
  listAccounts: { by: 'token', probes: at('/fdx/v6/accounts') },
  getAccount: { by: 'token', probes: (of) => [{ path: `/fdx/v6/accounts/${of.account}` }] },
  listTransactions: {
    by: 'token',
    probes: (of) => [{ path: `/fdx/v6/accounts/${of.account}/transactions` }],
  },
  getConsent: { by: 'token', probes: ofConsent((id) => `/fdx/v6/consents/${id}`) },
  revokeConsent: {
    by: 'token',
    probes: (of) =>
      ['USER_ACTION', 'BUSINESS_RULE'].map((reason) => ({
        path: `/fdx/v6/consents/${of.consent}/revocation`,
        json: { reason, initiator: 'INDIVIDUAL' },
      })),
  },
  listRevocations: {
    by: 'token',
    probes: ofConsent((id) => `/fdx/v6/consents/${id}/revocation`),
  },
  searchConsents: {
    by: 'token',
    probes: (of) =>
      [
        {},
        { consentId: of.consent },
        { interactionId: of.interaction },
        { sub: of.sub },
        { recipient: cast.ofB.id },
        { pageKey: of.pageKey },
        { bank: b },
        { consentId: of.consent, sub: of.sub, interactionId: of.interaction, state: 'active' },
      ].map((query) => ({ path: `/consents?${new URLSearchParams(query)}` })),
  },
  getTimeline: { by: 'token', probes: ofConsent((id) => `/consents/${id}/timeline`) },
  createDelivery: {
    by: 'token',
    probes: () => [{ path: '/deliveries', json: { clusters: ['BALANCES'] } }],
  },
  openPointer: { by: 'anyone', varies: true, probes: (of) => [{ path: `/d/${of.pointer}` }] },
  openConnections: { by: 'anyone', varies: true, probes: at('/connections') },
  openConsole: { by: 'anyone', varies: true, probes: at('/console', `/console/${b}`) },
  returnFromStaffLogin: {
    by: 'anyone',
    varies: true,
    probes: at(`/console/callback/${b}`, `/console/callback/${b}?code=bea&state=any`),
  },
  readPolicy: { by: 'anyone', probes: at('/policy') },
  returnFromBank: {
    by: 'anyone',
    varies: true,
    probes: at(`/banks/${b}/callback`, `/banks/${b}/callback?code=bea&state=any`),
  },
  getCheckpoint: { by: 'anyone', probes: ledger('checkpoint') },
  getTile: { by: 'anyone', probes: ledger('tile/0/000.p/2') },
  getEntries: {
    by: 'token',
    probes: () => [entriesPath(), `/ledger/${b}/tile/entries/000`].map((path) => ({ path })),
  },
  listStatements: {
    by: 'token',
    probes: (of) => [{ path: `/ledger/${of.bank}/statements` }],
  },
  postStatement: {
    by: 'token',
    probes: (of) => [
      { path: `/ledger/${of.bank}/statements`, json: { statement: 'a.b.c', interactions: [] } },
    ],
  },
  getProof: { by: 'anyone', probes: ledger('proof/1') },
  getWitnesses: { by: 'anyone', probes: ledger('witnesses') },
  getSummary: { by: 'anyone', probes: ledger('summary') },
  getRangeSum: { by: 'token', probes: ledger('sum?from_index=0&to_index=1') },
  getEntrySum: { by: 'token', probes: ledger('sum/1') },
  getPolicy: { by: 'anyone', probes: ledger('policy') },
  getAuditGrant: { by: 'token', probes: ofAudit('grant') },
  getReport: {
    by: 'token',
    probes: ofAudit('report?from=2026-01-01T00:00:00Z&to=2999-01-01T00:00:00Z'),
  },
  exportEntries: { by: 'token', probes: ofAudit('export', 'export?format=csv') },
  getExport: { by: 'token', probes: ofAudit(`exports/${random128()}`) },
  getExportManifest: { by: 'token', probes: ofAudit(`exports/${random128()}/manifest`) },
  getExportProof: { by: 'token', probes: ofAudit(`exports/${random128()}/proof`) },
  getAuditedEntry: { by: 'token', probes: ofAudit('entries/0', 'entries/99999') },
  getConsistency: { by: 'token', probes: ofAudit('consistency?from=1') },
  getSeries: {
    by: 'token',
    probes: ofAudit('series?from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z'),
  },
  queryEntries: { by: 'token', probes: ofAudit('entries', 'entries?kind=release') },
  // The register is the operator's, and recipients are every bank's to approve. What a bank says of them is its own.
  listRecipients: { by: 'token', probes: at('/registry/recipients') },
  getRecipient: { by: 'token', probes: () => [{ path: `/registry/recipients/${cast.ofB.id}` }] },
  registerRecipient: { by: 'token', probes: () => [{ path: '/registry/recipients', json: {} }] },
  disableRecipient: {
    by: 'token',
    exceptFor: ['operator'],
    probes: () => [{ path: `/registry/recipients/${cast.ofB.id}/disablement` }],
  },
  listClients: { by: 'token', probes: at('/registry/clients') },
  getClient: { by: 'token', probes: () => [{ path: `/registry/clients/${cast.bankB.id}` }] },
  registerClient: { by: 'token', probes: () => [{ path: '/registry/clients', json: {} }] },
  disableClient: {
    by: 'token',
    exceptFor: ['operator'],
    probes: () => [{ path: `/registry/clients/${cast.bankB.id}/disablement` }],
  },
  listBanks: { by: 'token', probes: at('/registry/banks') },
  listApprovals: {
    by: 'token',
    exceptFor: ['operator'],
    probes: (of) => [{ path: `/registry/banks/${of.bank}/approvals` }],
  },
  approveRecipient: {
    by: 'token',
    exceptFor: ['operator'],
    probes: (of) => [{ path: `/registry/banks/${of.bank}/approvals`, json: { jws: 'a.b.c' } }],
  },
  getApproval: {
    by: 'token',
    exceptFor: ['operator'],
    probes: (of) => [{ path: `/registry/banks/${of.bank}/recipients/${cast.ofB.id}` }],
  },
  suspendRecipient: {
    by: 'token',
    exceptFor: ['operator'],
    probes: (of) => [{ path: `/registry/banks/${of.bank}/recipients/${cast.ofB.id}/suspension` }],
  },
  getHealth: { by: 'anyone', varies: true, probes: at('/health') },
  getMetrics: { by: 'anyone', varies: true, probes: at('/metrics') },
}

let oauth: AuthorizationApp
let signing: NodeJS.Timeout
let broker: Broker
let app: Express
let cast: Cast
/** What is B's, and what could be and never was. */
let real: Objects
let never: Objects
/** How many entries of B's are signed; the ledger goes on while the walk's attempts are refused. */
let signed: number
/** Values that only B, and those it deals with, may see. */
let secrets: readonly string[]

interface Cast {
  readonly recipient: TestClient
  readonly bank: TestClient
  readonly auditor: TestClient
  readonly operator: TestClient
  /** A recipient that has consents at B alone, and B's own back end. */
  readonly ofB: TestClient
  readonly bankB: TestClient
}

const scopes = {
  recipient: ['grant_management_query', 'grant_management_revoke'],
  bank: ['consents:read', 'consents:revoke', 'ledger:read', 'registry:approve', 'statements:write'],
  auditor: ['audit:read', 'ledger:read'],
  operator: ['registry:read', 'registry:write'],
}

beforeAll(async () => {
  oauth = await authorizationApp()
  broker = { ...oauth.broker, bankPort: { ...fakeBanks(), banks: oauth.broker.bankPort.banks } }
  app = createApp(broker, oauth.authorization, openLog('silent'))
  cast = {
    recipient: await oauth.client({ scopes: scopes.recipient }),
    bank: await oauth.client({ kind: 'bank', scopes: scopes.bank }),
    auditor: await oauth.client({ kind: 'auditor', scopes: scopes.auditor }),
    operator: await oauth.client({ kind: 'operator', scopes: scopes.operator }),
    ofB: await oauth.client({ bank: b, scopes: scopes.recipient }),
    bankB: await oauth.client({ bank: b, kind: 'bank', scopes: scopes.bank }),
  }
  await grantAudit(broker, a, {
    ...{ kind: 'client', auditor: cast.auditor.id, grantedBy: 'the compliance desk' },
    until: new Date(Date.now() + 3_600_000).toISOString(),
  })
  // A's ledger is signed as it grows, so that A reads what is its own; B's stands still, to be compared.
  signing = setInterval(() => void broker.signer.sign(a), 500)
  await broker.signer.sign(b)
  const made = await makeObjects()
  real = made.objects
  signed = await signedSize(broker.db, b)
  const { bank: _, pageId: __, ...named } = real // which are no secrets: everyone deals with them
  secrets = [...Object.values(named), ...made.others]
  never = {
    consent: routed(b, random128()),
    account: random128(),
    accessToken: foreignToken(),
    refreshToken: routed(b, random256()),
    code: routed(b, random256()),
    requestUri: `urn:ietf:params:oauth:request_uri:${routed(b, random256())}`,
    pageId: 'page.of-nobody',
    pointer: (random256() + random256()).slice(0, 54),
    interaction: randomUUID(),
    sub: random128(),
    pageKey: random256() + random256() + random256(),
    bank: 'never-bank',
  }
})

afterAll(async () => {
  clearInterval(signing)
  await broker.signer.sign(a)
  await oauth.close()
})

/** A token like ours, of another issuer. */
function foreignToken(): string {
  const signer = newSigner('ES256')
  return signer.sign({ header: { alg: 'ES256', typ: 'at+jwt', kid: 'x' }, claims: { exp: 1 } })
}

function details({ bank, page_id }: { bank: string; page_id: string | undefined }): object {
  const { recipient } = cast
  const profile = { page_id: page_id ?? `page.${recipient.id}`, psid: '1', display_name: 'Ana' }
  return recipient.details({ bank, profile })
}

const ofCustomer = (delivery: string) => ({
  bank: b,
  delivery,
  profile: { page_id: `page.${cast.ofB.id}`, psid: 'psid-of-bea', display_name: 'Bea of B' },
})

async function makeObjects(): Promise<{ objects: Objects; others: string[] }> {
  const { ofB, bankB } = cast
  const interaction = randomUUID()
  const headers = { 'x-fapi-interaction-id': interaction }
  const first = await ofB.redeem(await ofB.code({ details: ofCustomer('in_thread'), headers }))
  const { access_token: accessToken, refresh_token: refreshToken, grant_id: consent } = first.body
  const linkOut = await ofB.redeem(await ofB.code({ details: ofCustomer('link_out') }))
  const delivery = await send(ofB, {
    ...{ method: 'post', path: '/deliveries', json: { clusters: ['BALANCES'] } },
    token: linkOut.body.access_token,
  })
  const code = await ofB.code({ details: ofCustomer('in_thread') })
  const pushed = await ofB.push({
    authorization_details: JSON.stringify([ofB.details(ofCustomer('in_thread'))]),
  })
  await broker.signer.sign(b)
  await send(ofB, { method: 'get', path: '/fdx/v6/accounts', token: accessToken })
  await broker.signer.sign(b)
  const search = await send(bankB, {
    ...{ method: 'get', path: '/consents?limit=1' },
    token: await tokenOf(bankB, 'consents:read'),
  })
  const found = await findConsent(broker.db, b, consent)
  const accounts = found && 'terms' in found.consent ? found.consent.terms.accounts : []
  const [link] = await inBank(broker.db, b, async (tx) => {
    const answer = await tx.raw<{ rows: { id: string; bank_sub: string }[] }>(
      'select id, bank_sub from links where id = ?',
      [found?.linkId ?? ''],
    )
    return answer.rows
  })
  const salts = (await entriesOf(broker, b)).flatMap(({ body }) =>
    'payload' in body ? [body.payload] : [],
  )
  return {
    objects: {
      ...{ consent, accessToken, refreshToken, code, interaction },
      account: String(accounts[0]),
      requestUri: pushed.body.request_uri,
      pageId: `page.${ofB.id}`,
      pointer: String(delivery.body.pointer_url).split('/').at(-1) ?? '',
      sub: String(found?.recipientSub),
      pageKey: search.body.page.nextPageKey,
      bank: b,
    },
    others: [
      ...[linkOut.body.grant_id, linkOut.body.access_token, String(accounts[1])],
      ...['psid-of-bea', 'Bea of B', String(link?.id), String(link?.bank_sub), ...salts],
    ],
  }
}

async function tokenOf(client: TestClient, scope: string): Promise<string> {
  const { body } = await client.token({ grant_type: 'client_credentials', scope }).expect(200)
  return body.access_token
}

type Method = 'get' | 'put' | 'post' | 'delete'

/** A request to the whole server: with a token and its proof, as a client that authenticates, or as nobody. */
function send(
  by: TestClient | undefined,
  { method, path, token, form, json }: Probe & { method: Method; token?: string },
): supertest.Test {
  const sent = supertest(app)[method](path)
  const proof = (claims: object) =>
    by?.proof({ path: path.split('?')[0] ?? '', claims: { htm: method.toUpperCase(), ...claims } })
  if (token !== undefined)
    void sent.set({ Authorization: `DPoP ${token}`, DPoP: proof({ ath: sha256(token) }) ?? '' })
  if (form === undefined) return json === undefined ? sent : sent.send(json)
  if (by !== undefined) void sent.set('DPoP', proof({}) ?? '')
  return sent.type('form').send({ ...form, ...(by && authentication(by)) })
}

const authentication = (by: TestClient) => ({
  client_id: by.id,
  client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
  client_assertion: by.assertion(),
})

/** Of another value at each answer, whatever it tells. */
const volatile = [
  ...['date', 'etag', 'content-length', 'x-fapi-interaction-id', 'dpop-nonce', 'ratelimit'],
  ...['connection', 'keep-alive', 'countersign-entry'],
]

function told({ status, headers, text, body }: Response, { mayTell = [] }: Way) {
  const kept = Object.entries(headers).filter(([name]) => !volatile.includes(name))
  const parsed =
    typeof body === 'object' && !Buffer.isBuffer(body)
      ? JSON.stringify(body, (name, value) => (mayTell.includes(name) ? '' : value))
      : text
  return { status, headers: Object.fromEntries(kept), body: parsed === '{}' ? text : parsed }
}

/** Everything of an answer, as text. */
const wholeOf = ({ headers, text, body }: Response): string =>
  [
    JSON.stringify(headers),
    text ?? '',
    Buffer.isBuffer(body) ? body.toString('latin1') : JSON.stringify(body),
  ].join('\n')

/** No secret of B's, but what the request itself said, or what anyone is told who sends it. */
function expectNoSecret(answer: Response, known: readonly string[]): void {
  const whole = wholeOf(answer)
  const seen = secrets.filter((secret) => whole.includes(secret))
  expect(seen.filter((secret) => !known.some((text) => text.includes(secret)))).toEqual([])
}

/** Tokens that A's clients have, and B's own in A's hands, with whose key they are shown. */
async function credentials(): Promise<{ name: string; by: TestClient; token: string }[]> {
  const { recipient, bank, auditor, operator } = cast
  const own = async (name: keyof typeof scopes) => ({
    ...{ name, by: cast[name] },
    token: await tokenOf(cast[name], scopes[name].join(' ')),
  })
  const consent = await recipient.redeem(await recipient.code()).expect(200)
  return [
    ...(await Promise.all([own('recipient'), own('bank'), own('auditor'), own('operator')])),
    { name: 'consent at A', by: recipient, token: consent.body.access_token },
    ...[recipient, bank, auditor, operator].map((by) => ({
      ...{ name: `B's token`, by },
      token: real.accessToken,
    })),
  ]
}

const operations = openContract().operations

it('the walk knows every operation, and no other', () => {
  expect(Object.keys(ways).toSorted()).toEqual(operations.map(({ id }) => id).toSorted())
})

describe("bank A's credentials see nothing of bank B", () => {
  it.each(operations.map(({ id, method }) => ({ id, method: method as Method })))(
    'at $id',
    async ({ id, method }) => {
      const way = ways[id]
      if (way === undefined) throw new Error(`say in this test how ${id} is tried`)
      const [own, unknown] = [way.probes(real), way.probes(never)]
      expect(own.length).toBeGreaterThan(0)
      for (const [i, probe] of own.entries()) {
        const other = unknown[i] ?? probe
        const said = decodeURIComponent(JSON.stringify(probe))
        if (way.by === 'client')
          for (const by of [cast.recipient, cast.bank, cast.auditor, cast.operator]) {
            const answer = await send(by, { method, ...probe })
            expectNoSecret(answer, [said])
            expect(told(answer, way)).toEqual(told(await send(by, { method, ...other }), way))
          }
        else
          for (const { name, by, token } of await credentials()) {
            if (way.exceptFor?.some((one) => one === name)) continue
            const answer = await send(by, { method, token, ...probe })
            const compared =
              way.by === 'anyone'
                ? await send(undefined, { method, ...probe })
                : await send(by, { method, token, ...other })
            expectNoSecret(answer, way.by === 'anyone' ? [said, wholeOf(compared)] : [said])
            if (way.varies) expect(answer.status).toBe(compared.status)
            else expect({ name, ...told(answer, way) }).toEqual({ name, ...told(compared, way) })
            if (name === `B's token` && way.by === 'token') expect(answer.status).toBe(401)
          }
      }
    },
  )

  it('and have changed nothing of it', async () => {
    const { ofB, bankB } = cast
    expect((await findConsent(broker.db, b, real.consent))?.consent.state).toBe('active')
    await broker.signer.sign(b)
    const read = { method: 'get', path: '/fdx/v6/accounts', token: real.accessToken } as const
    await send(ofB, read).expect(200)
    const { refreshToken: refresh_token } = real
    await ofB.token({ grant_type: 'refresh_token', refresh_token }).expect(200)
    const token = await tokenOf(bankB, 'consents:read')
    const answer = await send(bankB, { method: 'get', path: '/consents', token }).expect(200)
    expect(answer.body.consents).toHaveLength(4)
  })

  it('while A sees what is its own', async () => {
    await broker.signer.sign(a)
    for (const { name, by, token } of await credentials()) {
      const path = { bank: '/consents', auditor: '/consents', 'consent at A': '/fdx/v6/accounts' }[
        name
      ]
      if (path !== undefined) await send(by, { method: 'get', path, token }).expect(200)
    }
  })

  it('while B sees what is its own', async () => {
    const token = await tokenOf(cast.bankB, 'consents:read ledger:read')
    for (const path of [
      `/fdx/v6/consents/${real.consent}`,
      `/consents/${real.consent}/timeline`,
      `/consents?pageKey=${real.pageKey}`,
      entriesPath(),
    ])
      await send(cast.bankB, { method: 'get', path, token }).expect(200)
    for (const query of [
      { consentId: real.consent },
      { interactionId: real.interaction },
      { sub: real.sub },
    ]) {
      const path = `/consents?${new URLSearchParams(query)}`
      const { body } = await send(cast.bankB, { method: 'get', path, token }).expect(200)
      expect(body.consents).toMatchObject([{ id: real.consent }])
    }
  })
})
