import { classNames, type Class } from '../consent/class.ts'
import { clusterNames, type Cluster } from '../consent/cluster.ts'
import { actors, type Actor, type ExpiryCause } from '../consent/consent.ts'
import { deliveries, limits, type Disclosure, type Terms } from '../consent/terms.ts'
import { canonical, CanonicalError, type Json } from './canonical.ts'
import { embedded_note_chars_max } from './embedded_note.ts'
import { keyOwners, keyUses, type KeyOwner, type KeyUse } from './key.ts'
import {
  boolean,
  integer,
  list,
  matching,
  object,
  oneOf,
  optional,
  readWhole,
  record,
  string,
  type Read,
} from './shape.ts'
import type { Totals } from './totals.ts'

/** An entry's canonical bytes are at most this long. */
export const entry_bytes_max = 4096

/** What a bank signs is at most this long, so that the entry that carries it fits. */
export const bank_jws_chars_max = 3000

/** How many requests one statement of a bank counts at most. */
export const statement_interactions_max = 50_000

/** How many consents one `erasure` entry names at most, so that it fits. */
export const erasure_consents_max = 32

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
    /** The ledger that this one follows, which was closed, or lost. */
    predecessor?: Ending
    purposes: readonly string[]
    reasons: readonly string[]
    totals: readonly string[]
    vkey: string
  }
  policy: { kinds: readonly string[]; reasons: readonly string[]; totals: readonly string[] }
  /** What a key of the ledger, by its vkey, or of tokens, by its thumbprint, is for from now on. */
  key: { key: string; of: KeyOwner; use: KeyUse }
  'recipient.approve': {
    class: Class
    clusters: readonly Cluster[]
    /** When the bank signed, seconds since the epoch. */
    iat: number
    jws: string
    keys: readonly string[]
    purposes: readonly string[]
    recipient: string
  }
  'recipient.suspend': { by: Actor; recipient: string }
  'consent.grant': Terms & Chained & Evidence
  'consent.replace': Terms & Chained & Partial<Evidence> & { by: Actor }
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
    reason: string
    /** 128 random bits: without them a refusal could be guessed from its public leaf hash. */
    salt: string
  }
  /** `sum` is the hash of the root of the sum tree of the entries [0, size); its sums are the entry's totals. */
  epoch: { size: number; sum: string }
  /** What a bank says it served to the broker: how many requests from `from` until before `to`, and the root of their ids. */
  statement: {
    count: number
    from: string
    /** When the bank signed, seconds since the epoch. */
    iat: number
    jws: string
    root: string
    to: string
  }
  /** What became of the requests that the statement at this index names, and of the releases before the index `upto`. */
  reconcile: Reconciled & { statement: number; upto: number }
  erasure: { consents: readonly string[] }
  /** The database was rebuilt up to here from an archive: the checkpoint it was restored to, a note in base64url. */
  restore: { checkpoint: string }
  close: Ending
  /** An auditor is about to be shown something. What was asked for is committed to: it is typed by people. */
  access: { actor: string; asked: string; what: AccessKind }
}

/** Requests that a bank stated, by what became of them, and those that it should have stated. */
export interface Reconciled {
  /** Stated, and named by a release. */
  readonly released: number
  /** Stated, and refused when the bank had answered: a `refusal` entry counts it. */
  readonly refused: number
  /** Stated, and dropped: the consent had ended meanwhile, or the broker stopped. */
  readonly dropped: number
  /** Stated, and made before a grant, for the customer to choose accounts from: no recipient saw it. */
  readonly offered: number
  /** Stated, and never made by the broker: one too many. */
  readonly unknown: number
  /** Named by a release, and not stated: one too few. */
  readonly missing: number
}

/** How a ledger ended: its last cosigned checkpoint, a note in base64url, and why. */
export interface Ending {
  readonly checkpoint: string
  readonly reason: string
}

/** What an auditor was shown. */
export const accessKinds = [
  ...(['entries', 'entry', 'series', 'export', 'report'] as const),
  ...(['ledger', 'consents', 'timeline'] as const),
] as const

export type AccessKind = (typeof accessKinds)[number]

interface Chained {
  readonly consent: string
  readonly prev?: number
}

