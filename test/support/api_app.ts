import { randomBytes } from 'node:crypto'
import type { Express } from 'express'
import supertest from 'supertest'
import { mintAccessToken } from '../../src/authorization/access_token.ts'
import { openAuthorization, type Authorization } from '../../src/authorization/authorization.ts'
import { tokenKeysOf } from '../../src/authorization/keys.ts'
import { approveRecipient } from '../../src/broker/approve_recipient.ts'
import type { Broker } from '../../src/broker/broker.ts'
import { grantAudit } from '../../src/broker/grant_audit.ts'
import { grantConsent } from '../../src/broker/grant_consent.ts'
import { scopeOf } from '../../src/consent/cluster.ts'
import type { RequestedTerms } from '../../src/consent/terms.ts'
import { createApp } from '../../src/http/app.ts'
import type { RateLimiting } from '../../src/http/limits.ts'
import { consentOf, readEntry, type Entry } from '../../src/ledger/entry.ts'
import { openLog, type Log, type RequestEvent } from '../../src/observe/log.ts'
import { classOf, insertClient, usualSecurity, type Client } from '../../src/storage/clients.ts'
import { findConsent, insertRequested } from '../../src/storage/consents.ts'
import { inBank } from '../../src/storage/database.ts'
import { random128, routed } from '../../src/storage/ids.ts'
import { findLedger, readLeaves } from '../../src/storage/ledgers.ts'
import { contractCheck } from './contract_check.ts'
import { checking, fakeBanks, savings, type FakeBanks } from './fake_banks.ts'
import { newSigner, sha256 } from './jwt.ts'
import { testBank, testBroker, type TestBank, type TestBroker } from './test_broker.ts'

export const bank = 'first-bank'
export const otherBank = 'other-bank'
export const recipient = 'messenger'
const purpose = 'https://w3id.org/dpv#RequestedServiceProvision'

/** Their auditors, who may read nothing yet. */
const auditors: Readonly<Record<string, string>> = {
  [bank]: 'auditor',
  [otherBank]: 'other-auditor',
}

export type Method = 'get' | 'head' | 'put' | 'post' | 'delete'

/** The whole server over a real broker and database. Every answer to `call` is held against openapi.yaml. */
export interface ApiApp {
  readonly app: Express
  readonly broker: TestBroker
  readonly banks: FakeBanks
  /** A bank with the key that signs its approvals. */
  signing(ofBank: string): TestBank
  /** What was logged of requests. */
  readonly events: RequestEvent[]
  readonly log: Log
  /** An active consent, with its handles of the checking and the savings account, in this order. */
  consent(change?: Partial<RequestedTerms>, given?: Given): Promise<ActiveConsent>
  /** A token of the recipient under a consent. */
  consentToken(
    consent: Pick<ActiveConsent, 'id'>,
    change?: { clientId?: string; jti?: string },
  ): string
  /** A token of a client for itself. */
  clientToken(clientId: string, scope: string, ofBank?: string): string
  /** A token of a bank's auditor for itself, to whom an audit is granted by this. */
  auditorToken(scope: string, ofBank: string): Promise<string>
  /** A call, with a good proof when it has a token. */
  call(method: Method, path: string, token?: string): supertest.Test
  /** A bank's ledger, or what of it names one consent. */
  entries(ofBank: string, consentId?: string): Promise<Entry[]>
  /** The same server as another process would run it, with limits, and perhaps behind proxies at these addresses. */
  limited(limiting: RateLimiting, proxies?: readonly string[]): Pick<ApiApp, 'app' | 'call'>
  close(): Promise<void>
}

/** Who grants, and which grant is replaced; else somebody new grants something new. */
export interface Given {
  readonly customer?: string
  readonly replaces?: string
}

export interface ActiveConsent {
  readonly id: string
  readonly checking: string
  readonly savings: string
}

/**
 * `issuer`: where it is served, if a browser is to come; `loginUrl`: where banks send browsers to log in; `opened`: when the ledgers
 * were opened and recipients approved, milliseconds since the epoch, if not now.
 */
