import { LRUCache } from 'lru-cache'
import type { Broker } from '../broker/broker.ts'
import { openReplays, type ClaimOnce } from '../storage/replays.ts'
import { openTokenStanding, type FindTokenStanding } from '../storage/token_standing.ts'
import type { AccessToken } from './access_token.ts'
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
  /** Keys of DPoP proofs by the header that carries them. A key may be remembered; that a proof was good may not. */
  readonly proofKeys: LRUCache<string, PublicKey>
  /** Verified access tokens by their hash. What they permit is decided elsewhere, each time. */
  readonly accessTokens: LRUCache<string, AccessToken>
}

/** Memory at the limit: about 10 MB of headers and 30 MB of tokens. */
const limits = { proof_keys_max: 5_000, access_tokens_max: 10_000 } as const

/** `nonceKey` is 32 secret bytes that all processes share. */
export function openAuthorization(
  broker: Broker,
  { keys, nonceKey }: { keys: TokenKeys; nonceKey: Buffer },
): Authorization {
  return {
    issuer: broker.issuer,
    resource: `${broker.issuer}/fdx/v6`,
    keys,
    nonces: openNonces(nonceKey),
    claimOnce: openReplays(broker.db),
    tokenStanding: openTokenStanding(broker.db),
    proofKeys: new LRUCache({ max: limits.proof_keys_max }),
    accessTokens: new LRUCache({ max: limits.access_tokens_max }),
  }
}
