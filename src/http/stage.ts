import type { BankLogin, LoginPending } from '../broker/bank_port.ts'
import type { PushedRequest } from '../storage/pushed_requests.ts'

/**
 * Where a browser stands. One browser is on one way at a time; starting another leaves the first.
 *
 *     interstitial → bank → disclosure → deciding → answered        granting
 *     bank → connections                                            looking at connections and ending them
 *     bank → pointer                                                seeing what a pointer leads to
 *
 * A session at `connections`, `pointer` or `disclosure` has proven a bank login; each is reached by a fresh cookie only.
 */
export type Stage =
  | { readonly at: 'interstitial'; readonly request: Arrived }
  | AtBank
  | Approving
  | { readonly at: 'deciding' }
  | { readonly at: 'answered'; readonly location: string; readonly until: number }
  | { readonly at: 'connections'; readonly bank: string; readonly login: string }
  | { readonly at: 'pointer'; readonly bank: string; readonly login: string }

/** A valid pushed request, the recipient's legal name, and an id for all that this browser then does about it, a UUID. */
export interface Arrived {
  readonly pushed: PushedRequest
  readonly recipient: string
  readonly interaction: string
}

/** Away for a login at a bank. */
export interface AtBank {
  readonly at: 'bank'
  readonly bank: string
  /** Where the browser was sent, and when: milliseconds since the epoch. */
  readonly url: string
  readonly began: number
  readonly pending: LoginPending
  readonly purpose:
    | { readonly for: 'authorize'; readonly request: Arrived; readonly termsSalt: string }
    | { readonly for: 'connections' }
    | { readonly for: 'pointer'; readonly pointer: string }
}

/** Logged in, and reading what would be shared. What the bank told of the accounts is nowhere but here. */
export interface Approving {
  readonly at: 'disclosure'
  readonly request: Arrived
  readonly login: BankLogin
  readonly termsSalt: string
  readonly termsCommitment: string
  readonly accounts: readonly { readonly bankAccountId: string; readonly display: string }[]
}

export type Purpose = AtBank['purpose']

/** What was sealed in a session came from here, so its discriminant vouches for the rest. */
export function isStage(value: unknown): value is Stage {
  return (
    typeof value === 'object' &&
    value !== null &&
    'at' in value &&
    typeof value.at === 'string' &&
    Object.hasOwn(stages, value.at)
  )
}

const stages: Readonly<Record<Stage['at'], true>> = {
  interstitial: true,
  bank: true,
  disclosure: true,
  deciding: true,
  answered: true,
  connections: true,
  pointer: true,
}
