import { createPublicKey, type JsonWebKey } from 'node:crypto'
import { importPrivateKey, importPublicKey, signerOf, type PublicKey } from '../storage/jws.ts'

/** The algorithm of everything that we sign with them. */
export const token_algorithm = 'ES256'

/** What the JWKS is sent with: how long others may keep it, in seconds. */
export const jwks_s_max = 300

/** The keys of our tokens: one signs, all verify. */
export interface TokenKeys {
  /** A JWT of this `typ` (RFC 8725 §3.11) under the signing key. */
  sign(typ: string, claims: object): string
  find(kid: unknown): PublicKey | undefined
  /** The public halves, as `/oauth/jwks` serves them. */
  readonly jwks: { readonly keys: readonly JsonWebKey[] }
}

/** Token keys that follow what the database says of them. */
export interface LiveTokenKeys extends TokenKeys {
  /** Reads them again. */
  refresh(): Promise<void>
}

/** The keys were not read for so long that another may sign by now: 503. */
export class TokenKeysStale extends Error {
  override readonly name = 'TokenKeysStale'
}

/**
 * Token keys from JWKs (P-256). The first is private and signs; the others, private or public, are verified and published
 * too. Each is named by its thumbprint. Throws for anything else.
 */
export function tokenKeysOf([first, ...others]: readonly JsonWebKey[]): TokenKeys {
  if (first?.d === undefined)
    throw new TypeError('the first token key is the private one that signs')
  const signing = importPrivateKey({ ...first })
  const keys = [first, ...others].map((jwk) => importPublicKey(publicHalf(jwk), token_algorithm))
  const byKid = new Map<unknown, PublicKey>(keys.map((key) => [key.thumbprint, key]))
  if (byKid.size !== keys.length) throw new TypeError('a token key is named twice')
  const kid = keys[0]?.thumbprint
  return {
    sign: (typ, claims) => signerOf(signing, { typ, kid })(claims),
    find: (name) => byKid.get(name),
    jwks: {
      keys: keys.map(({ key, thumbprint }) => ({
        ...key.export({ format: 'jwk' }),
        kid: thumbprint,
        alg: token_algorithm,
        use: 'sig',
      })),
    },
  }
}

/** The members that make a P-256 public key, read through OpenSSL so that a private key must match its public half. */
const publicHalf = (jwk: JsonWebKey): JsonWebKey =>
  createPublicKey({ key: jwk, format: 'jwk' }).export({ format: 'jwk' })

/** A process that has not read its keys for this long, stopped or cut off, signs nothing before it has. */
const unread_ms_max = 30_000

/** Token keys that `read` gives, the signing one first, and gives anew at each refresh. */
export async function openTokenKeys(
  read: () => Promise<readonly JsonWebKey[]>,
): Promise<LiveTokenKeys> {
  let keys = tokenKeysOf(await read())
  let read_at = performance.now()
  return {
    sign(typ, claims) {
      if (performance.now() - read_at > unread_ms_max)
        throw new TokenKeysStale('the token keys could not be read lately')
      return keys.sign(typ, claims)
    },
    find: (name) => keys.find(name),
    get jwks() {
      return keys.jwks
    },
    async refresh() {
      const asked_at = performance.now()
      keys = tokenKeysOf(await read())
      read_at = asked_at
    },
  }
}
