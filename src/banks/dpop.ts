import { randomUUID } from 'node:crypto'
import type { JWK } from 'jose'
import { importPrivateKey, signerOf } from '../storage/jws.ts'
import { sha256Text } from '../storage/sha256.ts'

/** What one DPoP proof is for. */
export interface ProofFor {
  readonly method: string
  readonly url: string
  /** Absent where a token is asked for. */
  readonly accessToken?: string
  /** The newest `DPoP-Nonce` of the place that it goes to. */
  readonly nonce?: string | undefined
}

/** Makes DPoP proofs (RFC 9449 §4.2) with a private key: every fetch of data needs one. */
export function dpopProver(key: JWK, now: () => number): (proof: ProofFor) => string {
  const privateKey = importPrivateKey({ ...key })
  const sign = signerOf(privateKey, { typ: 'dpop+jwt', jwk: privateKey.publicJwk })
  return ({ method, url, accessToken, nonce }) => {
    const { origin, pathname } = new URL(url)
    return sign({
      jti: randomUUID(),
      htm: method,
      htu: origin + pathname,
      iat: Math.floor(now() / 1000),
      ath: accessToken && sha256Text(accessToken),
      nonce,
    })
  }
}