export async function apiApp(
  serviceUrl: string,
  {
    issuer = 'https://broker.example',
    loginUrl,
    opened,
  }: { issuer?: string; loginUrl?: string; opened?: number } = {},
): Promise<ApiApp> {
  const banks = fakeBanks(loginUrl)
  const signing = testBank(bank)
  const other = testBank(otherBank)
  const inner = await testBroker(serviceUrl, {
    banks: [signing, other],
    bankPort: banks,
    ...(opened === undefined ? {} : { now: () => opened }),
  })
  const broker = {
    ...{ ...inner, issuer, now: Date.now },
    classOf: (client: string) => classOf(inner.db, client),
  }
  await register(broker)
  for (const id of [recipient, 'other-recipient'])
    await approveRecipient(
      { ...broker, issuer: inner.issuer },
      {
        bank,
        jws: signing.approve({
          ...{ recipient: id, class: 'messaging_platform', purposes: [purpose] },
          clusters: ['ACCOUNT_BASIC', 'BALANCES', 'TRANSACTIONS'],
          ...(opened === undefined ? {} : { iat: Math.floor(opened / 1000) }),
        }),
      },
    )
  const authorization = openAuthorization(broker, {
    keys: tokenKeysOf([newSigner('ES256').privateJwk]),
    nonceKey: randomBytes(32),
  })
  const events: RequestEvent[] = []
  const log: Log = { ...openLog('silent'), request: (event) => void events.push(event) }
  const app = createApp(broker, authorization, log)
  const client = clientOf(broker, authorization)
  return {
    ...{ app, broker, banks, events, log, ...client },
    signing: (ofBank) => (ofBank === bank ? signing : other),
    async auditorToken(scope, ofBank) {
      const auditor = auditors[ofBank] ?? ''
      await grantAudit(broker, ofBank, {
        ...{ kind: 'client', auditor, grantedBy: 'the compliance desk' },
        until: new Date(Date.now() + 3_600_000).toISOString(),
      })
      return client.clientToken(auditor, scope, ofBank)
    },
    call: client.callOf(app),
    consent: (change = {}, given = {}) => activeConsent(broker, change, given),
    entries: (ofBank, consentId) => entriesOf(broker, ofBank, consentId),
    limited(limiting, proxies = []) {
      const mtls = {
        ...authorization.mtls,
        proxies: { have: (one: string) => proxies.includes(one) },
      }
      const other = createApp(broker, { ...authorization, mtls }, log, { limiting })
      return { app: other, call: client.callOf(other) }
    },
    close: () => inner.close(),
  }
}

async function register(broker: TestBroker): Promise<void> {
  const registered: Omit<Client, 'id' | 'kind' | 'class' | 'pages' | 'bank'> = {
    legalName: 'Harbor Messaging, Inc.',
    lei: '7H6GLXDRUGQFU57RNE97',
    website: 'https://recipient.example',
    contacts: ['privacy@recipient.example'],
    ...usualSecurity,
    redirectUris: [],
    scopes: [],
  }
  for (const id of [recipient, 'other-recipient'])
    await insertClient(broker.db, {
      ...registered,
      id,
      kind: 'recipient',
      class: 'messaging_platform',
      pages: [],
    })
  await insertClient(broker.db, {
    ...registered,
    id: 'ads',
    kind: 'recipient',
    class: 'advertising',
    pages: [],
  })
  for (const id of ['back-end', 'support'])
    await insertClient(broker.db, { ...registered, id, kind: 'bank', bank })
  for (const [ofBank, id] of Object.entries(auditors))
    await insertClient(broker.db, { ...registered, id, kind: 'auditor', bank: ofBank })
  for (const id of ['operator', 'stray'])
    await insertClient(broker.db, { ...registered, id, kind: 'operator' })
}

