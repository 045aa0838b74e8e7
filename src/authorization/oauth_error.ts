import { Refusal, type RefusalReason } from '../consent/refusal.ts'

/**
 * Every error code of the authorization server and of the endpoints it protects, with its status: RFC 6749 §4.1.2.1 and §5.2,
 * RFC 6750 §3.1, RFC 7009 §2.2.1, RFC 9101 §6, RFC 9126 §2.3, RFC 9396 §5, RFC 9449 §5 and §8, Grant Management.
 */
const statuses = {
  invalid_request: 400,
  invalid_client: 401,
  invalid_grant: 400,
  invalid_scope: 400,
  invalid_authorization_details: 400,
  invalid_dpop_proof: 400,
  use_dpop_nonce: 400,
  unauthorized_client: 400,
  access_denied: 400,
  unsupported_grant_type: 400,
  unsupported_response_type: 400,
  unsupported_token_type: 400,
  invalid_request_object: 400,
  invalid_token: 401,
  insufficient_scope: 403,
  invalid_grant_id: 404,
  temporarily_unavailable: 503,
  server_error: 500,
} as const

export type OAuthErrorCode = keyof typeof statuses

/** What an OAuth endpoint answers instead of what was asked. `description` is for people and repeats nothing that was sent. */
export class OAuthError extends Error {
  override readonly name = 'OAuthError'
  readonly code: OAuthErrorCode
  readonly status: number
  readonly headers: Readonly<Record<string, string>>

  constructor(
    code: OAuthErrorCode,
    description: string,
    {
      status = statuses[code],
      headers = {},
    }: { status?: number; headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(description)
    this.code = code
    this.status = status
    this.headers = headers
  }
}

/** The OAuth error of each refusal, where authorization is asked for (PAR) and where tokens are. */
const refusals: Readonly<Record<RefusalReason, OAuthErrorCode>> = {
  class_denied: 'access_denied',
  recipient_not_approved: 'unauthorized_client',
  recipient_suspended: 'unauthorized_client',
  purpose_denied: 'invalid_authorization_details',
  purpose_not_approved: 'invalid_authorization_details',
  cluster_not_approved: 'invalid_authorization_details',
  consent_unknown: 'invalid_grant',
  consent_of_another_recipient: 'invalid_grant',
  consent_declined: 'invalid_grant',
  consent_not_active: 'invalid_grant',
  consent_revoked: 'invalid_grant',
  consent_expired: 'invalid_grant',
  token_revoked: 'invalid_grant',
  delivery_not_covered: 'access_denied',
  account_not_covered: 'access_denied',
  cluster_not_covered: 'access_denied',
  time_not_covered: 'access_denied',
}

/** A refusal as an OAuth client is told of it. */
export function refusalError(reason: RefusalReason): OAuthError {
  return new OAuthError(refusals[reason], new Refusal(reason).message)
}
