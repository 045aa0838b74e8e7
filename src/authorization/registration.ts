import type { Client } from '../storage/clients.ts'
import { certificateOf, keySetProblems, verifies } from './key_set.ts'
import { isSecureUri } from './secure_uri.ts'
import { mayHave, scopeNames } from './scopes.ts'
import { subjectProblem } from './certificate_subject.ts'

/** What forbids registering a client, each as a sentence; none when it may be registered. */
export function registrationProblems(client: Client): string[] {
  const { kind, redirectUris, scopes } = client
  return [
    ...authenticationProblems(client),
    ...redirectUris
      .filter((uri) => !isSecureUri(uri))
      .map(() => 'a redirect URI is neither https nor of the loopback interface'),
    ...(kind === 'recipient' && redirectUris.length === 0
      ? ['a recipient has a redirect URI']
      : []),
    ...scopes
      .filter((scope) => !mayHave(kind, scope))
      .map((scope) => `a client of kind ${kind} cannot have ${scopeInWords(scope)}`),
  ]
}

/** No error repeats a text that was sent: a scope of ours is none of those. */
const scopeInWords = (scope: string) =>
  scopeNames.includes(scope) ? `the scope ${scope}` : 'a scope that there is not'

/** Keys at a `jwks_uri` are looked at when they are fetched. */
function authenticationProblems(client: Client): string[] {
  const { authentication, jwks, jwksUri, signedRequests } = client
  const { method } = authentication
  const keys = jwks?.keys ?? []
  const has = (isSuch: (key: (typeof keys)[number]) => boolean) =>
    jwksUri !== undefined || keys.some(isSuch)
  const problems: readonly (readonly [boolean, string])[] = [
    [jwks !== undefined && jwksUri !== undefined, 'keys are given by value or by URI, not by both'],
    [
      jwksUri !== undefined && !isSecureUri(jwksUri),
      'jwks_uri is not an https URI, nor one of the loopback interface',
    ],
    [method === 'private_key_jwt' && !has(verifies), 'no key can authenticate the client'],
    [
      method === 'self_signed_tls_client_auth' && !has((key) => certificateOf(key) !== undefined),
      'no key has the certificate (x5c) that authenticates the client',
    ],
    [signedRequests && !has(verifies), 'no key can verify signed requests'],
  ]
  const subject = 'subject' in authentication ? subjectProblem(authentication.subject) : undefined
  return [
    ...keySetProblems(keys),
    ...problems.filter(([holds]) => holds).map(([, problem]) => problem),
    ...(subject === undefined ? [] : [subject]),
  ]
}
