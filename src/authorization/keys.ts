import { createPublicKey, type JsonWebKey } from 'node:crypto'
import { importPrivateKey, importPublicKey, signerOf, type PublicKey } from '../storage/jws.ts'

/** The keys of our access tokens: one signs, all verify. */
export interface TokenKeys {
  /** A JWT of this `typ` (RFC 8725 §3.11) under the signing key. */
  sign(typ: string, claims: object): string
  find(kid: unknown): PublicKey | undefined
  /** The public halves, as `/oauth/jwks` serves them. */
  readonly jwks: { readonly keys: readonly JsonWebKey[] }
}

/**
 * Token keys from JWKs (P-256). The first is private and signs; the others, private or public, are verified and published
 * too, so that a key can be published before it signs and kept for five minutes after. Each is named by its thumbprint.
 * Throws for anything else.
 */
export function openTokenKeys([first, ...others]: readonly JsonWebKey[]): TokenKeys {
  if (first?.d === undefined)
    throw new TypeError('the first token key is the private one that signs')
  const signing = importPrivateKey({ ...first })
  const keys = [first, ...others].map((jwk) => importPublicKey(publicHalf(jwk), 'ES256'))
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
        alg: 'ES256',
        use: 'sig',
      })),
    },
  }
}

/** The members that make a P-256 public key, read through OpenSSL so that a private key must match its public half. */
const publicHalf = (jwk: JsonWebKey): JsonWebKey =>
  createPublicKey({ key: jwk, format: 'jwk' }).export({ format: 'jwk' })
