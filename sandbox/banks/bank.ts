import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import express from 'express'
import { SignJWT, importJWK } from 'jose'
import type { JWK, JWTPayload } from 'jose'
import type { Customer } from './account.ts'
import { authorizationServer, registerBroker } from './authorization_server.ts'
import type { BrokerClient } from './authorization_server.ts'
import { generateBankKeys, publicKey } from './bank_keys.ts'
import type { BankKeys } from './bank_keys.ts'
import { customerRoutes } from './customer_routes.ts'
import { dataGate } from './data_access.ts'
import { customersOf } from './directory.ts'
import { fdxApi } from './fdx_api.ts'
import type { Served } from './fdx_api.ts'
import { generateCustomers } from './generate.ts'
import { mischief } from './misbehaviour.ts'
import type { Mischief } from './misbehaviour.ts'
import { openOidcStore } from './oidc_store.ts'
import { staffOf } from './staff.ts'
import { startStating } from './stating.ts'
import type { StatingOptions } from './stating.ts'
import { readStatementFile } from './statement_file.ts'

export interface BankOptions {
  readonly id: string
  readonly legalName: string
  readonly brokerClient: BrokerClient
  /** Any free one by default. */
  readonly port?: number
  readonly colour?: string
  /** Those that the directory has for `id` by default. */
  readonly customers?: readonly Customer[]
  /** More OFX files, whose accounts the first customer gets; `shift` moves their dates up to yesterday. */
  readonly statements?: readonly { readonly path: string; readonly shift?: boolean }[]
  /** Adds generated customers; the same seed gives the same ones. */
  readonly seed?: string
  /** New ones by default. */
  readonly keys?: BankKeys
  /** PEM, for `localhost`: the bank is at https then, and at http on 127.0.0.1 otherwise. */
  readonly tls?: { readonly cert: string; readonly key: string }
  /** How it states what it served; not at all by default. */
  readonly stating?: StatingOptions
  /** Where grants and tokens outlive a restart; in memory by default. */
  readonly stateFile?: string
}

/** A demo bank at work: pages for its customers, an authorization server and a data API for the broker. */
export interface DemoBank extends Pick<Mischief, 'misbehave' | 'failuresLeft'> {
  readonly id: string
  readonly legalName: string
  readonly port: number
  readonly issuer: string
  readonly fdxBaseUrl: string
  readonly customers: readonly Customer[]
  /** What was assumed or left out in `statements`, a line each. */
  readonly notes: readonly string[]
  /** Public: verifies what `signApproval` makes. */
  readonly signingJwk: JWK
  /** A compact JWS of the payload, by the bank's own key. */
  signApproval(payload: JWTPayload): Promise<string>
  /** Every answer that carried data, oldest first. */
  readonly served: readonly Served[]
  /** States what it served since the statement before, now, and resolves to the index of the entry. */
  state(): Promise<number>
  /** Ends, at the bank, all consents of the customer with this username; says how many there were. */
  revokeCustomerGrant(username: string): Promise<number>
  /** Drops all connections and leaves the state file complete. */
  close(): Promise<void>
}

/** Starts a demo bank on 127.0.0.1. Rejects when the port is taken, or an OFX file or the state file cannot be read. */
export async function startBank(options: BankOptions): Promise<DemoBank> {
  const { id, legalName, brokerClient } = options
  const { customers, notes } = await loadCustomers(options)
  const keys = options.keys ?? (await generateBankKeys())
  const approvalKey = await importJWK(keys.approval, 'ES256')
  const store = await openOidcStore(options.stateFile)
  await registerBroker(store.adapter, brokerClient)
  const faults = mischief()
  const served: Served[] = []

  const sign = (typ: string, payload: JWTPayload) =>
    new SignJWT(payload)
      .setProtectedHeader({
        ...{ alg: 'ES256', typ },
        ...(keys.approval.kid !== undefined && { kid: keys.approval.kid }),
      })
      .sign(approvalKey)
  const stating =
    options.stating &&
    startStating({
      ...{ options: options.stating, bank: id, served, misstatement: faults.misstatement },
      sign: (payload) => sign('countersign-statement+jwt', payload),
    })

  const { tls } = options
  const server: Server = tls === undefined ? createServer() : createHttpsServer({ ...tls })
  server.listen(options.port ?? 0, '127.0.0.1')
  await once(server, 'listening')
  const port = portOf(server)
  const issuer = tls === undefined ? `http://127.0.0.1:${port}` : `https://localhost:${port}`
  const fdxBaseUrl = issuer + fdxPath

  const staff = staffOf(id)
  const staffClientId = brokerClient.staff?.clientId
  const brand = { id, legalName, colour: options.colour ?? '#3b3b3b' }
  const provider = authorizationServer({
    brand,
    issuer,
    resource: fdxBaseUrl,
    signingKey: keys.login,
    adapter: store.adapter,
    staff,
  })
  const app = express()
    .disable('x-powered-by')
    .use(faults.handler)
    .use('/interaction', customerRoutes({ brand, provider, customers, staff, staffClientId }))
    .use(
      fdxPath,
      fdxApi({
        open: dataGate({ provider, customers }),
        served: (record) => served.push(record),
      }),
    )
    .use(provider.callback())
  server.on('request', app)

  return {
    id,
    legalName,
    port,
    issuer,
    fdxBaseUrl,
    customers,
    notes,
    served,
    misbehave: faults.misbehave,
    get failuresLeft() {
      return faults.failuresLeft
    },
    signingJwk: publicKey(keys.approval),
    signApproval: (payload) => sign('countersign-approval+jwt', payload),
    state: () => stating?.state() ?? Promise.reject(new Error(`${id} makes no statements`)),
    async revokeCustomerGrant(username) {
      const customer = customers.find((one) => one.username === username)
      if (customer === undefined) throw new Error(`${legalName} has no customer ${username}`)
      return store.revokeGrantsOf(customer.customerId)
    },
    async close() {
      await stating?.close()
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
      await store.close()
    },
  }
}

const fdxPath = '/fdx/v6'

function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('not listening on a port')
  return address.port
}

async function loadCustomers({
  id,
  customers,
  statements = [],
  seed,
}: BankOptions): Promise<{ customers: readonly Customer[]; notes: readonly string[] }> {
  const now = new Date()
  const [first, ...others] = customers ?? (await customersOf(id, now))
  const files = await Promise.all(
    statements.map(async ({ path, shift = false }) =>
      readStatementFile(await readFile(path), { now, shift }),
    ),
  )
  if (first === undefined) throw new Error(`the bank ${id} has no customers`)
  const accounts = [...first.accounts, ...files.flatMap((file) => file.accounts)]
  return {
    customers: [
      { ...first, accounts },
      ...others,
      ...(seed === undefined ? [] : generateCustomers({ seed: `${id}/${seed}`, now })),
    ],
    notes: files.flatMap((file) => file.notes),
  }
}
