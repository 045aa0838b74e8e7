import { clusters } from '../consent/cluster.ts'
import type { Client } from '../storage/clients.ts'

/** Scopes that a client gets for itself (client_credentials), with the kinds of client that may be registered for each. */
const clientScopes: ReadonlyMap<string, readonly Client['kind'][]> = new Map([
  ['ledger:read', ['bank', 'auditor']],
  ['audit:read', ['auditor']],
  ['consents:read', ['bank']],
  ['consents:revoke', ['bank']],
  ['statements:write', ['bank']],
  ['registry:read', ['operator']],
  ['registry:write', ['operator']],
  ['registry:approve', ['bank']],
  ['grant_management_query', ['recipient']],
  ['grant_management_revoke', ['recipient']],
])

/** Whether a client of this kind may ever have this scope for itself. */
export function mayHave(kind: Client['kind'], scope: string): boolean {
  return clientScopes.get(scope)?.includes(kind) ?? false
}

/** Every scope of a token that a client gets for itself. */
export const clientScopeNames: readonly string[] = [...clientScopes.keys()]

/** Every scope that a client can ask for. */
export const scopeNames: readonly string[] = [
  ...Object.values(clusters).map(({ scope }) => scope),
  ...clientScopeNames,
]

/** Whether two scope strings name the same scopes, in any order. */
export function sameScopes(a: string, b: string): boolean {
  const set = (scope: string) => [...new Set(scope.split(' '))].toSorted().join(' ')
  return set(a) === set(b)
}
