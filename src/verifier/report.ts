import type { Class } from '../consent/class.ts'
import type { Bodies, PublicJwk, Reconciled } from '../ledger/entry.ts'
import { embeddedCheckpoint } from '../ledger/embedded_note.ts'
import { activeKeys } from '../ledger/key.ts'
import type { Rule } from '../ledger/replay.ts'
import { uncovered_ms } from '../ledger/statement.ts'
import type { Totals } from '../ledger/totals.ts'
import { unproven } from '../ledger/unproven.ts'
import type { Checkpoint } from '../merkle/checkpoint.ts'
import { encodeBase64 } from '../merkle/encoding.ts'
import type { WitnessedCheckpoint } from '../merkle/policy.ts'
import type { LedgerSource } from './source.ts'
import type { Walk } from './walk.ts'

/** What is checked, in this order, in words. */
export const checks = {
  checkpoint:
    'The newest checkpoint is signed by the ledger and cosigned by as many witnesses as the policy asks for.',
  freshness: 'As many of these cosignatures are recent as the policy asks for witnesses.',
  files: 'Every file that the checkpoint covers is there and well formed.',
  tree: 'The entries, the hash tiles and the signed root agree: no entry was changed, dropped, added or moved.',
  rules:
    'Every entry keeps every rule: each release was covered, where it stands, by an active consent and a standing approval.',
  identity:
    'The first entry opens this ledger, and the entries name a key that signed the checkpoint.',
  history: 'The ledger has only been appended to since the earlier checkpoint.',
} as const

export type Check = keyof typeof checks

/** How old the cosignatures of the quorum may be when they are looked at. */
export interface Freshness {
  readonly max_age_s: number
  /** Milliseconds since the epoch. */
  readonly now: number
}

/** Something that is wrong with a ledger. */
export interface Finding {
  readonly check: Check
  readonly detail: string
  /** The entry, and the rule it breaks. */
  readonly index?: number
  readonly rule?: Rule
  /** Two signed notes that contradict each other: evidence that anyone can check. */
  readonly notes?: readonly [string, string]
}

/** What was found about a ledger. As JSON it is the output of `countersign verify --json`. */
export interface Report {
  readonly verified: boolean
  readonly place: string
  readonly ledger?: {
    readonly origin: string
    readonly size: number
    /** Base64, as in the checkpoint. */
    readonly root: string
    /** `time` in seconds since the epoch. */
    readonly cosigners: WitnessedCheckpoint['cosigners']
  }
  /** The earlier checkpoints that it was compared with: how many, and the largest. */
  readonly earlier?: { readonly checkpoints: number; readonly size: number; readonly root: string }
  /** How many entries were read in an earlier run, which this one went on from. */
  readonly resumed_at?: number
  /** How old cosignatures might be, and when they were looked at, RFC 3339; absent where any age was good enough. */
  readonly freshness?: { readonly max_age_s: number; readonly at: string }
  /** What the entries amount to; absent where they break a rule, or could not be read. */
  readonly counts?: Counts
  readonly checks: Readonly<Record<Check, 'passed' | 'failed' | 'not_done'>>
  readonly findings: readonly Finding[]
  readonly unproven: readonly string[]
}

export interface Counts {
  readonly bank: string
  readonly lei: string
  /** The key that the approvals are signed with, as the first entry names it: compare it with the bank's own word. */
  readonly bank_key: PublicJwk
  /** The ledger that this one says it follows, and why. */
  readonly predecessor?: { readonly origin: string; readonly size: number; readonly reason: string }
  /** Whether the last entry closed the ledger for ever. */
  readonly closed: boolean
  /** When its database was rebuilt from an archive, each an entry. */
  readonly restores: readonly { readonly n: number; readonly at: string }[]
  readonly first: string
  readonly last: string
  /** The keys that sign the ledger after its last entry. */
  readonly vkeys: readonly string[]
  readonly releases: Readonly<Record<Class, number>>
  readonly refusals: Readonly<Record<Class, number>>
  readonly refusals_by_reason: Readonly<Record<string, number>>
  readonly consents: Readonly<
    Record<'granted' | 'replaced' | 'revoked' | 'expired' | 'active', number>
  >
  readonly recipients: readonly {
    readonly recipient: string
    readonly class: Class
    readonly suspended: boolean
  }[]
  readonly statements: StatementCounts
}

