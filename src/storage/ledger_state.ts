import type { Consent } from '../consent/consent.ts'
import type { Approval, RequestedTerms } from '../consent/terms.ts'
import type { RefusalReason } from '../consent/refusal.ts'
import type { Class } from '../consent/class.ts'
import type { Dated } from '../ledger/approval.ts'
import type { Bodies, RevocationReason } from '../ledger/entry.ts'
import type { KeyOwner, KeyUse } from '../ledger/key.ts'
import type { Totals } from '../ledger/totals.ts'
import type { SumEdge } from '../merkle/sum_tree.ts'
import type { RightEdge } from '../merkle/tree.ts'
import type { AuditRead } from './audit_reads.ts'
import type { NewEvent } from './authorization_events.ts'
import type { Mismatch } from './statements.ts'

/** A consent as the broker keeps it: what the ledger says of it, and what the ledger must not say. */
export interface ConsentRecord {
  readonly consent: Consent
  readonly requested: RequestedTerms
  readonly linkId?: string
  readonly bankTokenId?: string
  readonly revocationReason?: RevocationReason
  /** Whether a code for it was ever redeemed. */
  readonly redeemed?: boolean
}

/** An approval, and when the bank signed it. */
export type ApprovalRecord = Approval & Dated

/** Grant Management §6.3, `updated_by`. */
export type UpdatedBy = 'client' | 'authorization_server'

/** What a consent needs and its ledger must not hold, sealed under the link's key. */
export interface SealedParts {
  /** The bank's account behind each handle. */
  readonly accounts: Buffer
  /** What the grant's commitments commit to, and their salts. */
  readonly evidence: Buffer
}

/** Refusals of one kind in one minute, counted before they are written. `minute` is milliseconds since the epoch. */
export interface TallyKey {
  readonly client: string
  readonly consent: string
  readonly reason: RefusalReason
  readonly minute: number
}

/** What a draft must see under the lock. */
export interface Names {
  readonly consents?: readonly string[]
  readonly recipients?: readonly string[]
  /** Names by which access tokens may have been revoked. */
  readonly tokens?: readonly string[]
  readonly tally?: TallyKey
  /** The id of an auditor's access token, whose reads may have been entered. */
  readonly reading?: string
  /** The newest epoch entry. */
  readonly epoch?: true
  /** Whether any consent is active. */
  readonly actives?: true
  /** The keys that were entered. */
  readonly keys?: true
  /** Every consent of this link, and which were erased. */
  readonly link?: string
  /** The newest statement of the bank, and the newest reconciliation. */
  readonly statements?: true
  /** The active consent, if any, of this link, recipient, purpose and delivery. */
  readonly identical?: { linkId: string; recipient: string; purpose: string; delivery: string }
}

/** The state of one ledger, read under its lock. A batch's drafts are decided on it in order, and change it. */
export interface LedgerState {
  readonly bank: string
  readonly origin: string
  readonly vkey: string
  /** The time of every entry of this batch, RFC 3339 UTC with milliseconds; never before the entry before it. */
  readonly at: string
  readonly edge: RightEdge
  /** The sum tree of the totals that the ledger was opened with, in the order of its genesis. */
  readonly sums: { readonly names: readonly string[]; readonly edge: SumEdge }
  /** Whether the ledger was closed: nothing is entered any more. */
  closed: boolean
  totals: Totals
  /** How long the oldest unsigned entry has been waiting, ms; 0 when all are signed. */
  readonly unsignedMs: number
  readonly consents: Map<string, ConsentRecord>
  readonly approvals: Map<string, ApprovalRecord>
  /** Of the names by which tokens may have been revoked, those that were. */
  readonly revokedTokens: Set<string>
  /** Of the auditors' tokens that drafts name, those whose reads were entered. */
  readonly readingTokens: Set<string>
  readonly tallies: Map<string, { class: Class; pending: number }>
  readonly tails: Map<string, number>
  /** The keys that were entered, of both owners, when a draft names them. */
  readonly keys: Readonly<Record<KeyOwner, Map<string, KeyUse>>>
  /** Whether any consent is active, when a draft asks. */
  readonly anyActive: boolean
  /** The newest epoch entry's index and time, when a draft names it. */
  newestEpoch: { readonly n: number; readonly at: string } | undefined
  /** What the newest statement and the newest reconciliation say, when a draft names them. */
  newestStatement: Bodies['statement'] | undefined
  newestReconcile: Bodies['reconcile'] | undefined
  /** Consents of a link that a draft names, which an `erasure` entry named. */
  readonly erased: Set<string>
}

/** By what a tally is found in the state. */
export const tallyName = (key: TallyKey): string =>
  `${key.client} ${key.consent} ${key.reason} ${key.minute}`

/** A change to rows that goes with a decision. It is data, checked before the lock, and cannot fail. */
export type Effect =
  | {
      readonly kind: 'consent.save'
      readonly record: ConsentRecord
      readonly sealed?: SealedParts
      /** Whose doing new terms are: the client's, which asked for them, or ours, for the customer on our page. */
      readonly updatedBy?: UpdatedBy
    }
  | { readonly kind: 'approval.save'; readonly approval: ApprovalRecord }
  | { readonly kind: 'key.save'; readonly of: KeyOwner; readonly key: string; readonly use: KeyUse }
  /** The consent gives way to another, which takes over the steps that led to it. */
  | { readonly kind: 'consent.remove'; readonly id: string; readonly into: string }
  | { readonly kind: 'authorization_event.add'; readonly event: NewEvent }
  | { readonly kind: 'tally.take'; readonly key: TallyKey; readonly count: number }
  | { readonly kind: 'codes.end'; readonly consent: string }
  | { readonly kind: 'refresh_tokens.end'; readonly consent: string }
  | { readonly kind: 'refresh_token.end'; readonly family: string }
  /** By a `jti` or a family; kept for `kept_s` seconds. */
  | { readonly kind: 'access_token.revoke'; readonly name: string; readonly kept_s: number }
  /** Opens the `access` entry beside it. */
  | { readonly kind: 'read.save'; readonly read: AuditRead }
  | { readonly kind: 'bank_token.end'; readonly id: string }
  | { readonly kind: 'devices.end'; readonly linkId: string }
  | { readonly kind: 'ledger.close' }
  | {
      readonly kind: 'mismatches.save'
      readonly statement: number
      readonly mismatches: readonly Mismatch[]
    }
  /** The links behind these consents are erased: `eraseLinks`. */
  | { readonly kind: 'links.erase'; readonly consents: readonly string[] }

/** The effect of one kind. */
export type EffectOf<Kind extends Effect['kind']> = Extract<Effect, { kind: Kind }>
