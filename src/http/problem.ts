import type { ErrorRequestHandler } from 'express'
import { TokenKeysStale } from '../authorization/keys.ts'
import { OAuthError } from '../authorization/oauth_error.ts'
import { resourceError } from '../authorization/resource_error.ts'
import { pointingToMetadata } from '../authorization/resource_metadata.ts'
import { RegistrationRefused } from '../authorization/register_client.ts'
import { ApprovalRejected } from '../broker/approve_recipient.ts'
import { DoorBusy, DoorUnavailable, LedgerClosed, ReleasesStopped } from '../broker/append.ts'
import { BankRefused, BankUnavailable } from '../broker/bank_port.ts'
import { NoReport } from '../broker/report_range.ts'
import { StatementRejected } from '../broker/enter_statement.ts'
import { FrequencyUsedUp } from '../broker/frequency.ts'
import { AnswerTooLate } from '../broker/release.ts'
import { Refusal, type RefusalReason } from '../consent/refusal.ts'
import { ArchiveConflict, ArchiveUnavailable } from '../storage/archive.ts'
import { EntriesLost } from '../storage/lost_entries.ts'
import { IndexBehind } from '../storage/audit_search.ts'
import { databaseUnavailable } from '../storage/unavailable.ts'

/** A problem document (RFC 9457). `code` is stable and for programs, `detail` for people. */
export interface Problem {
  readonly status: number
  readonly code: string
  readonly detail: string
  readonly headers: Readonly<Record<string, string>>
  /** What is wrong with which part of the request, where the contract can say so. */
  readonly errors?: readonly object[]
}

/** A request that HTTP itself or the contract refuses. `detail` repeats nothing that was sent. */
export class RequestError extends Error {
  override readonly name = 'RequestError'
  readonly status: 400 | 401 | 403 | 404 | 405 | 409 | 413 | 415 | 429
  readonly code: string
  readonly headers: Readonly<Record<string, string>>
  readonly errors: readonly object[] | undefined

  constructor(
    status: RequestError['status'],
    code: string,
    detail: string,
    headers: Readonly<Record<string, string>> = {},
    errors?: readonly object[],
  ) {
    super(detail)
    this.status = status
    this.code = code
    this.headers = headers
    this.errors = errors
  }
}

/** The status of each refusal: permission is 403; a consent that is not there for the caller 404; an ended token 401. */
const refusals: Readonly<Record<RefusalReason, number>> = {
  class_denied: 403,
  recipient_not_approved: 403,
  recipient_suspended: 403,
  purpose_denied: 403,
  purpose_not_approved: 403,
  cluster_not_approved: 403,
  consent_unknown: 404,
  consent_of_another_recipient: 403,
  consent_declined: 403,
  consent_not_active: 403,
  consent_revoked: 403,
  consent_expired: 403,
  token_revoked: 401,
  delivery_not_covered: 403,
  account_not_covered: 403,
  cluster_not_covered: 403,
  time_not_covered: 403,
}

const bankRefusals: Readonly<Record<BankRefused['why'], number>> = {
  cancelled: 403,
  login_invalid: 403,
  not_an_auditor: 403,
  invalid_grant: 403,
  invalid_token: 502,
}

/** What an error of this kind looks like; undefined for any other. */
type Seen = (error: unknown) => Problem | undefined

const on =
  <E extends Error>(
    kind: abstract new (...given: never[]) => E,
    see: (error: E) => Problem,
  ): Seen =>
  (error) =>
    error instanceof kind ? see(error) : undefined

const unreachable = () => retry(5, 'unavailable', 'the ledger cannot be reached')

const archiveSilent = () =>
  retry(60, 'unavailable', 'some of the entries asked for cannot be read from their archive')

const entriesLost = () => retry(60, 'unavailable', 'some of the entries asked for cannot be read')

