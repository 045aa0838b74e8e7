import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose'
import type { JWK } from 'jose'

/** A bank's private keys as JWKs, both ES256. Keep them to give a restarted bank its identity back. */
export interface BankKeys {
  /** Signs id tokens; published at the authorization server's `jwks_uri`. */
  readonly login: JWK
  /** Signs what the bank itself vouches for: approvals of recipients, and statements of what it served. */
  readonly approval: JWK
}

/** New keys. */
export async function generateBankKeys(): Promise<BankKeys> {
  return { login: await generateKey(), approval: await generateKey() }
}

/** A new private ES256 key. */
export async function generateKey(): Promise<JWK> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true })
  const jwk = await exportJWK(privateKey)
  return { ...jwk, kid: await calculateJwkThumbprint(jwk), alg: 'ES256', use: 'sig' }
}

/** The key without its secret. */
export function publicKey(key: JWK): JWK {
  const { d: _, ...known } = key
  return known
}
