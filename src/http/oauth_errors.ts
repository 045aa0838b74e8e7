import type { ErrorRequestHandler, Response } from 'express'
import { OAuthError } from '../authorization/oauth_error.ts'
import { pointingToMetadata } from '../authorization/resource_metadata.ts'
import { problemOf } from './problem.ts'

/** Answers errors as OAuth does (RFC 6749 §5.2). What was thrown stays in `res.locals.error` for the log. */
export const oauthErrors =
  ({ issuer }: { readonly issuer: string }): ErrorRequestHandler =>
  (error, { path }, res: Response, _next) => {
    res.locals['error'] = error
    const { status, code, detail, headers } = problemOf(error)
    res
      .status(status)
      .set({ 'Cache-Control': 'no-store', ...pointingToMetadata(headers, { issuer, path }) })
      .json({ error: oauthCode(error, { status, code }), error_description: detail })
  }

/** What is no OAuth error by itself is one of three, by whose fault it is. No RFC has a code for 429: it has our own. */
function oauthCode(error: unknown, { status, code }: { status: number; code: string }): string {
  if (error instanceof OAuthError) return code
  if (status === 429) return code
  if (status < 500) return 'invalid_request'
  return status === 503 ? 'temporarily_unavailable' : 'server_error'
}