/** What a login at the bank proves. Only a `consent.replace` that narrows may do without. */
interface Evidence {
  /** Commitment to the exact terms that the bank's login was bound to. */
  readonly terms: string
  /** Commitment to the bank's signed login evidence. */
  readonly login: string
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

/** The pattern admits 30 February; the calendar does not. */
const onCalendar = (value: string) =>
  value.slice(8, 10) < '29' || new Date(value).getUTCDate() === Number(value.slice(8, 10))

const day = String.raw`\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])`
const clock = String.raw`(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}`
const date = matching(new RegExp(`^${day}$`), 'a date', onCalendar)
const time = matching(new RegExp(`^${day}T${clock}Z$`), 'an RFC 3339 UTC time', onCalendar)
const random128 = matching(/^[A-Za-z0-9_-]{22}$/, '128 random bits, base64url')
const sha256 = matching(/^[A-Za-z0-9_-]{43}$/, 'a SHA-256, base64url')
const uuid = matching(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/, 'a UUID')
const consentId = matching(/^[a-z0-9-]{1,40}\.[A-Za-z0-9_-]{22}$/, 'a consent id')
const name = matching(/^[A-Za-z0-9._:~-]{1,128}$/, 'an identifier')
const wordPattern = /^[a-z][a-z0-9._]{0,39}$/
const word = matching(wordPattern, 'a word of the vocabulary')
const words = list(word, { min: 1, max: 64 })
const moreWords = list(word, { min: 0, max: 64 })
const embeddedNote = new RegExp(`^[A-Za-z0-9_-]{1,${embedded_note_chars_max}}$`)
const index = integer(0)
const iri = string(200)
const actor = oneOf(...actors)
const someClass = oneOf(...classNames)
const someClusters = list(oneOf(...clusterNames), { min: 1, max: clusterNames.length })
const someAccounts = list(random128, { min: 1, max: limits.accounts_max })

const chained = { consent: consentId, prev: optional(index) }

const terms = {
  accounts: someAccounts,
  clusters: someClusters,
  delivery: oneOf(...deliveries),
  disclosure: object<Disclosure>({ language: string(35), sha256, version: string(40) }),
  expires: time,
  lookback_days: integer(0, limits.lookback_days_max),
  one_time: boolean,
  purpose: iri,
  recipient: name,
}

const checkpoint = matching(embeddedNote, 'a signed note, base64url')
const ending = object<Ending>({
  checkpoint,
  reason: string(200),
})

const evidence = { acr: optional(string(200)), auth_time: optional(index) }

/** The form of every kind's body: exactly these members. */
const bodies: { readonly [K in Kind]: Read<Bodies[K]> } = {
  genesis: object<Bodies['genesis']>({
    bank: matching(/^[a-z0-9-]{1,40}$/, 'a bank id'),
    bank_key: record(/^(?:alg|crv|e|kid|kty|n|use|x|y)$/, string(1000)),
    kinds: words,
    lei: matching(/^[A-Z0-9]{20}$/, 'an LEI'),
    origin: string(255),
    predecessor: optional(ending),
    purposes: list(iri, { min: 1, max: 64 }),
    reasons: words,
    totals: words,
    vkey: string(400),
  }),
  policy: object<Bodies['policy']>({ kinds: moreWords, reasons: moreWords, totals: moreWords }),
  key: object<Bodies['key']>({
    key: string(400),
    of: oneOf(...keyOwners),
    use: oneOf(...keyUses),
  }),
  'recipient.approve': object<Bodies['recipient.approve']>({
    class: someClass,
    clusters: someClusters,
    iat: index,
    jws: string(bank_jws_chars_max),
    keys: list(sha256, { min: 0, max: 8 }),
    purposes: list(iri, { min: 1, max: 16 }),
    recipient: name,
  }),
  'recipient.suspend': object<Bodies['recipient.suspend']>({ by: actor, recipient: name }),
  'consent.grant': object<Bodies['consent.grant']>({
    ...chained,
    ...terms,
    ...evidence,
    login: sha256,
    terms: sha256,
  }),
  'consent.replace': object<Bodies['consent.replace']>({
    ...chained,
    ...terms,
    ...evidence,
    by: actor,
    login: optional(sha256),
    terms: optional(sha256),
  }),
  'consent.revoke': object<Bodies['consent.revoke']>({
    ...chained,
    by: actor,
    reason: oneOf('USER_ACTION', 'BUSINESS_RULE'),
  }),
  'consent.expire': object<Bodies['consent.expire']>({
    ...chained,
    cause: oneOf('term', 'unredeemed'),
  }),
  release: object<Bodies['release']>({
    ...chained,
    accounts: someAccounts,
    clusters: someClusters,
    fetches: list(random128, { min: 0, max: 8 }),
    interaction: uuid,
    payload: sha256,
    purpose: iri,
    recipient: name,
    since: optional(date),
    to: someClass,
  }),
  refusal: object<Bodies['refusal']>({
    class: someClass,
    client: name,
    consent: optional(consentId),
    count: integer(1),
    prev: optional(index),
    reason: word,
    salt: random128,
  }),
  epoch: object<Bodies['epoch']>({ size: index, sum: sha256 }),
  statement: object<Bodies['statement']>({
    count: integer(0, statement_interactions_max),
    from: time,
    iat: index,
    jws: string(bank_jws_chars_max),
    root: sha256,
    to: time,
  }),
  reconcile: object<Bodies['reconcile']>({
    dropped: index,
    missing: index,
    offered: index,
    refused: index,
    released: index,
    statement: index,
    unknown: index,
    upto: index,
  }),
  erasure: object<Bodies['erasure']>({
    consents: list(consentId, { min: 1, max: erasure_consents_max }),
  }),
  restore: object<Bodies['restore']>({ checkpoint }),
  close: ending,
  access: object<Bodies['access']>({ actor: name, asked: sha256, what: oneOf(...accessKinds) }),
}

/** The kinds a ledger opened by this version declares in its genesis entry. */
export const kinds = Object.keys(bodies) as readonly Kind[]

const entryOf = (kind: Kind) =>
  object({
    at: time,
    body: bodies[kind],
    kind: oneOf(kind),
    n: index,
    totals: record(wordPattern, index),
    v: integer(1, 1),
  }) as Read<Entry>

const entries: ReadonlyMap<string, Read<Entry>> = new Map(
  kinds.map((kind) => [kind, entryOf(kind)]),
)

/** The consent an entry names, if it names one. */
export function consentOf(draft: Draft): string | undefined {
  return 'consent' in draft.body ? draft.body.consent : undefined
}

/** An entry's canonical bytes. Throws `CanonicalError` when its form is wrong or it is too long. */
export function writeEntry(entry: Entry): Uint8Array {
  const bytes = new TextEncoder().encode(canonical(entry as unknown as Json))
  readEntry(bytes)
  return bytes
}

/** Whether a draft's body has the form of its kind, told before there is an entry. Throws `CanonicalError`. */
export function checkBody({ kind, body }: Draft): void {
  readWhole(bodies[kind] as Read<unknown>, canonical(body as unknown as Json))
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Reads an entry from its bytes, which must be canonical and of exactly the declared form. Throws `CanonicalError`. */
export function readEntry(bytes: Uint8Array): Entry {
  if (bytes.length > entry_bytes_max)
    throw new CanonicalError(`longer than ${entry_bytes_max} bytes`)
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch {
    throw new CanonicalError('not UTF-8')
  }
  const kind = kindOf(text)
  const read = entries.get(kind)
  if (!text.endsWith(',"v":1}')) refuseVersion(text)
  if (read === undefined) throw new CanonicalError(`unknown kind ${kind}`)
  return readWhole(read, text)
}

/** Says of an entry of another version what it takes; what ends otherwise is refused by its form. */
function refuseVersion(text: string): void {
  const [, version] = /,"v":(\d{1,16})\}$/.exec(text) ?? []
  if (version !== undefined && version !== '1')
    throw new CanonicalError(`format version ${version}: it takes a newer verifier`)
}

/**
 * The kind follows the body that it gives the form of, so it is looked up first. Wherever it was found, the form of that
 * kind then holds for the whole text, or the text is refused.
 */
function kindOf(text: string): string {
  const label = '},"kind":"'
  const start = text.indexOf(label) + label.length
  return text.slice(start, text.indexOf('"', start))
}
