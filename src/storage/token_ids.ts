import { hashOf, random128 } from './ids.ts'

/**
 * A new access token's `jti`. One that comes with or by a refresh token begins with that one's family, so that both can be ended
 * together, whoever holds them; no row is written for an access token.
 */
export const newTokenId = (refreshToken?: string): string =>
  refreshToken === undefined ? random128() : `${familyOf(refreshToken)}.${random128()}`

/** The family of a refresh token, and of every access token that came with it or by it: its hash, base64url. */
export const familyOf = (refreshToken: string): string => hashOf(refreshToken).toString('base64url')

/** The family that a `jti` begins with, where it has one. */
export function familyIn(jti: string): string | undefined {
  const dot = jti.indexOf('.')
  return dot < 0 ? undefined : jti.slice(0, dot)
}

/** What an access token is revoked by: its `jti`, or its family. */
export function revocableNames(jti: string): string[] {
  const family = familyIn(jti)
  return family === undefined ? [jti] : [jti, family]
}
