import { classNames, type Class } from '../consent/class.ts'
import { clusterNames, type Cluster } from '../consent/cluster.ts'
import { actors, type Actor, type ExpiryCause } from '../consent/consent.ts'
import type { RefusalReason } from '../consent/refusal.ts'
import { deliveries, limits, type Terms } from '../consent/terms.ts'
import { canonical, CanonicalError, parseCanonical, type Json } from './canonical.ts'
import {
  anyObject,
  boolean,
  integer,
  list,
  matching,
  object,
  oneOf,
  optional,
  string,
  type Check,
} from './shape.ts'
import type { Totals } from './totals.ts'

/** An entry's canonical bytes are at most this long. */
export const entry_bytes_max = 4096

/** A public JSON Web Key (RFC 7517), as genesis carries the bank's. */
export type PublicJwk = Readonly<Record<string, string>>

/**
 * What each kind of entry says. `prev` is the index of the previous entry that names the same consent, absent in the first.
 * Commitments are base64url SHA-256 over a fresh salt and what they commit to; see `docs/ledger-format.md`.
 */
export interface Bodies {
  genesis: {
    bank: string
    bank_key: PublicJwk
    kinds: readonly string[]
    lei: string
    origin: string
    purposes: readonly string[]
    reasons: readonly string[]
    totals: readonly string[]
    vkey: string
  }
  policy: { kinds: readonly string[]; reasons: readonly string[]; totals: readonly string[] }
  key: { vkey: string }
  'recipient.approve': {
    class: Class
    clusters: readonly Cluster[]
    jws: string
    keys: readonly string[]
    purposes: readonly string[]
    recipient: string
  }
  'recipient.suspend': { by: Actor; recipient: string }
  'consent.grant': Terms & Chained & Evidence
  'consent.replace': Terms & Chained & Evidence & { by: Actor }
  'consent.revoke': Chained & { by: Actor; reason: RevocationReason }
  'consent.expire': Chained & { cause: ExpiryCause }
  release: Chained & {
    accounts: readonly string[]
    clusters: readonly Cluster[]
    fetches: readonly string[]
    interaction: string
    payload: string
    purpose: string
    recipient: string
    since?: string
    to: Class
  }
  refusal: {
    class: Class
    client: string
    consent?: string
    count: number
    prev?: number
    reason: RefusalReason
  }
  epoch: { size: number }
}

interface Chained {
  readonly consent: string
  readonly prev?: number
}

interface Evidence {
  /** Commitment to the exact terms that the bank's login was bound to. */
  readonly terms: string
  /** Commitment to the bank's signed login evidence; absent when the customer narrows a consent without a new login. */
  readonly login?: string
  readonly acr?: string
  readonly auth_time?: number
}

/** FDX ConsentRevocationReason. */
export type RevocationReason = 'USER_ACTION' | 'BUSINESS_RULE'

export type Kind = keyof Bodies

/** What a draft adds to the ledger; the door adds `v`, `n`, `at` and `totals`. */
export type Draft = { [K in Kind]: { kind: K; body: Bodies[K] } }[Kind]

/** One line of a ledger, format version 1. */
export type Entry = Draft & {
  readonly v: 1
  readonly n: number
  readonly at: string
  readonly totals: Totals
}

const random128 = matching(/^[A-Za-z0-9_-]{22}$/, '128 random bits, base64url')
const sha256 = matching(/^[A-Za-z0-9_-]{43}$/, 'a SHA-256, base64url')
const uuid = matching(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/, 'a UUID')
const consentId = matching(/^[a-z0-9-]{1,40}\.[A-Za-z0-9_-]{22}$/, 'a consent id')
const name = matching(/^[A-Za-z0-9._:~-]{1,128}$/, 'an identifier')
const time = matching(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/, 'an RFC 3339 UTC time')
const date = matching(/^\d{4}-\d{2}-\d{2}$/, 'a date')
const index = integer(0)
const clusterList = list(oneOf(...clusterNames), { min: 1, max: clusterNames.length })
const accountList = list(random128, { min: 1, max: limits.accounts_max })
const iri = string(200)
const chained = { consent: consentId, prev: optional(index) }

