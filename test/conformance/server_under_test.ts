import { randomBytes, type JsonWebKey } from 'node:crypto'
import { once } from 'node:events'
import { request as requestHttp, type IncomingMessage, type Server } from 'node:http'
import { request as requestHttps } from 'node:https'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { makeCertificate, named, type Certified } from '../../sandbox/certificates.ts'
import { openAuthorization } from '../../src/authorization/authorization.ts'
import { tokenKeysOf } from '../../src/authorization/keys.ts'
import { approveRecipient } from '../../src/broker/approve_recipient.ts'
import { classes } from '../../src/consent/class.ts'
import { createApp } from '../../src/http/app.ts'
import { unlimited } from '../../src/http/limits.ts'
import { createMtlsServer, createServer } from '../../src/http/server.ts'
import { openLog } from '../../src/observe/log.ts'
import { classOf, insertClient, type Client } from '../../src/storage/clients.ts'
import { inBank } from '../../src/storage/database.ts'
import { testDatabase } from '../support/database.ts'
import { fakeBanks } from '../support/fake_banks.ts'
import { newSigner } from '../support/jwt.ts'
import { openPageBrowser, type PageBrowser } from '../support/page_browser.ts'
import { testBank, testBroker } from '../support/test_broker.ts'

export const purpose = 'https://w3id.org/dpv#RequestedServiceProvision'

/** What came back, whatever it was. `body` is the parsed JSON, or undefined where the answer is none. */
export interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly text: string
  readonly body: Readonly<Record<string, unknown>> | undefined
}

export interface Sending {
  readonly method: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  /** Sent as a form. */
  readonly form?: Readonly<Record<string, string>>
  /** To the address for clients with certificates, with this one or with none. */
  readonly certificate?: Pick<Certified, 'cert' | 'key'> | 'none' | undefined
}

/** The whole server, listening, over a real database and with banks that the suite's user logs in at. */
export interface ServerUnderTest {
  readonly issuer: string
  /** Where clients with certificates call. */
  readonly mtlsOrigin: string
  /** Whose certificates `tls_client_auth` goes by. */
  readonly authority: Certified
  readonly bank: string
  /** What the process has logged, line by line. */
  readonly log: readonly string[]
  /** Moves the server's clock for good, and that of the codes, which end by the database's. */
  advance(seconds: number): Promise<void>
  now(): number
  send(sending: Sending): Promise<Answer>
  browser(): PageBrowser
  /** Registers a client, and has the bank approve a recipient that may be approved. */
  register(client: Client): Promise<void>
  /** While something inside fails that should not. */
  whileFailing<T>(act: () => Promise<T>): Promise<T>
  /** Puts other keys in a client's place, all of them named `one`, whatever a registration would say of that. */
  replaceKeys(client: string, keys: readonly JsonWebKey[]): Promise<void>
  close(): Promise<void>
}

const mtlsOrigin = 'https://mtls.broker.example'
const authority = makeCertificate({ subject: named('Suite Authority'), usage: 'authority' })
const tls = makeCertificate({
  subject: named('localhost'),
  dns: ['localhost'],
  ips: ['127.0.0.1'],
  usage: 'server',
})

export async function openServerUnderTest(): Promise<ServerUnderTest> {
  const database = await testDatabase()
  const bank = testBank('first-bank')
  const inner = await testBroker(database.serviceUrl, { banks: [bank], bankPort: fakeBanks() })
  let ahead_ms = 0
  let failing = false
  const broker = {
    ...inner,
    classOf: (client: string) => classOf(inner.db, client),
    now() {
      if (failing) throw new TypeError('the secret of the inside')
      return Date.now() + ahead_ms
    },
  }
  const authorization = openAuthorization(broker, {
    keys: tokenKeysOf([newSigner('ES256').privateJwk]),
    nonceKey: randomBytes(32),
    mtls: { origin: mtlsOrigin, authorities: [authority.x509] },
  })
  const log: string[] = []
  const logged = openLog('trace', { write: (line) => void log.push(line) })
  const limiting = unlimited
  const server = createServer(broker, authorization, logged, { limiting, tls })
  const mtlsServer = createMtlsServer(broker, authorization, logged, { limiting, tls })
  const servers = [server, mtlsServer]
  for (const one of servers) await once(one.listen(0, '127.0.0.1'), 'listening')
  const pages = createApp(broker, authorization, logged, { limiting })
  const signing = setInterval(() => void broker.signer.sign(bank.id), 500)
  return {
    ...{ issuer: broker.issuer, mtlsOrigin, authority },
    bank: bank.id,
    log,
    async advance(seconds) {
      ahead_ms += seconds * 1000
      await inBank(inner.db, bank.id, (tx) =>
        tx.raw(
          'update authorization_codes set expires_at = expires_at - make_interval(secs => ?)',
          [seconds],
        ),
      )
    },
    now: broker.now,
    send: (sending) =>
      sendTo(
        { port: portOf(sending.certificate === undefined ? server : mtlsServer), ca: tls.cert },
        sending,
      ),
    browser: () => openPageBrowser(pages, broker.issuer),
    async register(recipient) {
      await insertClient(broker.db, recipient)
      if (recipient.kind !== 'recipient' || !classes[recipient.class].mayReceive) return
      const claims = { recipient: recipient.id, class: recipient.class, purposes: [purpose] }
      const clusters = ['ACCOUNT_BASIC', 'BALANCES', 'TRANSACTIONS'] as const
      const jws = bank.approve({ ...claims, clusters: [...clusters] })
      await approveRecipient(broker, { bank: bank.id, jws })
    },
    async whileFailing(act) {
      failing = true
      return act().finally(() => (failing = false))
    },
    async replaceKeys(client, keys) {
      const jwks = { keys: keys.map((key) => ({ ...key, kid: 'one' })) }
      await broker.db.knex.raw('update clients set jwks = ? where id = ?', [
        JSON.stringify(jwks),
        client,
      ])
    },
    async close() {
      clearInterval(signing)
      for (const one of servers) {
        one.close()
        one.closeAllConnections()
      }
      await broker.signer.sign(bank.id)
      await inner.close()
      await database.drop()
    },
  }
}

export const portOf = (server: Server): number => (server.address() as AddressInfo).port

/** Sends a request to a server on loopback; with `ca`, over TLS. */
export async function sendTo(
  { port, ca }: { port: number; ca?: string },
  { method, path, headers = {}, form, certificate }: Sending,
): Promise<Answer> {
  const body = form === undefined ? undefined : new URLSearchParams(form).toString()
  const options = {
    ...{ host: '127.0.0.1', port, method, path },
    headers: {
      ...headers,
      ...(body === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
    },
  }
  const shown = certificate === 'none' ? undefined : certificate
  const sent =
    ca === undefined
      ? requestHttp(options)
      : requestHttps({
          ...options,
          ...{ agent: false, servername: 'localhost', ca },
          ...(shown === undefined ? {} : { cert: shown.cert, key: shown.key }),
        })
  sent.end(body)
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  const received = await text(response)
  const isJson = /^application\/(?:[\w-]+\+)?json\b/.test(response.headers['content-type'] ?? '')
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    text: received,
    body: isJson ? JSON.parse(received) : undefined,
  }
}
