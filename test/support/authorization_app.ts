import { randomBytes } from 'node:crypto'
import express, { type Express } from 'express'
import supertest from 'supertest'
import {
  openAuthorization,
  type Authorization,
  type AuthorizationOptions,
} from '../../src/authorization/authorization.ts'
import { tokenKeysOf } from '../../src/authorization/keys.ts'
import { issueCode } from '../../src/authorization/code.ts'
import { approveRecipient } from '../../src/broker/approve_recipient.ts'
import type { Broker } from '../../src/broker/broker.ts'
import { grantConsent } from '../../src/broker/grant_consent.ts'
import { classes, type Class } from '../../src/consent/class.ts'
import { clusterNames } from '../../src/consent/cluster.ts'
import { authenticateResource } from '../../src/http/authenticate.ts'
import { openLimits, unlimited, type RateLimiting } from '../../src/http/limits.ts'
import { oauthRoutes } from '../../src/http/oauth_routes.ts'
import { problems } from '../../src/http/problem.ts'
import { openMetrics } from '../../src/observe/metrics.ts'
import { classOf, insertClient, usualSecurity, type Client } from '../../src/storage/clients.ts'
import { inBank } from '../../src/storage/database.ts'
import { findPushedRequest, type PushedRequest } from '../../src/storage/pushed_requests.ts'
import { testDatabase } from './database.ts'
import { newSigner, sha256, type Alg, type JwtParts, type Signer } from './jwt.ts'
import { testBank, testBroker } from './test_broker.ts'

export const purpose = 'https://w3id.org/dpv#RequestedServiceProvision'
export const redirectUri = 'https://recipient.example/callback'
export const verifier = 'v'.repeat(43)

type Form = Record<string, string | undefined>

/** The authorization server and one protected resource, `/fdx/v6/probe`, over a real database, with a clock of its own. */
export interface AuthorizationApp {
  readonly app: Express
  readonly broker: Broker
  readonly authorization: Authorization
  readonly bank: string
  /** The database, as its owner. */
  readonly ownerUrl: string
  /** Moves the broker's clock, for good. */
  advance(seconds: number): void
  /** A registered client; a recipient of a class that may receive is approved by the banks. */
  client(options?: ClientOptions): Promise<TestClient>
  /** Lets a customer approve what was pushed; returns the id of the active consent. */
  grant(pushed: PushedRequest, customer?: string): Promise<string>
  /** Rows of the bank's tables, by SQL that names no bank. */
  rows(sql: string): Promise<Record<string, unknown>[]>
  close(): Promise<void>
}

export interface ClientOptions {
  /** The bank that it acts for, or asks about; the first one. */
  readonly bank?: string
  readonly kind?: Client['kind']
  readonly class?: Class
  readonly alg?: Alg
  readonly scopes?: readonly string[]
  readonly approved?: boolean
  readonly proofAlg?: Alg
  readonly signedRequests?: boolean
  /** How it authenticates and what its tokens are bound to, when it is not `usualSecurity`. */
  readonly security?: Partial<
    Pick<Client, 'authentication' | 'binding' | 'jwks' | 'jwksUri' | 'signedRequests'>
  >
}

/** A client that does everything right, unless a test says otherwise: a member set to undefined is left out. */
export interface TestClient {
  readonly id: string
  readonly registered: Client
  readonly signer: Signer
  readonly proofSigner: Signer
  assertion(parts?: JwtParts): string
  proof(parts?: JwtParts & { path?: string; signer?: Signer }): string
  /** What is pushed by default: 90 days of all data, read in the thread. */
  details(change?: object): object
  parForm(form?: Form): Form
  /** A signed request object for what is pushed by default. */
  requestObject(parts?: JwtParts & { signer?: Signer }): string
  /** Pushes a request object, and other parameters than those of the client's authentication only as `form` says. */
  pushObject(object: string, form?: Form): supertest.Test
  push(form?: Form, headers?: Record<string, string>): supertest.Test
  token(form: Form, headers?: Record<string, string | undefined>): supertest.Test
  /** A form to an endpoint at which clients authenticate. */
  post(path: string, form: Form, headers?: Record<string, string>): supertest.Test
  introspect(token: string, form?: Form, headers?: Record<string, string>): supertest.Test
  /** Asks for a token's revocation. */
  end(token: string, form?: Form): supertest.Test
  /** A granted consent's code: pushes, and lets the customer approve. */
  code(options?: {
    form?: Form
    details?: object
    headers?: Record<string, string>
    customer?: string
  }): Promise<string>
  redeem(code: string, form?: Form, headers?: Record<string, string | undefined>): supertest.Test
  /** A call with a token, and a good proof for it. */
  call(
    method: 'get' | 'delete' | 'post',
    path: string,
    token: string,
    parts?: JwtParts & { signer?: Signer },
  ): supertest.Test
}

