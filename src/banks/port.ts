import { createPrivateKey } from 'node:crypto'
import type { JWK } from 'jose'
import type { BankPort } from '../broker/bank_port.ts'
import { openBankClients, openStaffClients, type BrokerClient } from './bank_client.ts'
import { readBankDirectory, type DirectoryBank } from './directory.ts'
import { dpopProver } from './dpop.ts'
import { openGateway, type Gateway } from './egress.ts'
import { watchSockets, type Stray } from './egress_tripwire.ts'
import { openFdx } from './fdx.ts'
import { openKeySets } from './key_sets.ts'
import { openLinking } from './linking.ts'
import { openStaffLogin } from './staff_login.ts'

/** What one exchange with a bank may take: 500 transactions are well under a megabyte. */
const limits = { timeout_ms: 5_000, idle_ms: 3_000, body_bytes_max: 4 * 1024 * 1024 } as const

/** The broker's bank port: logins, tokens and data of the banks in the directory, all through the gateway. */
export function openBankPort({
  banks,
  gateway,
  client,
  now = Date.now,
}: {
  banks: ReadonlyMap<string, DirectoryBank>
  gateway: Gateway
  client: BrokerClient
  /** Milliseconds since the epoch. */
  now?: () => number
}): BankPort {
  const clientOf = openBankClients({ banks, gateway, client, now })
  const staffClientOf = openStaffClients({ banks, gateway, client, now })
  return {
    banks,
    ...openLinking({ clientOf, redirectUriOf: client.redirectUriOf, now }),
    ...openFdx({ gateway, prove: dpopProver(client.dpopJwk, now) }),
    staff: openStaffLogin({ clientOf: staffClientOf, redirectUriOf: client.staffRedirectUriOf }),
  }
}

export interface BanksConfig {
  readonly banksFile: string
  /** A private JWK, ES256 or EdDSA: authenticates the broker to banks, and is what their tokens are bound to. */
  readonly clientKey: Readonly<Record<string, unknown>>
  /** URLs of the databases, which are reached around the gateway. */
  readonly databases: readonly string[]
  readonly issuer: string
  readonly sandbox: boolean
  /** PEM: for banks that know the broker by a certificate (RFC 8705). */
  readonly clientCertificate?: { readonly cert: string; readonly key: string }
}

/**
 * All that leaves this process, put together: the directory, a gateway to its banks and to nowhere else, the port, one to
 * clients' keys, and the tripwire. Throws `DirectoryInvalid`, or for a key that is none.
 */
export function openBanks(
  config: BanksConfig,
  {
    onStray,
    others = [],
  }: {
    onStray: (stray: Stray) => void
    /** What else may open sockets, each to places of its own. */
    others?: readonly Pick<Gateway, 'owns'>[]
  },
): {
  readonly port: BankPort
  readonly gateway: Gateway
  /** What is at a client's `jwks_uri`, parsed. */
  readonly fetchKeySet: (uri: string) => Promise<unknown>
  close(): void
} {
  const { sandbox, issuer } = config
  const banks = readBankDirectory(config.banksFile, { sandbox })
  const allowedHosts = [...banks.values()].flatMap(({ hosts }) => hosts)
  const gateway = openGateway({
    allowedHosts,
    sandbox,
    ...limits,
    ...(config.clientCertificate === undefined ? {} : { tls: config.clientCertificate }),
  })
  const keySets = openKeySets({ sandbox })
  const gateways = [gateway, keySets.gateway]
  const tripwire = watchSockets({
    gateway: { owns: (opened) => [...gateways, ...others].some((one) => one.owns(opened)) },
    databases: config.databases,
    onStray,
  })
  const jwk = signingKey(config.clientKey)
  const client: BrokerClient = {
    clientId: issuer,
    jwk,
    dpopJwk: jwk,
    redirectUriOf: (bankId) => `${issuer}/banks/${bankId}/callback`,
    staffRedirectUriOf: (bankId) => `${issuer}/console/callback/${bankId}`,
  }
  return {
    port: openBankPort({ banks, gateway, client }),
    gateway,
    fetchKeySet: keySets.fetch,
    close() {
      tripwire.stop()
      for (const one of gateways) one.close()
    },
  }
}

function signingKey(key: Readonly<Record<string, unknown>>): JWK {
  const { kty, crv, x, y, d, kid } = key
  const jwk = Object.fromEntries(
    Object.entries({ kty, crv, x, y, d, kid }).filter(([, value]) => typeof value === 'string'),
  )
  try {
    createPrivateKey({ key: jwk, format: 'jwk' })
  } catch (error) {
    throw new Error('the client key is not a private ES256 or EdDSA key', { cause: error })
  }
  if (crv !== 'P-256' && crv !== 'Ed25519')
    throw new Error(`the client key is on ${String(crv)}, and not on P-256 or Ed25519`)
  return jwk
}
