/**
 * The key that a token is bound to, as its `cnf` claim says it (RFC 7800 §3.1): the thumbprint of the key of every DPoP proof
 * (RFC 9449 §6.1), or that of the client certificate (RFC 8705 §3.1).
 */
export type Binding = { readonly jkt: string } | { readonly 'x5t#S256': string }

/** How a token that is so bound is presented, in the `Authorization` header and in a token response. */
export const tokenType = (binding: Binding): 'DPoP' | 'Bearer' =>
  'jkt' in binding ? 'DPoP' : 'Bearer'

/** Reads a `cnf` claim. Undefined for anything but exactly one of the two. */
export function readBinding(cnf: unknown): Binding | undefined {
  if (typeof cnf !== 'object' || cnf === null || Object.keys(cnf).length !== 1) return undefined
  if ('jkt' in cnf && typeof cnf.jkt === 'string') return { jkt: cnf.jkt }
  if ('x5t#S256' in cnf && typeof cnf['x5t#S256'] === 'string')
    return { 'x5t#S256': cnf['x5t#S256'] }
  return undefined
}