/** How each kind of error that is meant for outside looks there. */
const seen: readonly Seen[] = [
  on(RequestError, ({ status, code, message, headers, errors }) => ({
    ...{ status, code, detail: message, headers },
    ...(errors && { errors }),
  })),
  on(OAuthError, ({ status, code, message, headers }) => ({
    ...{ status, code, detail: message, headers },
  })),
  on(Refusal, ({ reason, message }) => ({
    ...problem(refusals[reason], reason, message),
    headers: reason === 'token_revoked' ? tokenRevoked(message).headers : {},
  })),
  on(FrequencyUsedUp, ({ frequency, message }) => ({
    ...problem(429, 'frequency_limit', message),
    headers: { 'Retry-After': String(Math.ceil(frequency.reset_ms / 1000)) },
  })),
  on(RegistrationRefused, ({ taken, problems: whys, message }) =>
    taken
      ? problem(409, 'client_taken', message)
      : {
          ...problem(400, 'invalid_client_metadata', 'no client can be registered so'),
          errors: whys.map((detail) => ({ in: 'body', name: '', detail })),
        },
  ),
  on(ApprovalRejected, ({ outOfOrder, message }) =>
    outOfOrder
      ? problem(409, 'approval_out_of_order', message)
      : problem(400, 'approval_rejected', message),
  ),
  on(StatementRejected, ({ outOfOrder, message }) =>
    outOfOrder
      ? problem(409, 'statement_out_of_order', message)
      : problem(400, 'statement_rejected', message),
  ),
  on(NoReport, ({ tooLarge, message }) =>
    tooLarge ? problem(400, 'range_too_large', message) : retry(1, 'unavailable', message),
  ),
  on(IndexBehind, () =>
    retry(5, 'index_rebuilding', 'what entries are found by is being made anew'),
  ),
  on(DoorBusy, () => retry(1, 'busy', 'the ledger is busy')),
  on(LedgerClosed, () =>
    problem(503, 'ledger_closed', 'the ledger of this bank was closed: nothing can be entered'),
  ),
  on(ReleasesStopped, () =>
    retry(5, 'releases_stopped', 'no data is released until the ledger is signed again'),
  ),
  on(DoorUnavailable, unreachable),
  on(TokenKeysStale, unreachable),
  (error) => (databaseUnavailable(error) ? unreachable() : undefined),
  on(ArchiveUnavailable, archiveSilent),
  on(ArchiveConflict, archiveSilent),
  on(EntriesLost, entriesLost),
  on(AnswerTooLate, () =>
    retry(1, 'answer_too_late', 'the answer was not ready in time and was dropped'),
  ),
  on(BankUnavailable, ({ why }) =>
    problem(why === 'timeout' ? 504 : 502, `bank_${why}`, 'the bank did not answer as it should'),
  ),
  on(BankRefused, ({ why }) =>
    problem(bankRefusals[why], `bank_refused_${why}`, 'the bank refused'),
  ),
  unreadable,
]

/**
 * What an error looks like from outside: the only place that knows the HTTP statuses of what the broker throws. An error that
 * is not named here says nothing.
 */
export function problemOf(error: unknown): Problem {
  for (const see of seen) {
    const found = see(error)
    if (found !== undefined) return found
  }
  return problem(500, 'internal', 'something went wrong on our side')
}

/** Express and its body parsers throw errors of status 4xx; their messages may repeat what was sent. */
function unreadable(error: unknown): Problem | undefined {
  if (!(error instanceof Error) || !('status' in error) || typeof error.status !== 'number')
    return undefined
  const { status } = error
  if (status === 413) return problem(status, 'body_too_large', 'the body is too large')
  if (status === 415) return problem(status, 'media_type', 'the media type is not accepted')
  return status >= 400 && status < 500
    ? problem(400, 'malformed', 'the request cannot be read')
    : undefined
}

/** To OAuth, a token that was revoked is none (RFC 6750 §3.1). */
const tokenRevoked = (detail: string) => resourceError(new OAuthError('invalid_token', detail))

const problem = (status: number, code: string, detail: string): Problem => ({
  status,
  code,
  detail,
  headers: {},
})

const retry = (seconds: number, code: string, detail: string): Problem => ({
  ...problem(503, code, detail),
  headers: { 'Retry-After': String(seconds) },
})

const titles: Readonly<Record<number, string>> = {
  400: 'Bad request',
  401: 'Not authenticated',
  403: 'Refused',
  404: 'Not found',
  405: 'Method not allowed',
  409: 'Conflict',
  413: 'Too large',
  415: 'Media type not accepted',
  429: 'Too many requests',
  500: 'Internal error',
  502: 'Bank error',
  503: 'Not available now',
  504: 'Bank did not answer',
}

/**
 * Answers every error as a problem document. What was thrown stays in `res.locals.error` for the log. An answer that has
 * begun is cut off: half of one must not look whole.
 */
export function problems(issuer: string): ErrorRequestHandler {
  return (error, { path }, res, _next) => {
    res.locals['error'] = error
    if (res.headersSent) {
      res.destroy()
      return
    }
    const { status, code, detail, headers, errors } = problemOf(error)
    res
      .status(status)
      .set({ 'Cache-Control': 'no-store', ...pointingToMetadata(headers, { issuer, path }) })
      .type('application/problem+json')
      .send(
        JSON.stringify({
          type: `${issuer}/problems/${code}`,
          title: titles[status] ?? 'Error',
          status,
          detail,
          code,
          ...(errors && { errors }),
        }),
      )
  }
}
