import {
  constants,
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  sign,
  type JsonWebKey,
  type KeyObject,
} from 'node:crypto'

export type Alg = 'ES256' | 'PS256' | 'EdDSA' | 'RS256' | 'none'

/** What a JWT says beside what it says by default; a member set to undefined is left out. */
export interface JwtParts {
  readonly header?: Readonly<Record<string, unknown>>
  readonly claims?: Readonly<Record<string, unknown>>
}

/** Signs whatever it is given, right or wrong, with OpenSSL and nothing of ours. */
export interface Signer {
  readonly alg: Alg
  readonly publicJwk: JsonWebKey
  readonly privateJwk: JsonWebKey
  sign(parts: Required<JwtParts>): string
  /** The same for claims that are text already. */
  signText(header: object, claims: string): string
}

const pairs: Record<Alg, () => { publicKey: KeyObject; privateKey: KeyObject }> = {
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  PS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  EdDSA: () => generateKeyPairSync('ed25519'),
  RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  none: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
}

export function newSigner(alg: Alg, pair = pairs[alg]()): Signer {
  const { publicKey, privateKey } = pair
  const signText = (header: object, claims: string) => {
    const input = `${encode(JSON.stringify(header))}.${encode(claims)}`
    return `${input}.${signature(alg, Buffer.from(input), privateKey).toString('base64url')}`
  }
  return {
    alg,
    publicJwk: publicKey.export({ format: 'jwk' }),
    privateJwk: privateKey.export({ format: 'jwk' }),
    sign: ({ header, claims }) => signText(header, JSON.stringify(claims)),
    signText,
  }
}

function signature(alg: Alg, input: Buffer, key: KeyObject): Buffer {
  switch (alg) {
    case 'ES256':
      return sign('sha256', input, { key, dsaEncoding: 'ieee-p1363' })
    case 'PS256':
      return sign('sha256', input, {
        key,
        padding: constants.RSA_PKCS1_PSS_PADDING,
        saltLength: 32,
      })
    case 'EdDSA':
      return sign(null, input, key)
    case 'RS256':
      return sign('sha256', input, key)
    case 'none':
      return Buffer.alloc(0)
  }
}

const encode = (text: string) => Buffer.from(text).toString('base64url')

export const sha256 = (text: string): string =>
  createHash('sha256').update(text).digest('base64url')

/** The same key, used by another algorithm. */
export const signingBy = ({ publicJwk, privateJwk }: Signer, alg: Alg): Signer =>
  newSigner(alg, {
    publicKey: createPublicKey({ key: publicJwk, format: 'jwk' }),
    privateKey: createPrivateKey({ key: privateJwk, format: 'jwk' }),
  })

/** The RFC 7638 thumbprint of an ES256 key. */
export const thumbprintOf = ({ publicJwk: { crv, kty, x, y } }: Signer): string =>
  sha256(JSON.stringify({ crv, kty, x, y }))
