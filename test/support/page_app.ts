import { randomBytes } from 'node:crypto'
import express, { type Express } from 'express'
import { openAuthorization, type Authorization } from '../../src/authorization/authorization.ts'
import { tokenKeysOf } from '../../src/authorization/keys.ts'
import { approveRecipient } from '../../src/broker/approve_recipient.ts'
import type { StaffPort, StaffProvider } from '../../src/broker/bank_port.ts'
import type { Broker } from '../../src/broker/broker.ts'
import type { RequestedTerms } from '../../src/consent/terms.ts'
import { pageRoutes } from '../../src/http/page_routes.ts'
import { consentOf, readEntry, type Entry } from '../../src/ledger/entry.ts'
import { insertClient, usualSecurity } from '../../src/storage/clients.ts'
import { insertRequested } from '../../src/storage/consents.ts'
import { inBank } from '../../src/storage/database.ts'
import { random128, random256, routed } from '../../src/storage/ids.ts'
import { findLedger, readLeaves } from '../../src/storage/ledgers.ts'
import {
  insertPushedRequest,
  requestUriOf,
  type PushedRequest,
} from '../../src/storage/pushed_requests.ts'
import { testDatabase } from './database.ts'
import { fakeBanks, type FakeBanks } from './fake_banks.ts'
import { newSigner } from './jwt.ts'
import { openPageBrowser, type PageBrowser, type Visit } from './page_browser.ts'
import { testBank, testBroker } from './test_broker.ts'

export const bank = 'first-bank'
export const recipient = 'messenger'

/** Every page over a real broker and database, with banks that the test plays and a clock that it moves. */
export interface PageApp {
  readonly app: Express
  readonly broker: Broker
  readonly authorization: Authorization
  readonly banks: FakeBanks
  /** Sets the clock ahead of the real one, ms. */
  clock: { ahead_ms: number }
  browser(): PageBrowser
  /** A request pushed by the recipient, and the address that a browser opens it at. */
  push(change?: Partial<RequestedTerms> & PushChange): Promise<Pushed>
  /** The bank's ledger, or what of it names one consent. */
  entries(consentId?: string): Promise<Entry[]>
  /** Rows of a bank's tables. */
  rows(sql: string): Promise<Record<string, unknown>[]>
  close(): Promise<void>
}

/** What is pushed beside the terms. */
type PushChange = Partial<Pick<PushedRequest, 'expires' | 'replaces' | 'responseMode'>> & {
  readonly profile?: string
  readonly psid?: string
}

export interface Pushed {
  readonly consentId: string
  readonly requestUri: string
  readonly address: string
}

export async function pageApp({
  issuer = 'https://broker.example',
  loginUrl,
  redirectUri = 'https://recipient.example/callback?page=1',
  staff,
}: {
  issuer?: string
  loginUrl?: string
  redirectUri?: string
  /** A real identity provider for the staff of the first bank, and the way to it. */
  staff?: { readonly provider: StaffProvider; readonly port: StaffPort }
} = {}): Promise<PageApp> {
  const database = await testDatabase()
  const banks = Object.assign(fakeBanks(loginUrl), staff && { staff: staff.port })
  const testedBank = { ...testBank(bank), ...(staff && { staff: staff.provider }) }
  const inner = await testBroker(database.serviceUrl, {
    banks: [testedBank, testBank('other-bank')],
    bankPort: banks,
  })
  const clock = { ahead_ms: 0 }
  const broker: Broker = { ...inner, issuer, now: () => Date.now() + clock.ahead_ms }
  for (const id of [recipient, 'unapproved'])
    await insertClient(broker.db, {
      ...{ id, kind: 'recipient', class: 'messaging_platform', pages: [] },
      legalName: 'Harbor Messaging, Inc.',
      lei: '7H6GLXDRUGQFU57RNE97',
      website: 'https://recipient.example',
      contacts: ['privacy@recipient.example'],
      ...usualSecurity,
      redirectUris: [redirectUri],
      scopes: [],
    })
  await approveRecipient(inner, {
    bank,
    jws: testedBank.approve({
      ...{ recipient, class: 'messaging_platform' },
      purposes: ['https://w3id.org/dpv#RequestedServiceProvision'],
      clusters: ['ACCOUNT_BASIC', 'BALANCES', 'TRANSACTIONS'],
    }),
  })
  const authorization = openAuthorization(broker, {
    keys: tokenKeysOf([newSigner('ES256').privateJwk]),
    nonceKey: randomBytes(32),
  })
  const app = express().use(pageRoutes(broker, authorization))
  const signing = setInterval(() => void inner.signer.sign(bank), 500)
  return {
    ...{ app, broker, authorization, banks, clock },
    browser: () => openPageBrowser(app, issuer),
    push: (change = {}) => push(broker, redirectUri, change),
    entries: (consentId) => entriesOf(broker, consentId),
    rows: (sql) =>
      inBank(inner.db, bank, async (tx) => {
        const found = await tx.raw<{ rows: Record<string, unknown>[] }>(sql)
        return found.rows
      }),
    async close() {
      clearInterval(signing)
      await inner.signer.sign(bank)
      await inner.close()
      await database.drop()
    },
  }
}

