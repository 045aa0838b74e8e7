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

/** On the lower rungs' port: authenticates a client as the endpoints of OAuth do, and does nothing else. */
export const admitted_path = '/bench/admitted'

/** What the bench tells its load generator, in this order, and what that answers. */
export type Order = { readonly prepare: Preparation } | { readonly run: Run }

/** Makes `count` requests, down to their bytes, while nothing is measured. Answers `prepared`. */
export type Preparation = {
  readonly port: number
  readonly path: string
  /** What clients know the server as. */
  readonly issuer: string
  readonly count: number
} & ({ readonly calls: Calls } | { readonly forms: Forms } | { readonly files: Files })

/** GET of what anyone may read, below `path`. */
export interface Files {
  /** In turns. */
  readonly names: readonly string[]
}

/** GET with an access token and a proof. */
export interface Calls {
  readonly tokens: readonly string[]
  /** The private key that the tokens are bound to. */
  readonly key: JWK
}

/** POST of a form, as an endpoint of OAuth takes it: with an assertion of a client, and a proof where the endpoint wants one. */
export interface Forms {
  readonly client: string
  /** The client's private key, by which it is registered as `kid`. It makes the proofs too. */
  readonly key: JWK
  readonly kid: string
  readonly proves: boolean
  /** What the forms say, in turns. */
  readonly members: readonly Readonly<Record<string, string>>[]
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
