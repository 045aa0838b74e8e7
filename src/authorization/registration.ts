import type { Client } from '../storage/clients.ts'
import { algorithmNames, importPublicKey, JwsError, suits, type Jwk } from '../storage/jws.ts'
import { isRedirectUri } from './redirect_uri.ts'
import { mayHave } from './scopes.ts'

/**
 * What forbids registering a client, each as a sentence; none when it may be registered. Keys without an algorithm of ours are
 * let be (they may be for encryption), as long as one can authenticate the client.
 */
export function registrationProblems({ kind, jwks, redirectUris, scopes }: Client): string[] {
  const keys = jwks?.keys ?? []
  const kids = keys.map((jwk) => jwk['kid'])
  return [
    ...keys.flatMap(keyProblems),
    ...(keys.some(authenticates) ? [] : ['no key can authenticate the client']),
    ...(new Set(kids).size === kids.length ? [] : ['two keys have the same kid']),
    ...redirectUris
      .filter((uri) => !isRedirectUri(uri))
      .map((uri) => `${uri} is not an https URI, nor one of the loopback interface`),
    ...(kind === 'recipient' && redirectUris.length === 0
      ? ['a recipient has a redirect URI']
      : []),
    ...scopes
      .filter((scope) => !mayHave(kind, scope))
      .map((scope) => `a client of kind ${kind} cannot have the scope ${scope}`),
  ]
}

const authenticates = (jwk: Jwk) => algorithmFor(jwk) !== undefined

const algorithmFor = (jwk: Jwk) => algorithmNames.find((name) => suits(jwk, name))

function keyProblems(jwk: Jwk, i: number): string[] {
  if ('x5u' in jwk) return [`key ${i} refers elsewhere with x5u`]
  if (typeof jwk['kid'] !== 'string') return [`key ${i} has no kid`]
  const algorithm = algorithmFor(jwk)
  if (algorithm === undefined) return 'd' in jwk || 'k' in jwk ? [`key ${i} is not public`] : []
  try {
    importPublicKey(jwk, algorithm)
    return []
  } catch (error) {
    if (error instanceof JwsError) return [`key ${i}: ${error.message}`]
    throw error
  }
}
