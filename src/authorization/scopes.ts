import { clusters } from '../consent/cluster.ts'
import type { Client } from '../storage/clients.ts'

/** Scopes that a client gets for itself (client_credentials), with the kinds of client that may be registered for each. */
export const clientScopes = {
  'ledger:read': ['bank', 'auditor'],
  'consents:revoke': ['bank'],
  grant_management_query: ['recipient'],
  grant_management_revoke: ['recipient'],
} as const satisfies Record<string, readonly Client['kind'][]>

export type ClientScope = keyof typeof clientScopes

/** Whether a client of this kind may ever have this scope for itself. */
export function mayHave(kind: Client['kind'], scope: string): boolean {
  const kinds: readonly Client['kind'][] = Object.hasOwn(clientScopes, scope)
    ? clientScopes[scope as ClientScope]
    : []
  return kinds.includes(kind)
}

export const scopeNames: readonly string[] = [
  ...Object.values(clusters).map(({ scope }) => scope),
  ...Object.keys(clientScopes),
]

/** Whether two scope strings name the same scopes, in any order. */
export function sameScopes(a: string, b: string): boolean {
  const set = (scope: string) => [...new Set(scope.split(' '))].toSorted().join(' ')
  return set(a) === set(b)
}
