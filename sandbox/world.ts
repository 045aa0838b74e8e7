import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { JWK } from 'jose'
import { approveRecipient } from '../src/broker/approve_recipient.ts'
import { ledgerOrigin, type Broker } from '../src/broker/broker.ts'
import { grantAudit } from '../src/broker/grant_audit.ts'
import { openLedger } from '../src/broker/open_ledger.ts'
import type { Class } from '../src/consent/class.ts'
import { clusterNames } from '../src/consent/cluster.ts'
import type { Config } from '../src/config.ts'
import { rateLimits } from '../src/http/rate_limits.ts'
import { compose } from '../src/compose.ts'
import { findClient, insertClient, usualSecurity, type Client } from '../src/storage/clients.ts'
import { migrate } from '../src/storage/migrate.ts'
import { acr } from './banks/authorization_server.ts'
import { startBank, type BankOptions, type DemoBank } from './banks/bank.ts'
import { publicKey } from './banks/bank_keys.ts'
import { bankDirectory } from './banks/directory.ts'
import { auditorRole } from './banks/staff.ts'
import type { Certified } from './certificates.ts'
import { openIdentities, type Identities } from './identities.ts'
import { startPostgres } from './postgres.ts'

/** The sandbox's recipients: one that banks approve, and two that no bank ever will. */
export const recipients = {
  messenger: { legalName: 'Demo Messenger Banking', class: 'messaging_platform' },
  'ad-network': { legalName: 'Demo Ad Network', class: 'advertising' },
  'data-reseller': { legalName: 'Demo Data Reseller', class: 'third_party' },
  'budget-app': { legalName: 'Demo Budget App (approved by no bank)', class: 'messaging_platform' },
} as const satisfies Record<string, { legalName: string; class: Class }>

export type RecipientId = keyof typeof recipients

const recipientIds = Object.keys(recipients) as RecipientId[]
const bankIds = bankDirectory.map(({ id }) => id)

/** What the demo banks approve Messenger for. */
export const approvedPurposes = [
  'https://w3id.org/dpv#RequestedServiceProvision',
  'https://w3id.org/dpv#FraudPreventionAndDetection',
]
const approvedClusters = clusterNames.filter((name) => name !== 'FRAUD_ALERTS')

export interface WorldOptions {
  /** Everything the sandbox keeps; `.countersign` by default. Mode 0700. */
  readonly directory: string
  /** The broker's port; the banks and the Messenger take the next ones. */
  readonly port: number
  /** More of what a bank has, by its id. */
  readonly banks?: Readonly<Record<string, Pick<BankOptions, 'statements' | 'seed'>>>
  readonly epochSeconds?: number
  /** How often the banks state what they served, ms; not at all by default. */
  readonly stateEvery_ms?: number
  readonly statementSlackSeconds?: number
  /** The broker and the banks are at https then, on `localhost`, and clients with certificates call at a port of their own. */
  readonly tls?: WorldTls
  /** More clients; every bank approves the recipients among them. */
  readonly clients?: readonly Client[]
}

export interface WorldTls {
  /** For `localhost`. */
  readonly certificate: Certified
  /** Whose certificates clients are known by. */
  readonly authority: Certified
}

/** All that a broker needs around it, running: PostgreSQL, four banks, keys, registered clients, opened ledgers. */
export interface World {
  readonly config: Config
  readonly ownerUrl: string
  readonly banks: readonly DemoBank[]
  readonly identities: Identities
  /** The Messenger's own port. */
  readonly messengerPort: number
  close(): Promise<void>
}

/** The Messenger page on which a bank's customers talk to the demo's Messenger. */
export const pageOf = (bank: string): string => `${bank}-page`

/** Client ids of a bank's back end and of its auditor. */
export const backEndOf = (bank: string): string => `${bank}-back-end`
export const auditorOf = (bank: string): string => `${bank}-auditor`

