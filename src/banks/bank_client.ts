import { importJWK, type JWK } from 'jose'
import {
  Configuration,
  PrivateKeyJwt,
  TlsClientAuth,
  allowInsecureRequests,
  customFetch,
  discovery,
  enableNonRepudiationChecks,
  getDPoPHandle,
  type ClientAuth,
  type DPoPHandle,
  type ServerMetadata,
} from 'openid-client'
import { BankUnavailable, type Bank, type StaffProvider } from '../broker/bank_port.ts'
import { algorithmOfKey } from '../storage/jws.ts'
import type { DirectoryBank } from './directory.ts'
import type { Gateway } from './egress.ts'
import { fetchThrough } from './egress_fetch.ts'
import { bankError } from './bank_error.ts'

/** The broker as banks register it. Both keys are private JWKs, ES256 or EdDSA. */
export interface BrokerClient {
  /** Where the directory names no other for a bank. */
  readonly clientId: string
  /** Authenticates the broker to banks. */
  readonly jwk: JWK
  /** One address a bank, so that the answer of one cannot be passed off as another's. */
  readonly redirectUriOf: (bankId: string) => string
  /** The same, for logins of its staff. */
  readonly staffRedirectUriOf: (bankId: string) => string
  /** What banks' tokens are bound to. */
  readonly dpopJwk: JWK
}

/** A bank's authorization server, discovered, and the broker as its client. */
export interface BankClient {
  readonly config: Configuration
  readonly metadata: Readonly<ServerMetadata>
  readonly dpop: DPoPHandle
}

const metadata_ms_max = 3_600_000

interface Clients {
  readonly banks: ReadonlyMap<string, DirectoryBank>
  readonly gateway: Gateway
  readonly client: BrokerClient
  readonly now: () => number
}

/** An authorization server, and the id under which it knows the broker. */
interface Registered {
  readonly issuer: string
  readonly clientId?: string
}

/**
 * The broker as a FAPI 2.0 client of banks, each discovered once an hour; a bank whose metadata cannot be read again goes on
 * under what it said before. Throws `BankUnavailable` for a bank that is not FAPI 2.0.
 */
export function openBankClients(clients: Clients): (bank: Bank) => Promise<BankClient> {
  return openClients(clients, {
    at: (bank) => bank,
    check(metadata, bank) {
      if (!metadata.supportsPKCE() || metadata.pushed_authorization_request_endpoint === undefined)
        throw new BankUnavailable('bad_answer', `${bank} offers no pushed requests with PKCE S256`)
    },
    dpopBound: () => true,
  })
}

/**
 * The broker as a client of the identity providers of banks' staff, in the same way: of OpenID Connect, with pushed requests and
 * DPoP where a provider has them. Throws `BankUnavailable` for a bank without one.
 */
export function openStaffClients(clients: Clients): (bank: Bank) => Promise<BankClient> {
  return openClients(clients, {
    at: staffProviderOf,
    check: () => undefined,
    dpopBound: ({ dpop_signing_alg_values_supported: offered }) => offered !== undefined,
  })
}

/** The identity provider of a bank's staff. Throws `BankUnavailable` for a bank without one. */
export function staffProviderOf({ id, staff }: Bank): StaffProvider {
  if (staff !== undefined) return staff
  throw new BankUnavailable('unreachable', `${id} has no identity provider for its staff`)
}

interface Kind {
  /** Where of a bank. */
  readonly at: (bank: DirectoryBank) => Registered
  /** Throws `BankUnavailable` for a server that does not offer what is needed. */
  readonly check: (metadata: ReturnType<Configuration['serverMetadata']>, bank: string) => void
  readonly dpopBound: (metadata: ServerMetadata) => boolean
}

function openClients(
  { banks, gateway, client, now }: Clients,
  { at, check, dpopBound }: Kind,
): (bank: Bank) => Promise<BankClient> {
  const fetch = fetchThrough(gateway)
  const keys = importKeys(client)

  const discover = async (bank: DirectoryBank): Promise<BankClient> => {
    const { authentication, dpop } = await keys
    const { issuer, clientId = client.clientId } = at(bank)
    const insecure = issuer.startsWith('http:') ? [allowInsecureRequests] : []
    const read = await discovery(new URL(issuer), clientId, undefined, authentication, {
      [customFetch]: fetch,
      execute: insecure,
    }).catch((error: unknown) => {
      throw bankError(error, 'request')
    })
    const metadata = read.serverMetadata()
    const mutualTls = needsMutualTls(metadata)
    check(metadata, bank.id)
    const config = new Configuration(
      metadata,
      clientId,
      { use_mtls_endpoint_aliases: mutualTls, dpop_bound_access_tokens: dpopBound(metadata) },
      mutualTls ? TlsClientAuth() : authentication,
    )
    config[customFetch] = fetch
    for (const allow of insecure) allow(config)
    enableNonRepudiationChecks(config)
    return { config, metadata, dpop: getDPoPHandle(config, dpop) }
  }

  const found = new Map<string, { readonly at: number; readonly client: Promise<BankClient> }>()
  return (bank) => {
    const held = found.get(bank.id)
    if (held !== undefined && now() - held.at < metadata_ms_max) return held.client
    const entry = banks.get(bank.id)
    if (entry === undefined) throw new Error(`${bank.id} is not in the bank directory`)
    const discovered = discover(entry).catch((error: unknown) => {
      if (held !== undefined) return held.client
      found.delete(bank.id)
      throw error
    })
    found.set(bank.id, { at: now(), client: discovered })
    return discovered
  }
}

/** private_key_jwt wherever it is offered; a client certificate, which the gateway holds, where nothing else is. */
function needsMutualTls({
  issuer,
  token_endpoint_auth_methods_supported: offered,
}: ServerMetadata) {
  if (offered?.includes('private_key_jwt')) return false
  if (offered?.some((method) => method.endsWith('tls_client_auth'))) return true
  throw new BankUnavailable('bad_answer', `${issuer} offers no way to authenticate by a key`)
}

async function importKeys({ jwk, dpopJwk }: BrokerClient) {
  const key = await privateKey(jwk)
  const authentication: ClientAuth = PrivateKeyJwt(
    jwk.kid === undefined ? key : { key, kid: jwk.kid },
  )
  const { d: _, ...publicJwk } = dpopJwk
  const publicKey = await importJWK(publicJwk, algorithmOfKey(dpopJwk), { extractable: true })
  if (publicKey instanceof Uint8Array) throw new TypeError('not a public key')
  return { authentication, dpop: { privateKey: await privateKey(dpopJwk), publicKey } }
}

async function privateKey(jwk: JWK) {
  const key = await importJWK(jwk, algorithmOfKey(jwk))
  if (key instanceof Uint8Array || key.type !== 'private') throw new TypeError('not a private key')
  return key
}