export async function authorizationApp({
  limiting = unlimited,
  ...options
}: { limiting?: RateLimiting } & Pick<
  AuthorizationOptions,
  'mtls' | 'keySets'
> = {}): Promise<AuthorizationApp> {
  const database = await testDatabase()
  const bank = testBank('first-bank')
  const banks = [bank, testBank('other-bank')]
  const inner = await testBroker(database.serviceUrl, { banks })
  let ahead_ms = 0
  const broker: Broker = {
    ...inner,
    classOf: (client) => classOf(inner.db, client),
    now: () => Date.now() + ahead_ms,
  }
  const authorization = openAuthorization(broker, {
    keys: tokenKeysOf([newSigner('ES256').privateJwk]),
    nonceKey: randomBytes(32),
    ...options,
  })
  const app = express()
  app.use(oauthRoutes({ broker, authorization, limits: openLimits(limiting, openMetrics()) }))
  app.all('/fdx/v6/probe', async (req, res) => {
    res.json(await authenticateResource(broker, authorization, req))
  })
  app.use(problems(broker.issuer))
  const server: Server = { app, broker, authorization, bank: bank.id }
  return {
    ...server,
    ownerUrl: database.ownerUrl,
    advance(seconds) {
      ahead_ms += seconds * 1000
    },
    async client(options = {}) {
      const made = await makeClient(server, options)
      const registered = made.registered
      if (registered.kind !== 'recipient') return made
      if (options.approved ?? classes[registered.class].mayReceive) {
        const claims = { recipient: made.id, class: registered.class, purposes: [purpose] }
        const clusters = clusterNames.filter((name) => name !== 'FRAUD_ALERTS')
        for (const { id, approve } of banks)
          await approveRecipient(broker, { bank: id, jws: approve({ ...claims, clusters }) })
      }
      return made
    },
    grant: (pushed, customer) => grantPushed(broker, pushed, customer),
    rows: (sql) =>
      inBank(inner.db, bank.id, async (tx) => {
        const found = await tx.raw<{ rows: Record<string, unknown>[] }>(sql)
        return found.rows
      }),
    async close() {
      await inner.close()
      await database.drop()
    },
  }
}

interface Server {
  readonly app: Express
  readonly broker: Broker
  readonly authorization: Authorization
  readonly bank: string
}

async function makeClient(server: Server, options: ClientOptions): Promise<TestClient> {
  const { app, broker, authorization } = server
  const { kind = 'recipient', scopes = [], bank = server.bank } = options
  const id = `client-${randomBytes(6).toString('hex')}`
  const signer = newSigner(options.alg ?? 'ES256')
  const proofSigner = newSigner(options.proofAlg ?? 'ES256')
  const registered: Client = {
    id,
    legalName: 'Recipient, Inc.',
    lei: '7H6GLXDRUGQFU57RNE97',
    website: 'https://recipient.example',
    contacts: ['privacy@recipient.example'],
    ...(options.security?.jwksUri === undefined
      ? { jwks: { keys: [{ ...signer.publicJwk, kid: 'one' }] } }
      : {}),
    ...usualSecurity,
    signedRequests: options.signedRequests ?? false,
    ...options.security,
    redirectUris: [redirectUri],
    scopes,
    ...partOf(kind, { id, bank, class: options.class ?? 'messaging_platform' }),
  }
  await insertClient(broker.db, registered)
  const seconds = () => Math.floor(broker.now() / 1000)
  const nonce = () => authorization.nonces.current(broker.now())

  const client: TestClient = {
    id,
    registered,
    signer,
    proofSigner,
    assertion: ({ header, claims } = {}) =>
      signer.sign({
        header: { alg: signer.alg, kid: 'one', ...header },
        claims: {
          iss: id,
          sub: id,
          aud: broker.issuer,
          jti: randomBytes(16).toString('hex'),
          iat: seconds(),
          exp: seconds() + 60,
          ...claims,
        },
      }),
    proof: ({ header, claims, path = '/oauth/token', signer: by = proofSigner } = {}) =>
      by.sign({
        header: { typ: 'dpop+jwt', alg: by.alg, jwk: by.publicJwk, ...header },
        claims: {
          jti: randomBytes(16).toString('hex'),
          htm: 'POST',
          htu: broker.issuer + path,
          iat: seconds(),
          nonce: nonce(),
          ...claims,
        },
      }),
    details: (change = {}) => ({
      type: 'fdx_v1.0',
      consentRequest: {
        durationType: 'TIME_BOUND',
        durationPeriod: 90,
        lookbackPeriod: 90,
        resources: [
          { resourceType: 'ACCOUNT', dataClusters: ['TRANSACTIONS', 'ACCOUNT_BASIC', 'BALANCES'] },
        ],
      },
      bank,
      purpose,
      delivery: 'in_thread',
      profile: { page_id: `page.${id}`, psid: '9876543210', display_name: 'Alice Example' },
      ...change,
    }),
    parForm: (form = {}) => ({
      ...authenticated(client),
      response_type: 'code',
      redirect_uri: redirectUri,
      code_challenge: sha256(verifier),
      code_challenge_method: 'S256',
      authorization_details: JSON.stringify([client.details()]),
      state: 'a-state',
      ...form,
    }),
    push: (form, headers = {}) =>
      supertest(app)
        .post('/oauth/par')
        .set(headers)
        .type('form')
        .send(sent(client.parForm(form))),
    requestObject({ header = {}, claims = {}, signer: by = signer } = {}) {
      const {
        client_id: _,
        client_assertion: __,
        client_assertion_type: ___,
        ...asked
      } = client.parForm()
      return by.sign({
        header: { alg: by.alg, kid: 'one', typ: 'oauth-authz-req+jwt', ...header },
        claims: {
          ...asked,
          authorization_details: [client.details()],
          iss: id,
          client_id: id,
          aud: broker.issuer,
          nbf: seconds(),
          exp: seconds() + 300,
          ...claims,
        },
      })
    },
    pushObject: (object, form = {}) =>
      supertest(app)
        .post('/oauth/par')
        .type('form')
        .send(sent({ ...authenticated(client), request: object, ...form })),
    token: (form, headers = {}) =>
      supertest(app)
        .post('/oauth/token')
        .set(sent({ DPoP: client.proof(), ...headers }))
        .type('form')
        .send(sent({ ...authenticated(client), ...form })),
    post: (path, form, headers = {}) =>
      supertest(app)
        .post(path)
        .set(headers)
        .type('form')
        .send(sent({ ...authenticated(client), ...form })),
    introspect: (token, form = {}, headers = {}) =>
      client.post('/oauth/introspect', { token, ...form }, headers),
    end: (token, form = {}) => client.post('/oauth/revoke', { token, ...form }),
    code: (options = {}) => approvedCode(server, client, options),
    redeem: (code, form = {}, headers = {}) =>
      client.token(
        {
          grant_type: 'authorization_code',
          code,
          redirect_uri: redirectUri,
          code_verifier: verifier,
          ...form,
        },
        headers,
      ),
    call(method, path, token, { header = {}, claims = {}, signer: by = proofSigner } = {}) {
      const proof = client.proof({
        path,
        signer: by,
        header,
        claims: { htm: method.toUpperCase(), ath: sha256(token), ...claims },
      })
      const call = supertest(app)[method](path)
      return call.set({ Authorization: `DPoP ${token}`, DPoP: proof })
    },
  }
  return client
}