/** Builds the world around a broker, or finds it as it was left. */
export async function openWorld({
  directory,
  port,
  banks = {},
  epochSeconds = 3_600,
  stateEvery_ms,
  statementSlackSeconds = 5,
  tls,
  clients: more = [],
}: WorldOptions): Promise<World> {
  const clients = [...recipientIds, ...bankIds.flatMap((id) => [backEndOf(id), auditorOf(id)])]
  // First, since it makes the directory so that both it and we can reach what is ours.
  const postgres = await startPostgres({ directory: join(directory, 'postgres') })
  const identities = await openIdentities(join(directory, 'identities.json'), {
    banks: bankIds,
    clients,
  })
  const issuer = tls === undefined ? `http://127.0.0.1:${port}` : `https://localhost:${port}`
  const started: DemoBank[] = []
  const close = async () => {
    for (const bank of started) await bank.close()
    await postgres.stop()
  }
  try {
    await migrate(postgres.ownerUrl)
    for (const [i, bank] of bankDirectory.entries())
      started.push(
        await startDemoBank(
          {
            ...{ ...bank, ...banks[bank.id], port: port + 1 + i },
            ...(tls === undefined ? {} : { tls: tls.certificate }),
            ...statingOf(bank.id, { identities, broker: issuer, every_ms: stateEvery_ms }),
          },
          { directory, issuer, identities },
        ),
      )
    const banksFile = join(directory, 'banks.json')
    await writeFile(banksFile, JSON.stringify(directoryFile(started, issuer), null, 2))
    const config: Config = {
      databaseUrl: postgres.serviceUrl,
      issuer,
      host: '127.0.0.1',
      port,
      ...tlsOf(tls, port + 2 + bankDirectory.length),
      banksFile,
      masterKey: Buffer.from(identities.masterKey, 'base64url'),
      ledgerSeed: Buffer.from(identities.ledgerSeed, 'base64url'),
      clientKey: { ...identities.clientKey },
      marks: join(directory, 'marks'),
      epochSeconds,
      statementSlackSeconds,
      archive: { seconds: 3_600, entries: 65_536 },
      backup: { seconds: 86_400 },
      rateLimits: { kept: 'memory', budgets: rateLimits },
      logLevel: 'warn',
      sandbox: true,
    }
    const messengerPort = port + 1 + bankDirectory.length
    await settle(config, { banks: started, identities, messengerPort, more })
    return { config, ownerUrl: postgres.ownerUrl, banks: started, identities, messengerPort, close }
  } catch (error) {
    await close()
    throw error
  }
}

function statingOf(
  bank: string,
  {
    identities,
    broker,
    every_ms,
  }: { identities: Identities; broker: string; every_ms: number | undefined },
): Pick<BankOptions, 'stating'> {
  const clientId = backEndOf(bank)
  const key = identities.clients[clientId]
  return every_ms === undefined || key === undefined
    ? {}
    : { stating: { broker, clientId, key, every_ms } }
}

function tlsOf(tls: WorldTls | undefined, mtlsPort: number): Pick<Config, 'tls' | 'mtls'> {
  if (tls === undefined) return { mtls: { authorities: [] } }
  const { certificate, authority } = tls
  const origin = `https://localhost:${mtlsPort}`
  return {
    tls: { cert: certificate.cert, key: certificate.key },
    mtls: { origin, port: mtlsPort, authorities: [authority.x509] },
  }
}

function startDemoBank(
  bank: Omit<BankOptions, 'brokerClient' | 'keys' | 'stateFile'>,
  { directory, issuer, identities }: { directory: string; issuer: string; identities: Identities },
): Promise<DemoBank> {
  const keys = identities.banks[bank.id]
  return startBank({
    ...bank,
    ...(keys === undefined ? {} : { keys }),
    stateFile: join(directory, `bank-${bank.id}.json`),
    brokerClient: {
      clientId: issuer,
      jwks: { keys: [publicKey(identities.clientKey)] },
      redirectUri: `${issuer}/banks/${bank.id}/callback`,
      staff: {
        clientId: consoleClientOf(issuer),
        redirectUri: `${issuer}/console/callback/${bank.id}`,
        loggedOutUri: `${issuer}/console`,
      },
    },
  })
}

/** The id under which the demo banks know the broker where their staff log in. */
const consoleClientOf = (issuer: string): string => `${issuer}/console`

