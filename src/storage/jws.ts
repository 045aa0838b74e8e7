import { constants, createPublicKey, verify } from 'node:crypto'
import type { VerifyJws } from '../ledger/approval.ts'

/** JWS signatures (RFC 7518 §3) by OpenSSL: ES256, PS256 and EdDSA over Ed25519. False for any other key or algorithm. */
export const verifyJws: VerifyJws = (jwk, alg, input, signature) => {
  try {
    const key = createPublicKey({ key: { ...jwk }, format: 'jwk' })
    const kind = key.asymmetricKeyType
    if (alg === 'ES256')
      return (
        kind === 'ec' &&
        key.asymmetricKeyDetails?.namedCurve === 'prime256v1' &&
        verify('sha256', input, { key, dsaEncoding: 'ieee-p1363' }, signature)
      )
    if (alg === 'EdDSA') return kind === 'ed25519' && verify(null, input, key, signature)
    return (
      alg === 'PS256' &&
      kind === 'rsa' &&
      (key.asymmetricKeyDetails?.modulusLength ?? 0) >= 2048 &&
      verify(
        'sha256',
        input,
        { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 },
        signature,
      )
    )
  } catch {
    return false
  }
}
