import { X509Certificate } from 'node:crypto'
import { isJsonObject } from '../ledger/json_object.ts'
import {
  algorithmNames,
  importPublicKey,
  JwsError,
  privateMembers,
  suits,
  type Jwk,
} from '../storage/jws.ts'

/** A client has at most this many keys. */
const keys_max = 50

/** The keys of a JWK Set (RFC 7517 §5). Undefined for anything else. */
export function keysOf(value: unknown): readonly Jwk[] | undefined {
  if (!isJsonObject(value)) return undefined
  const { keys } = value
  return Array.isArray(keys) && keys.every(isJsonObject) ? keys : undefined
}

/**
 * What forbids accepting keys as a client's, each as a sentence (FAPI 2.0 §5.4.2). Keys without an algorithm of ours are let be:
 * they may be for encryption, or a certificate's.
 */
export function keySetProblems(keys: readonly Jwk[]): string[] {
  const kids = keys.map((jwk) => jwk['kid'])
  return [
    ...(keys.length > keys_max ? [`there are more than ${keys_max} keys`] : []),
    ...keys.flatMap(keyProblems),
    ...(new Set(kids).size === kids.length ? [] : ['two keys have the same kid']),
  ]
}

/** Whether a key can verify what the client signs. */
export const verifies = (jwk: Jwk): boolean => algorithmFor(jwk) !== undefined

/** The certificate that a key is registered with, base64: the first of its chain (RFC 7517 §4.7). */
export function certificateOf({ x5c }: Jwk): string | undefined {
  const first: unknown = Array.isArray(x5c) ? x5c[0] : undefined
  return typeof first === 'string' ? first : undefined
}

/** Whether a key's certificate can be read, and is one for this key. */
function hasItsCertificate(jwk: Jwk): boolean {
  try {
    const { publicKey } = new X509Certificate(Buffer.from(certificateOf(jwk) ?? '', 'base64'))
    return Object.entries(publicKey.export({ format: 'jwk' })).every(
      ([name, value]) => jwk[name] === value,
    )
  } catch {
    return false
  }
}

const algorithmFor = (jwk: Jwk) => algorithmNames.find((name) => suits(jwk, name))

/** Members that say where a key is to be found. */
const elsewhere = ['x5u', 'jku']

function keyProblems(jwk: Jwk, i: number): string[] {
  const reference = elsewhere.find((name) => name in jwk)
  if (reference !== undefined) return [`key ${i} refers elsewhere with ${reference}`]
  if (typeof jwk['kid'] !== 'string') return [`key ${i} has no kid`]
  if (privateMembers.some((name) => name in jwk)) return [`key ${i} is not public`]
  if ('x5c' in jwk && !hasItsCertificate(jwk)) return [`key ${i} has a certificate of another key`]
  const algorithm = algorithmFor(jwk)
  if (algorithm === undefined) return []
  try {
    importPublicKey(jwk, algorithm)
    return []
  } catch (error) {
    if (error instanceof JwsError) return [`key ${i}: ${error.message}`]
    throw error
  }
}