function directoryFile(banks: readonly DemoBank[], issuer: string) {
  return banks.map((bank) => ({
    id: bank.id,
    legal_name: bank.legalName,
    lei: leiOf(bank.id),
    issuer: bank.issuer,
    fdx_base_url: bank.fdxBaseUrl,
    key: stringsOf(bank.signingJwk),
    staff: {
      issuer: bank.issuer,
      client_id: consoleClientOf(issuer),
      claim: 'roles',
      auditor: [auditorRole],
      acr: [acr],
    },
  }))
}

const stringsOf = (jwk: JWK): Record<string, string> =>
  Object.fromEntries(
    Object.entries(jwk).filter((pair): pair is [string, string] => typeof pair[1] === 'string'),
  )

const leiOf = (bank: string): string => bankDirectory.find(({ id }) => id === bank)?.lei ?? ''

/** What an operator would do once with the command line: open the ledgers, register the clients, enter the approvals. */
async function settle(
  config: Config,
  {
    banks,
    identities,
    messengerPort,
    more,
  }: {
    banks: readonly DemoBank[]
    identities: Identities
    messengerPort: number
    more: readonly Client[]
  },
): Promise<void> {
  const { broker, close } = await compose(config)
  try {
    for (const { id } of banks) await openLedger(broker, id)
    const redirectUri = `http://127.0.0.1:${messengerPort}/callback`
    for (const id of recipientIds)
      await register(broker, recipientClient(id, { identities, redirectUri }))
    for (const { id } of banks) {
      await register(broker, bankClient(id, backEndOf(id), 'bank', identities))
      await register(broker, bankClient(id, auditorOf(id), 'auditor', identities))
      await grantAudit(broker, id, {
        ...{ kind: 'client', auditor: auditorOf(id), grantedBy: 'the compliance desk' },
        until: new Date(Date.now() + 30 * 86_400_000).toISOString(),
      })
    }
    for (const client of more) await register(broker, client)
    const approved = [
      { id: 'messenger', class: recipients.messenger.class },
      ...more.filter((client) => client.kind === 'recipient'),
    ]
    for (const bank of banks)
      for (const recipient of approved)
        await approveRecipient(broker, {
          bank: bank.id,
          jws: await bank.signApproval({
            iss: bank.id,
            iat: identities.approvedAt,
            aud: ledgerOrigin(broker.issuer, bank.id),
            recipient: recipient.id,
            class: recipient.class,
            purposes: approvedPurposes,
            clusters: approvedClusters,
            keys: [],
          }),
        })
  } finally {
    await close()
  }
}

async function register(broker: Broker, client: Client): Promise<void> {
  if ((await findClient(broker.db, client.id)) === undefined) await insertClient(broker.db, client)
}

function registration(id: string, legalName: string, identities: Identities) {
  const key = identities.clients[id]
  if (key === undefined)
    throw new Error(`the sandbox has no key for ${id}: remove its directory to make it anew`)
  return {
    id,
    legalName,
    website: `https://${id}.example`,
    contacts: [`security@${id}.example`],
    jwks: { keys: [{ ...publicKey(key) }] },
    ...usualSecurity,
  }
}

function recipientClient(
  id: RecipientId,
  { identities, redirectUri }: { identities: Identities; redirectUri: string },
): Client {
  const { legalName, class: named } = recipients[id]
  return {
    ...registration(id, legalName, identities),
    kind: 'recipient',
    class: named,
    lei: '5493001KJTIIGC8Y1R12',
    pages: id === 'messenger' ? ['demo-page', ...bankIds.map(pageOf)] : [],
    redirectUris: [redirectUri],
    scopes: ['grant_management_query', 'grant_management_revoke'],
  }
}

function bankClient(
  bank: string,
  id: string,
  kind: 'bank' | 'auditor',
  identities: Identities,
): Client {
  return {
    ...registration(id, `${bank} ${kind === 'bank' ? 'back end' : 'auditor'}`, identities),
    kind,
    bank,
    lei: leiOf(bank),
    redirectUris: [],
    scopes:
      kind === 'bank'
        ? ['consents:read', 'consents:revoke', 'ledger:read', 'statements:write']
        : ['audit:read', 'ledger:read'],
  }
}
