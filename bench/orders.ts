import type { JWK } from 'jose'

/** The rungs, each the one before and something more; N is D with another door. */
export const rungs = {
  A: '/bench/nothing',
  B: '/bench/authenticated',
  C: '/bench/fetched',
  D: '/fdx/v6/accounts',
  N: '/fdx/v6/accounts',
} as const
export type Rung = keyof typeof rungs

/** What the bench tells its load generator, in this order, and what that answers. */
export type Order = { readonly prepare: Preparation } | { readonly run: Run }

/** Signs a proof for each of `count` requests, while nothing is measured. Answers `prepared`. */
export interface Preparation {
  readonly port: number
  readonly path: string
  /** What clients know the server as. */
  readonly issuer: string
  readonly tokens: readonly string[]
  /** The private key that the tokens are bound to. */
  readonly key: JWK
  readonly count: number
}

/** Sends them, 64 at a time, and measures for `seconds` after `warm_seconds`. Answers a `Slice`. */
export interface Run {
  readonly warm_seconds: number
  readonly seconds: number
}

export interface Slice {
  readonly per_s: number
  readonly p50_ms: number
  readonly p99_ms: number
  /** Answers that were not 200, by status. */
  readonly others: Readonly<Record<string, number>>
}