async function entriesOf(broker: Broker, consentId: string | undefined): Promise<Entry[]> {
  const size = (await findLedger(broker.db, bank))?.size ?? 0
  const leaves = await readLeaves(broker.db, bank, { from: 0, to: size })
  return leaves
    .map((leaf) => readEntry(leaf))
    .filter((entry) => consentId === undefined || consentOf(entry) === consentId)
}

async function push(
  broker: Broker,
  redirectUri: string,
  {
    profile,
    psid,
    expires,
    replaces,
    responseMode = 'query',
    ...change
  }: Parameters<PageApp['push']>[0] & object,
): Promise<Pushed> {
  const requested: RequestedTerms = {
    ...{ recipient, bank, purpose: 'https://w3id.org/dpv#RequestedServiceProvision' },
    clusters: ['ACCOUNT_BASIC', 'BALANCES', 'TRANSACTIONS'],
    ...{ lookback_days: 90, one_time: false, duration_days: 90, delivery: 'in_thread' },
    ...change,
  }
  const handle = routed(bank, random256())
  const consentId = routed(bank, random128())
  await inBank(broker.db, bank, async (tx) => {
    await insertRequested(tx, { id: consentId, requested })
    await insertPushedRequest(tx, broker.vault, {
      handle,
      pushed: {
        ...{ bank, clientId: requested.recipient, consentId, redirectUri, state: 'its state' },
        ...{ scope: '', codeChallenge: 'c'.repeat(43) },
        profile: {
          page_id: '1001',
          psid: psid ?? randomBytes(6).toString('hex'),
          display_name: profile ?? 'Ana Ortiz',
        },
        responseMode,
        ...(replaces === undefined ? {} : { replaces }),
        expires: expires ?? broker.now() + 300_000,
      },
    })
  })
  const requestUri = requestUriOf(handle)
  const query = new URLSearchParams({ client_id: requested.recipient, request_uri: requestUri })
  return { consentId, requestUri, address: `/oauth/authorize?${query}` }
}

/** The address at which a bank sends the browser back after a login that `sent` began. */
export function backFrom(sent: Visit, answer: Record<string, string>): string {
  const at = new URL(sent.location).searchParams
  const query = new URLSearchParams({ state: at.get('state') ?? '', ...answer })
  return `/banks/${at.get('bank')}/callback?${query}`
}

/** A browser that has come as far as the disclosure, and the page it shows. */
export async function disclosed(
  app: PageApp,
  { pushed, customer = 'customer' }: { pushed: Pushed; customer?: string },
): Promise<{ browser: PageBrowser; page: Visit }> {
  const browser = app.browser()
  const sent = await browser.press(await browser.get(pushed.address), 'continue')
  await browser.get(backFrom(sent, { code: customer }))
  return { browser, page: await browser.get('/oauth/authorize/disclosure') }
}

/** A connection of a customer, approved on the pages. */
export async function connect(
  app: PageApp,
  customer: string,
  change: Parameters<PageApp['push']>[0] = {},
): Promise<Pushed> {
  const pushed = await app.push(change)
  const { browser, page } = await disclosed(app, { pushed, customer })
  await browser.press(page, 'approve')
  return pushed
}

/** A browser that has logged in to look at a customer's connections, and the list. */
export async function look(
  app: PageApp,
  customer: string,
): Promise<{ browser: PageBrowser; list: Visit }> {
  const browser = app.browser()
  const sent = await browser.press(await browser.get('/connections'), `bank-${bank}`)
  const back = await browser.get(backFrom(sent, { code: customer }))
  if (back.location !== '/connections') throw new Error(`the login led to ${back.location}`)
  return { browser, list: await browser.get('/connections') }
}