const terms = {
  accounts: accountList,
  clusters: clusterList,
  delivery: oneOf(...deliveries),
  disclosure: object({ language: string(35), sha256, version: string(40) }),
  expires: time,
  lookback_days: integer(0, limits.lookback_days_max),
  one_time: boolean,
  purpose: iri,
  recipient: name,
  acr: optional(string(200)),
  auth_time: optional(integer(0)),
  login: optional(sha256),
  terms: sha256,
}

/** The strict form of every kind's body: exactly these members. */
const bodies: Readonly<Record<Kind, Check>> = {
  genesis: object({
    bank: matching(/^[a-z0-9-]{1,40}$/, 'a bank id'),
    bank_key: anyObject,
    kinds: list(string(40), { min: 1, max: 64 }),
    lei: matching(/^[A-Z0-9]{20}$/, 'an LEI'),
    origin: string(255),
    purposes: list(iri, { min: 1, max: 64 }),
    reasons: list(string(40), { min: 1, max: 64 }),
    totals: list(string(40), { min: 1, max: 64 }),
    vkey: string(400),
  }),
  policy: object({
    kinds: list(string(40), { min: 0, max: 64 }),
    reasons: list(string(40), { min: 0, max: 64 }),
    totals: list(string(40), { min: 0, max: 64 }),
  }),
  key: object({ vkey: string(400) }),
  'recipient.approve': object({
    class: oneOf(...classNames),
    clusters: clusterList,
    jws: string(3000),
    keys: list(sha256, { min: 0, max: 8 }),
    purposes: list(iri, { min: 1, max: 16 }),
    recipient: name,
  }),
  'recipient.suspend': object({ by: oneOf(...actors), recipient: name }),
  'consent.grant': object({ ...chained, ...terms }),
  'consent.replace': object({ ...chained, ...terms, by: oneOf(...actors) }),
  'consent.revoke': object({
    ...chained,
    by: oneOf(...actors),
    reason: oneOf('USER_ACTION', 'BUSINESS_RULE'),
  }),
  'consent.expire': object({ ...chained, cause: oneOf('term', 'unredeemed') }),
  release: object({
    ...chained,
    accounts: accountList,
    clusters: clusterList,
    fetches: list(random128, { min: 0, max: 8 }),
    interaction: uuid,
    payload: sha256,
    purpose: iri,
    recipient: name,
    since: optional(date),
    to: oneOf(...classNames),
  }),
  refusal: object({
    class: oneOf(...classNames),
    client: name,
    consent: optional(consentId),
    count: integer(1),
    prev: optional(index),
    reason: string(40),
  }),
  epoch: object({ size: index }),
}

/** The kinds a ledger opened by this version declares in its genesis entry. */
export const kinds = Object.keys(bodies) as readonly Kind[]

const envelope = object({
  at: time,
  body: anyObject,
  kind: string(40),
  n: index,
  totals: anyObject,
  v: integer(1, 1),
})

/** The consent an entry names, if it names one. */
export function consentOf(draft: Draft): string | undefined {
  return 'consent' in draft.body ? draft.body.consent : undefined
}

/** An entry's canonical text. Throws `CanonicalError` when its shape is wrong or it is too long. */
export function writeEntry(entry: Entry): string {
  assertEntry(entry)
  const text = canonical(entry as unknown as Json)
  if (new TextEncoder().encode(text).length > entry_bytes_max)
    throw new CanonicalError(`longer than ${entry_bytes_max} bytes`)
  return text
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Reads an entry from its bytes, which must be canonical and of exactly the declared shape. Throws `CanonicalError`. */
export function readEntry(bytes: Uint8Array): Entry {
  if (bytes.length > entry_bytes_max)
    throw new CanonicalError(`longer than ${entry_bytes_max} bytes`)
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch {
    throw new CanonicalError('not UTF-8')
  }
  const value: unknown = parseCanonical(text)
  assertEntry(value)
  return value
}

function assertEntry(value: unknown): asserts value is Entry {
  envelope(value as Json, 'entry')
  const { kind, body } = value as { kind: string; body: Json }
  if (!Object.hasOwn(bodies, kind)) throw new CanonicalError(`entry.kind: unknown kind ${kind}`)
  bodies[kind as Kind](body, 'body')
}