/** What each kind of client is registered with. */
function partOf(kind: Client['kind'], of: { id: string; bank: string; class: Class }) {
  if (kind === 'recipient') return { kind, class: of.class, pages: [`page.${of.id}`] }
  return kind === 'bank' || kind === 'auditor' ? { kind, bank: of.bank } : { kind }
}

const authenticated = (client: TestClient): Form => ({
  client_id: client.id,
  client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
  client_assertion: client.assertion(),
})

/** Leaves out what a test has set to undefined. */
const sent = (members: Record<string, string | undefined>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(members).filter((member): member is [string, string] => member[1] !== undefined),
  )

async function approvedCode(
  { broker }: Server,
  client: TestClient,
  {
    form = {},
    details = {},
    headers,
    customer,
  }: { form?: Form; details?: object; headers?: Record<string, string>; customer?: string },
): Promise<string> {
  const authorization_details = JSON.stringify([client.details(details)])
  const { body } = await client.push({ authorization_details, ...form }, headers).expect(201)
  const pushed = await findPushedRequest(broker.db, broker.vault, {
    clientId: client.id,
    requestUri: body.request_uri,
  })
  if (pushed === undefined) throw new Error('what was pushed is not there')
  return issueCode(broker, pushed, await grantPushed(broker, pushed, customer))
}

/**
 * A customer approves: one of its own for each that is not named, so that no consent is the renewal of another. Returns the
 * active consent.
 */
async function grantPushed(
  broker: Broker,
  pushed: PushedRequest,
  customer = randomBytes(8).toString('hex'),
): Promise<string> {
  const { consentId } = await grantConsent(broker, {
    bank: pushed.bank,
    consentId: pushed.consentId,
    ...(pushed.replaces === undefined ? {} : { replaces: pushed.replaces }),
    profile: pushed.profile,
    login: {
      subject: customer,
      idToken: 'signed by the bank',
      tokens: { access_token: 'at', refresh_token: 'rt', expires: broker.now() + 600_000 },
    },
    termsSalt: sha256('salt'),
    termsCommitment: sha256('terms'),
    accounts: [
      { bankAccountId: 'account-1', display: 'Checking ••1234' },
      { bankAccountId: 'account-2', display: 'Savings ••5678' },
    ],
    disclosure: { version: '1', language: 'en', text: 'disclosure' },
  })
  return consentId
}