/** What the bank stated that it served, held against the releases. */
export interface StatementCounts extends Reconciled {
  readonly statements: number
  /** Statements that are not reconciled yet. */
  readonly waiting: number
  /** Requests that the bank stated. */
  readonly served: number
  /** How long no statement covers, of the time from the first entry to the last. */
  readonly uncovered_ms: number
  /** Below this index every release in a time that statements cover is compared. */
  readonly upto: number
}

/** Puts together what was found. */
export function reportOf({
  source,
  findings,
  newest,
  walk,
  earlier = [],
  freshness,
  resumedAt = 0,
}: {
  source: LedgerSource
  findings: readonly Finding[]
  newest?: WitnessedCheckpoint | undefined
  walk?: Walk | undefined
  earlier?: readonly Checkpoint[]
  freshness?: Freshness | undefined
  resumedAt?: number
}): Report {
  const largest = earlier.toSorted((a, b) => a.size - b.size).at(-1)
  const walked = walk !== undefined
  const sound = walked && walk.violation === undefined
  const done: Record<Check, boolean> = {
    checkpoint: newest !== undefined,
    freshness: newest !== undefined && freshness !== undefined,
    files: walked,
    tree: walked,
    rules: walked,
    identity: sound,
    history: largest !== undefined && walked,
  }
  const status = (check: Check) => {
    if (findings.some((finding) => finding.check === check)) return 'failed'
    return done[check] ? 'passed' : 'not_done'
  }
  return {
    verified: findings.length === 0,
    place: source.place,
    ...(newest && { ledger: ledgerOf(newest) }),
    ...(largest && {
      earlier: {
        checkpoints: earlier.length,
        size: largest.size,
        root: encodeBase64(largest.root),
      },
    }),
    ...(resumedAt > 0 && { resumed_at: resumedAt }),
    ...(freshness && {
      freshness: { max_age_s: freshness.max_age_s, at: new Date(freshness.now).toISOString() },
    }),
    ...(sound &&
      walk.opened !== undefined &&
      walk.state.genesis !== undefined && {
        counts: countsOf(walk, walk.state.genesis, walk.opened),
      }),
    checks: {
      checkpoint: status('checkpoint'),
      freshness: status('freshness'),
      files: status('files'),
      tree: status('tree'),
      rules: status('rules'),
      identity: status('identity'),
      history: status('history'),
    },
    findings,
    unproven,
  }
}

const ledgerOf = ({ checkpoint, cosigners }: WitnessedCheckpoint) => ({
  origin: checkpoint.origin,
  size: checkpoint.size,
  root: encodeBase64(checkpoint.root),
  cosigners,
})

function countsOf({ state, refusals }: Walk, genesis: Bodies['genesis'], first: string): Counts {
  const { totals } = state
  const active = [...state.consents.values()].filter(({ state: now }) => now === 'active')
  return {
    bank: genesis.bank,
    lei: genesis.lei,
    bank_key: genesis.bank_key,
    ...predecessorOf(genesis),
    closed: state.closed,
    restores: [...state.restores].map(([n, { at }]) => ({ n, at })),
    first,
    last: state.at,
    vkeys: activeKeys(state.keys.ledger),
    releases: perClass(totals, 'releases'),
    refusals: perClass(totals, 'refusals'),
    refusals_by_reason: Object.fromEntries(refusals),
    consents: {
      granted: totals['grants'] ?? 0,
      replaced: totals['replaces'] ?? 0,
      revoked: totals['revocations'] ?? 0,
      expired: totals['expiries'] ?? 0,
      active: active.length,
    },
    recipients: [...state.approvals.values()].map(({ recipient, class: named, suspended }) => ({
      recipient,
      class: named,
      suspended,
    })),
    statements: statementsOf(state, first),
  }
}

function statementsOf({ completeness, at: last }: Walk['state'], first: string): StatementCounts {
  const { statements, waiting, served, upto, reconciled } = completeness
  return {
    ...{ statements, waiting: waiting.length, served, ...reconciled, upto },
    uncovered_ms: uncovered_ms(completeness, { first, last }),
  }
}

function predecessorOf({ predecessor }: Bodies['genesis']): Pick<Counts, 'predecessor'> {
  const last = predecessor && embeddedCheckpoint(predecessor.checkpoint)
  return predecessor && last ? { predecessor: { ...last, reason: predecessor.reason } } : {}
}

const perClass = (totals: Totals, what: 'releases' | 'refusals') => ({
  data_subject: totals[`${what}_data_subject`] ?? 0,
  messaging_platform: totals[`${what}_messaging_platform`] ?? 0,
  advertising: totals[`${what}_advertising`] ?? 0,
  third_party: totals[`${what}_third_party`] ?? 0,
})
