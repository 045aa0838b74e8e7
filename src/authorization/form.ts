import { OAuthError } from './oauth_error.ts'

/** The parameters of a request to an OAuth endpoint. */
export type Form = ReadonlyMap<string, string>

/**
 * Reads an `application/x-www-form-urlencoded` body. A parameter sent twice is an error, one without a value counts as not
 * sent (RFC 6749 §3.1). Throws `OAuthError`.
 */
export function parseForm(body: string): Form {
  const form = new Map<string, string>()
  for (const [name, value] of new URLSearchParams(body)) {
    if (form.has(name))
      throw new OAuthError('invalid_request', 'a parameter is sent more than once')
    if (value.includes('\0')) throw new OAuthError('invalid_request', 'a parameter holds NUL')
    form.set(name, value)
  }
  for (const [name, value] of form) if (value === '') form.delete(name)
  return form
}

/** A parameter that must be there. Throws `OAuthError`. */
export function required(form: Form, name: string): string {
  const value = form.get(name)
  if (value === undefined) throw new OAuthError('invalid_request', `${name} is required`)
  return value
}