function clientOf(
  broker: TestBroker,
  authorization: Authorization,
): Pick<ApiApp, 'consentToken' | 'clientToken'> & { callOf(app: Express): ApiApp['call'] } {
  const prover = newSigner('ES256')
  const jkt = sha256(
    JSON.stringify({
      crv: prover.publicJwk.crv,
      kty: prover.publicJwk.kty,
      x: prover.publicJwk.x,
      y: prover.publicJwk.y,
    }),
  )
  const check = contractCheck()
  const base = { binding: { jkt }, lifetime_s: 300 }
  const proofOf = (method: string, path: string, token: string) =>
    prover.sign({
      header: { typ: 'dpop+jwt', alg: prover.alg, jwk: prover.publicJwk },
      claims: {
        jti: randomBytes(16).toString('hex'),
        htm: method.toUpperCase(),
        htu: broker.issuer + path,
        iat: Math.floor(broker.now() / 1000),
        nonce: authorization.nonces.current(broker.now()),
        ath: sha256(token),
      },
    })
  return {
    consentToken: ({ id }, { clientId = recipient, jti = random128() } = {}) =>
      mintAccessToken(
        authorization,
        {
          ...{ ...base, clientId, jti, sub: 'pairwise', bank: id.split('.')[0] ?? '' },
          ...{ scope: scopeOf(['ACCOUNT_BASIC', 'BALANCES', 'TRANSACTIONS']) },
          consent: { id, details: [] },
        },
        broker.now(),
      ),
    clientToken: (clientId, scope, ofBank) =>
      mintAccessToken(
        authorization,
        {
          ...{ ...base, clientId, jti: random128(), sub: clientId, scope },
          ...(ofBank === undefined ? {} : { bank: ofBank }),
        },
        broker.now(),
      ),
    callOf: (app) => (method, url, token) => {
      const [path = ''] = url.split('?')
      const sent = supertest(app)[method](url)
      if (token !== undefined)
        void sent.set({ Authorization: `DPoP ${token}`, DPoP: proofOf(method, path, token) })
      return sent.expect(({ status, type, headers, body }) => {
        if (method !== 'head') check(method, path, { status, type, headers, body })
      })
    },
  }
}

async function activeConsent(
  broker: TestBroker,
  change: Partial<RequestedTerms>,
  { customer = randomBytes(8).toString('hex'), replaces }: Given,
): Promise<ActiveConsent> {
  await broker.signer.sign(bank) // nobody else does here, and releases stop when nobody does
  const asked = routed(bank, random128())
  const requested: RequestedTerms = {
    ...{ recipient, bank, purpose, one_time: false, lookback_days: 90, duration_days: 90 },
    ...{ clusters: ['ACCOUNT_BASIC', 'BALANCES', 'TRANSACTIONS'], delivery: 'in_thread' },
    ...change,
  }
  await inBank(broker.db, bank, (tx) => insertRequested(tx, { id: asked, requested }))
  const { consentId: id } = await grantConsent(broker, {
    ...(replaces === undefined ? {} : { replaces }),
    ...{ bank, consentId: asked, termsSalt: sha256('salt'), termsCommitment: sha256('terms') },
    profile: { page_id: '1001', psid: customer, display_name: 'Ana Ortiz' },
    login: {
      subject: customer,
      idToken: 'signed by the bank',
      tokens: { access_token: customer, expires: broker.now() + 600_000 },
    },
    accounts: [checking, savings].map(({ accountId }) => ({
      bankAccountId: accountId,
      display: '',
    })),
    disclosure: { version: '1', language: 'en', text: 'disclosure' },
  })
  const consent = (await findConsent(broker.db, bank, id))?.consent
  const [first = '', second = ''] = consent && 'terms' in consent ? consent.terms.accounts : []
  return { id, checking: first, savings: second }
}

/** A bank's ledger, or what of it names one consent. */
export async function entriesOf(
  broker: Broker,
  ofBank: string,
  consentId?: string,
): Promise<Entry[]> {
  const size = (await findLedger(broker.db, ofBank))?.size ?? 0
  const leaves = await readLeaves(broker.db, ofBank, { from: 0, to: size })
  return leaves
    .map((leaf) => readEntry(leaf))
    .filter((entry) => consentId === undefined || consentOf(entry) === consentId)
}
