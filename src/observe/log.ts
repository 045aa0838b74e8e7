import { pino, type DestinationStream } from 'pino'
import { Refusal } from '../consent/refusal.ts'
import { openMetrics, type Metrics } from './metrics.ts'

/** One request, when it is over. `route` is the pattern that matched, never the path that was sent. */
export interface RequestEvent {
  readonly method: string
  readonly route: string
  readonly status: number
  readonly duration_ms: number
  /** The connection ended before the answer had been handed over. */
  readonly cut?: true
  readonly client_id?: string
  readonly bank?: string
  readonly consent_id?: string
  readonly error?: unknown
}

/**
 * What happens in a process, as JSON lines on standard output and as counters. It is told no token, body, query, account or
 * name, and keeps back the message of an error that may quote one.
 */
export interface Log {
  readonly metrics: Metrics
  request(event: RequestEvent): void
  started(event: { url: string; banks: readonly string[] }): void
  /** A bank sent this many items that the consent does not cover; they were dropped. */
  dropped(bank: string, count: number): void
  /** What became of requests that a bank stated, by outcome. */
  reconciled(bank: string, counts: object): void
  /** A duty failed, and will be tried again. */
  failed(duty: string, bank: string, error: unknown): void
  /** The keys that a client keeps itself could not be fetched, or are not good. */
  keysFailed(client: string, error: unknown): void
  /** A witness was asked to cosign. `changed`: it did not say so before. */
  witnessAnswered(
    bank: string,
    answer: { witness: string; outcome: string; changed: boolean },
  ): void
  /** Something that must be looked at by a person. */
  alarm(about: string, why: string): void
}

const message_chars_max = 300
const frames_max = 8

/** Opens the log at one of pino's levels. */
export function openLog(level: string, destination?: DestinationStream): Log {
  const lines = pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, destination)
  const metrics = openMetrics()
  return {
    metrics,
    request({ error, ...event }) {
      const { route, method, status, duration_ms } = event
      metrics.add('countersign_requests_total', { route, method, status: String(status) })
      metrics.add('countersign_request_seconds_total', { route }, duration_ms / 1000)
      if (error instanceof Refusal)
        metrics.add('countersign_refusals_total', { reason: error.reason })
      const told = { event: 'request', ...event, ...(error === undefined ? {} : causeOf(error)) }
      if (status >= 500) lines.error(told)
      else lines.info(told)
    },
    started: (event) => lines.info({ event: 'started', ...event }),
    dropped(bank, count) {
      if (count === 0) return
      metrics.add('countersign_dropped_total', { bank }, count)
      lines.warn({ event: 'dropped', bank, count })
    },
    reconciled(bank, counts) {
      for (const [outcome, count] of Object.entries(counts))
        metrics.add('countersign_stated_requests_total', { bank, outcome }, Number(count))
      lines.info({ event: 'reconciled', bank, ...counts })
    },
    failed(duty, bank, error) {
      metrics.add('countersign_failures_total', { duty })
      lines.warn({ event: 'failed', duty, bank, ...causeOf(error) })
    },
    keysFailed(client, error) {
      metrics.add('countersign_failures_total', { duty: 'client keys' })
      lines.warn({ event: 'failed', duty: 'client keys', client_id: client, ...causeOf(error) })
    },
    witnessAnswered(bank, { witness, outcome, changed }) {
      metrics.add('countersign_witness_answers_total', { bank, witness, outcome })
      if (changed) lines.warn({ event: 'witness', bank, witness, outcome })
    },
    alarm(about, why) {
      metrics.add('countersign_alarms_total', { about })
      lines.fatal({ event: 'alarm', about, why })
    },
  }
}

/** Why: our own reason, or the error with where it came from. */
function causeOf(error: unknown): Record<string, unknown> {
  if (error instanceof Refusal) return { refusal: error.reason }
  if (!(error instanceof Error)) return { error: typeof error }
  return {
    error: error.name,
    ...('code' in error ? { code: String(error.code) } : {}),
    ...(mayQuote(error) ? {} : { message: error.message.slice(0, message_chars_max) }),
    at: error.stack?.match(/^ {4}at .*$/gm)?.slice(0, frames_max),
    ...(error.cause === undefined ? {} : { cause: causeOf(error.cause) }),
  }
}

/** The database quotes values in its messages, and parsers what they could not read. */
const mayQuote = (error: Error): boolean =>
  'severity' in error || error instanceof SyntaxError || error instanceof URIError
