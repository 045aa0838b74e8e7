import { isJsonObject, type JsonObject } from '../ledger/json_object.ts'
import { JwsError, type Signed } from '../storage/jws.ts'

/** iat and nbf may lie this far ahead (FAPI 2.0 §5.3.2.1 no. 13: 10 s must be accepted, 60 s must not). */
export const future_s_max = 10

const jti_chars_max = 256

/** Headers with a key in them, RSA of 4096 bits, stay below half of it. */
const header_chars_max = 4_096

/** A JWT in compact form, taken apart and not yet verified. */
export interface Jwt extends Signed {
  readonly header: () => JsonObject
  /** The header as it was sent: the same text always is the same header. */
  readonly headerText: string
  readonly claims: JsonObject
}

const compact = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)$/

/** Header members that would change what is signed or where the key comes from; none is understood here (RFC 7515 §4.1.11). */
const refusedHeaders = ['crit', 'b64', 'jku', 'x5u']

/** Takes a compact JWT apart. Throws `JwsError` for what is none. */
export function parseJwt(text: string): Jwt {
  const [, headerText = '', claimsText = '', signatureText = ''] = compact.exec(text) ?? []
  const signature = Buffer.from(signatureText, 'base64url')
  // Base64url text has bits to spare in its last character: one signature has one text.
  if (headerText === '' || signature.toString('base64url') !== signatureText)
    throw new JwsError('not a signed JWT in compact form')
  if (headerText.length > header_chars_max) throw new JwsError('the header is too long')
  return {
    header() {
      const header = membersOf(headerText)
      if (refusedHeaders.some((name) => name in header))
        throw new JwsError(`none of ${refusedHeaders.join(', ')} is accepted in a header`)
      return header
    },
    headerText,
    claims: membersOf(claimsText),
    input: Buffer.from(text.slice(0, headerText.length + 1 + claimsText.length)),
    signature,
  }
}

function membersOf(text: string): JsonObject {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, 'base64url').toString())
    if (isJsonObject(value)) return value
  } catch {
    // Said below: whatever is not a JSON object is not a part of a JWT.
  }
  throw new JwsError('not a signed JWT in compact form')
}

/** Throws `JwsError` unless the times that the claims carry are numbers and hold at `now`, seconds since the epoch. */
export function checkTimes({ iat, nbf, exp }: JsonObject, now: number): void {
  for (const begin of [iat, nbf])
    if (begin !== undefined && !(typeof begin === 'number' && begin <= now + future_s_max))
      throw new JwsError('iat or nbf is not a time that has come')
  if (exp !== undefined && !(typeof exp === 'number' && exp > now))
    throw new JwsError('exp is not a time to come')
}

/** The identifier under which a JWT is accepted once. Throws `JwsError` when there is none, or one without bound. */
export function jtiOf({ jti }: JsonObject): string {
  if (typeof jti !== 'string' || jti === '' || jti.length > jti_chars_max)
    throw new JwsError(`jti is required, of at most ${jti_chars_max} characters`)
  return jti
}
