import { importJWK, type JWK } from 'jose'
import * as oauth from 'openid-client'
import { algorithmOfKey } from '../storage/jws.ts'

/** What an auditor's client is: registered with `countersign client add --kind auditor`. */
export interface AuditorClient {
  readonly clientId: string
  /** Private; its public half is registered. */
  readonly key: JWK
}

/** Gets one URL. */
export type Get = (url: URL) => Promise<Response>

/**
 * Reads a ledger's entries as its auditor: a token of scope `ledger:read`, got at the first read by `private_key_jwt`, bound to
 * a key of this process (DPoP), and renewed when it ends, once, however many read at that moment: each token is an entry in the
 * ledger. `ledger` is a URL under the issuer; `now` is milliseconds since the epoch.
 */
export function readAsAuditor(
  ledger: URL,
  { clientId, key }: AuditorClient,
  now: () => number = Date.now,
): Get {
  let session: Promise<{ get: Get; until: number }> | undefined
  const open = async () => {
    const imported = await importJWK(key, algorithmOfKey(key))
    if (imported instanceof Uint8Array) throw new Error('the client key is not an asymmetric one')
    const config = await oauth.discovery(
      new URL(ledger.origin),
      clientId,
      undefined,
      oauth.PrivateKeyJwt({ key: imported, ...(key.kid === undefined ? {} : { kid: key.kid }) }),
      {
        algorithm: 'oauth2',
        execute: ledger.protocol === 'http:' ? [oauth.allowInsecureRequests] : [],
      },
    )
    const DPoP = oauth.getDPoPHandle(config, await oauth.randomDPoPKeyPair('ES256'))
    const tokens = await oauth.clientCredentialsGrant(config, { scope: 'ledger:read' }, { DPoP })
    return {
      get: (url: URL) =>
        oauth.fetchProtectedResource(config, tokens.access_token, url, 'GET', null, undefined, {
          DPoP,
        }),
      until: now() + ((tokens.expires_in ?? 60) - 30) * 1000,
    }
  }
  return async (url) => {
    const mine = (session ??= open())
    if ((await mine).until < now() && session === mine) session = open()
    return (await session).get(url)
  }
}
