import {
  constants,
  createPublicKey,
  hash,
  verify,
  type JsonWebKey,
  type KeyObject,
  type VerifyKeyObjectInput,
} from 'node:crypto'

/**
 * The signature algorithms of FAPI 2.0 §5.4.1, and everything that depends on one: which keys it takes, the members of such a
 * key in the order in which RFC 7638 §3.2 hashes them, and how OpenSSL verifies it.
 */
const algorithms = {
  ES256: {
    key: { kty: 'EC', crv: 'P-256' },
    members: ['crv', 'kty', 'x', 'y'],
    digest: 'sha256',
    options: { dsaEncoding: 'ieee-p1363' },
  },
  PS256: {
    key: { kty: 'RSA' },
    members: ['e', 'kty', 'n'],
    digest: 'sha256',
    options: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 },
  },
  EdDSA: {
    key: { kty: 'OKP', crv: 'Ed25519' },
    members: ['crv', 'kty', 'x'],
    digest: null,
    options: {},
  },
} as const satisfies Record<
  string,
  {
    key: JsonWebKey
    members: readonly string[]
    digest: 'sha256' | null
    options: Omit<VerifyKeyObjectInput, 'key'>
  }
>

type Algorithm = keyof typeof algorithms

export const algorithmNames = Object.keys(algorithms) as readonly Algorithm[]

const rsa_bits = { min: 2048, max: 4096 } as const

/** iat and nbf may lie this far ahead (FAPI 2.0 §5.3.2.1 no. 13: 10 s must be accepted, 60 s must not). */
export const future_s_max = 10

const jti_chars_max = 256

/** A JWT or a key that is not acceptable; the message says why and repeats nothing that was sent. */
export class JwtError extends Error {
  override readonly name = 'JwtError'
}

/** The algorithm that a header names. Throws `JwtError` for any other than ours. */
export function algorithmOf(alg: unknown): Algorithm {
  const algorithm = algorithmNames.find((name) => name === alg)
  if (algorithm === undefined) throw new JwtError(`alg is not one of ${algorithmNames.join(', ')}`)
  return algorithm
}

/** A public key for one algorithm, with its RFC 7638 thumbprint. */
export interface PublicKey {
  readonly algorithm: Algorithm
  readonly key: KeyObject
  readonly thumbprint: string
}

const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']

/** Whether a JWK is of the kind that this algorithm takes, and says nothing against verifying with it. */
export function suits(jwk: JsonWebKey, algorithm: Algorithm): boolean {
  return (
    Object.entries(algorithms[algorithm].key).every(([name, value]) => jwk[name] === value) &&
    (jwk['use'] ?? 'sig') === 'sig' &&
    (jwk['alg'] ?? algorithm) === algorithm
  )
}

/** A public JWK as a key for one algorithm. Throws `JwtError`, for a key that holds a private part too. */
export function importPublicKey(jwk: JsonWebKey, algorithm: Algorithm): PublicKey {
  if (privateMembers.some((name) => name in jwk)) throw new JwtError('the key is not public')
  if (!suits(jwk, algorithm)) throw new JwtError(`the key is not one for ${algorithm}`)
  const { members } = algorithms[algorithm]
  const taken = Object.fromEntries(members.map((name) => [name, jwk[name]]))
  let key: KeyObject
  try {
    key = createPublicKey({ key: taken, format: 'jwk' })
  } catch {
    throw new JwtError('the key is not valid')
  }
  const bits = key.asymmetricKeyDetails?.modulusLength ?? rsa_bits.min
  if (bits < rsa_bits.min || bits > rsa_bits.max)
    throw new JwtError(`an RSA key has ${rsa_bits.min} to ${rsa_bits.max} bits`)
  return { algorithm, key, thumbprint: hash('sha256', JSON.stringify(taken), 'base64url') }
}

type Members = Readonly<Record<string, unknown>>

/** A JWT in compact form, taken apart and not yet verified. */
export interface Jwt {
  readonly header: () => Members
  /** The header as it was sent: the same text always is the same header. */
  readonly headerText: string
  readonly claims: Members
  readonly input: Buffer
  readonly signature: Buffer
}

const compact = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)$/

/** Header members that would change what is signed or where the key comes from; none is understood here (RFC 7515 §4.1.11). */
const refusedHeaders = ['crit', 'b64', 'jku', 'x5u']

/** Takes a compact JWT apart. Throws `JwtError` for what is none. */
export function parseJwt(text: string): Jwt {
  const [, headerText = '', claimsText = '', signatureText = ''] = compact.exec(text) ?? []
  const signature = Buffer.from(signatureText, 'base64url')
  // Base64url text has bits to spare in its last character: one signature has one text.
  if (headerText === '' || signature.toString('base64url') !== signatureText)
    throw new JwtError('not a signed JWT in compact form')
  return {
    header() {
      const header = membersOf(headerText)
      if (refusedHeaders.some((name) => name in header))
        throw new JwtError(`none of ${refusedHeaders.join(', ')} is accepted in a header`)
      return header
    },
    headerText,
    claims: membersOf(claimsText),
    input: Buffer.from(text.slice(0, headerText.length + 1 + claimsText.length)),
    signature,
  }
}

function membersOf(text: string): Members {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, 'base64url').toString())
    if (isMembers(value)) return value
  } catch {
    // Said below: whatever is not a JSON object is not a part of a JWT.
  }
  throw new JwtError('not a signed JWT in compact form')
}

const isMembers = (value: unknown): value is Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * Whether the signature is the key's. On OpenSSL's threads: under 64 concurrent proofs the processor time is the same as on
 * the event loop (70 µs each; a JOSE library over WebCrypto takes 90), and the loop is free for everything else meanwhile.
 */
export function isSignedBy(
  { input, signature }: Jwt,
  { algorithm, key }: PublicKey,
): Promise<boolean> {
  const { digest, options } = algorithms[algorithm]
  return new Promise((resolve, reject) => {
    verify(digest, input, { key, ...options }, signature, (error, verified) =>
      error === null ? resolve(verified) : reject(error),
    )
  })
}

/** Throws `JwtError` unless the times that the claims carry are numbers and hold at `now`, seconds since the epoch. */
export function checkTimes({ iat, nbf, exp }: Members, now: number): void {
  for (const begin of [iat, nbf])
    if (begin !== undefined && !(typeof begin === 'number' && begin <= now + future_s_max))
      throw new JwtError('iat or nbf is not a time that has come')
  if (exp !== undefined && !(typeof exp === 'number' && exp > now))
    throw new JwtError('exp is not a time to come')
}

/** The identifier under which a JWT is accepted once. Throws `JwtError` when there is none, or one without bound. */
export function jtiOf({ jti }: Members): string {
  if (typeof jti !== 'string' || jti === '' || jti.length > jti_chars_max)
    throw new JwtError(`jti is required, of at most ${jti_chars_max} characters`)
  return jti
}
