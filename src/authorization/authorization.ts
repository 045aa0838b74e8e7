import type { X509Certificate } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Broker } from '../broker/broker.ts'
import { openReplays, type ClaimOnce } from '../storage/replays.ts'
import { openTokenStanding, type FindTokenStanding } from '../storage/token_standing.ts'
import type { AccessToken } from './access_token.ts'
import { openClientKeys, type ClientKeys, type KeySets } from './client_keys.ts'
import type { PublicKey } from '../storage/jws.ts'
import type { TokenKeys } from './keys.ts'
import { openNonces, type Nonces } from './nonces.ts'

/** What the authorization server needs beside the broker; made once, in main. */
export interface Authorization {
  readonly issuer: string
  /** The audience of tokens that open a consent: the FDX resource. Tokens of clients for themselves are for the issuer. */
  readonly resource: string
  readonly keys: TokenKeys
  readonly nonces: Nonces
  readonly claimOnce: ClaimOnce
  readonly tokenStanding: FindTokenStanding
  readonly clientKeys: ClientKeys
  readonly mtls: Mtls
  /** Keys of DPoP proofs by the header that carries them. A key may be remembered; that a proof was good may not. */
  readonly proofKeys: LRUCache<string, PublicKey>
  /** Verified access tokens by their hash. What they permit is decided elsewhere, each time. */
  readonly accessTokens: LRUCache<string, AccessToken>
}

/** How clients come with certificates. */
export interface Mtls {
  /** The origin at which TLS asks for a client certificate: an alias of the issuer's (RFC 8705 §5). */
  readonly origin?: string
  /** The authorities whose certificates `tls_client_auth` goes by. */
  readonly authorities: readonly X509Certificate[]
  /** The proxies that end TLS for us, and the header in which they pass client certificates on, if they do, in lower case. */
  readonly proxies?: { readonly header?: string; readonly have: (address: string) => boolean }
}

/** Whether there is anywhere that a client can show a certificate. */
export const asksForCertificates = ({ origin, proxies }: Mtls): boolean =>
  origin !== undefined || proxies?.header !== undefined

/** What differs between one server and another. */
export interface AuthorizationOptions {
  readonly keys: TokenKeys
  /** 32 secret bytes that all processes share. */
  readonly nonceKey: Buffer
  readonly mtls?: Mtls
  /** The keys that clients keep themselves. Without it, none are fetched. */
  readonly keySets?: KeySets
}

/** Memory at the limit: about 10 MB of headers and 30 MB of tokens. */
const limits = { proof_keys_max: 5_000, access_tokens_max: 10_000 } as const

export function openAuthorization(
  broker: Broker,
  { keys, nonceKey, mtls = { authorities: [] }, keySets = noKeySets }: AuthorizationOptions,
): Authorization {
  return {
    issuer: broker.issuer,
    resource: `${broker.issuer}/fdx/v6`,
    keys,
    nonces: openNonces(nonceKey),
    claimOnce: openReplays(broker.db),
    tokenStanding: openTokenStanding(broker.db),
    clientKeys: openClientKeys(keySets, broker.now),
    mtls,
    proofKeys: new LRUCache({ max: limits.proof_keys_max }),
    accessTokens: new LRUCache({ max: limits.access_tokens_max }),
  }
}

const noKeySets: KeySets = {
  fetch: () => Promise.reject(new Error('no keys are fetched here')),
  failed: () => undefined,
}
