import type { Class } from './class.ts'
import type { Cluster } from './cluster.ts'

/** How released data reaches the customer: read by the recipient (`in_thread`) or shown on our page (`link_out`). */
export type Delivery = 'in_thread' | 'link_out'

export const deliveries: readonly Delivery[] = ['in_thread', 'link_out']

/** Limits of a consent's terms. Days are of 24 hours. */
export const limits = {
  accounts_max: 32,
  lookback_days_max: 730,
  duration_days_max: 365,
  duration_days_default: 90,
  one_time_hours_max: 24,
} as const

/** The text a customer was shown: kept by hash, so that its wording can be proven later. */
export interface Disclosure {
  readonly version: string
  readonly language: string
  /** SHA-256 of the text shown, base64url. */
  readonly sha256: string
}

/** The text itself, as it was shown. */
export interface ShownDisclosure {
  readonly version: string
  readonly language: string
  readonly text: string
}

/** What a recipient asks for, before a customer has chosen accounts or an end date is fixed. */
export interface RequestedTerms {
  readonly recipient: string
  readonly bank: string
  readonly clusters: readonly Cluster[]
  readonly purpose: string
  readonly lookback_days: number
  readonly one_time: boolean
  /** Ignored when `one_time`. */
  readonly duration_days: number
  readonly delivery: Delivery
}

/** What a customer agreed to: exactly the members a `consent.grant` entry carries. Times are RFC 3339 UTC, milliseconds. */
export interface Terms {
  readonly recipient: string
  readonly purpose: string
  readonly clusters: readonly Cluster[]
  /** Random handles minted for this consent; never an account number. */
  readonly accounts: readonly string[]
  readonly lookback_days: number
  readonly one_time: boolean
  readonly expires: string
  readonly delivery: Delivery
  readonly disclosure: Disclosure
}

/** What a bank lets one recipient ask its customers for; signed by the bank. */
export interface Approval {
  readonly recipient: string
  readonly class: Class
  readonly purposes: readonly string[]
  readonly clusters: readonly Cluster[]
  /** RFC 7638 thumbprints of the recipient's encryption keys. */
  readonly keys: readonly string[]
  readonly suspended: boolean
}

const dayMs = 86_400_000

/** The end of a consent granted at `at` (milliseconds since the epoch): its own duration, or the bank's end if sooner. */
export function expiryOf(
  request: Pick<RequestedTerms, 'one_time' | 'duration_days'>,
  { at, bankEnd }: { at: number; bankEnd?: number | undefined },
): string {
  const own =
    at + (request.one_time ? limits.one_time_hours_max * 3_600_000 : request.duration_days * dayMs)
  return new Date(Math.min(own, bankEnd ?? own)).toISOString()
}

/** Midnight of `earliestDate`, in milliseconds since the epoch. */
export function earliestDay(lookbackDays: number, at: string): number {
  return Math.floor((Date.parse(at) - 60_000) / dayMs - lookbackDays) * dayMs
}

/**
 * The earliest UTC date that a release recorded at `at` may reach back to. One minute is allowed between reading the data
 * and recording the release, so that a release across midnight is not refused for a day that passed meanwhile.
 */
export function earliestDate(lookbackDays: number, at: string): string {
  return new Date(earliestDay(lookbackDays, at)).toISOString().slice(0, 10)
}
