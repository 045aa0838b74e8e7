import { createPrivateKey, createPublicKey, hash, randomUUID, sign } from 'node:crypto'
import type { JWK } from 'jose'

/** What one DPoP proof is for. */
export interface ProofFor {
  readonly method: string
  readonly url: string
  readonly accessToken: string
  /** The newest `DPoP-Nonce` of the place that it goes to. */
  readonly nonce?: string | undefined
}

/**
 * Makes DPoP proofs (RFC 9449 §4.2) with a private key for ES256 or EdDSA over Ed25519. OpenSSL signs them without a thread's
 * round trip, 30 µs each: every fetch of data needs one.
 */
export function dpopProver(key: JWK, now: () => number): (proof: ProofFor) => string {
  const privateKey = createPrivateKey({ key: { ...key }, format: 'jwk' })
  const { kty, crv, x, y } = createPublicKey(privateKey).export({ format: 'jwk' })
  const elliptic = kty === 'EC'
  const header = encode({
    typ: 'dpop+jwt',
    alg: elliptic ? 'ES256' : 'EdDSA',
    jwk: { kty, crv, x, y },
  })
  return ({ method, url, accessToken, nonce }) => {
    const { origin, pathname } = new URL(url)
    const claims = {
      jti: randomUUID(),
      htm: method,
      htu: origin + pathname,
      iat: Math.floor(now() / 1000),
      ath: hash('sha256', accessToken, 'base64url'),
      nonce,
    }
    const input = Buffer.from(`${header}.${encode(claims)}`)
    const signature = sign(elliptic ? 'sha256' : null, input, {
      key: privateKey,
      dsaEncoding: 'ieee-p1363',
    })
    return `${input.toString()}.${signature.toString('base64url')}`
  }
}

const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url')
