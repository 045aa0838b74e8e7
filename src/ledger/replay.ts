import type { Consent } from '../consent/consent.ts'
import type { Approval } from '../consent/terms.ts'
import { apply } from './apply.ts'
import type { VerifyJws } from './bank_jws.ts'
import { CanonicalError } from './canonical.ts'
import { embeddedCheckpoint } from './embedded_note.ts'
import { consentOf, readEntry, type Bodies, type Entry } from './entry.ts'
import type { KeyOwner, KeyUse } from './key.ts'
import { startCompleteness, type Completeness } from './statement.ts'
import { delta, totalNames, type Totals } from './totals.ts'
import { Violation } from './violation.ts'

export { rules, Violation, type Rule } from './violation.ts'

/**
 * What the entries so far amount to. What is kept of an entry is a clone: a string cut from its text would keep the whole text,
 * and objects that outlive their entry would teach the collector to expect it of all.
 */
export interface Replay {
  size: number
  at: string
  totals: Record<string, number>
  genesis: Bodies['genesis'] | undefined
  /** Whether the last entry closed the ledger. */
  closed: boolean
  /** The keys of the ledger and of tokens. */
  keys: Readonly<Record<KeyOwner, Map<string, KeyUse>>>
  kinds: Set<string>
  reasons: Set<string>
  purposes: Set<string>
  approvals: Map<string, SignedApproval>
  consents: Map<string, Consent>
  trails: Map<string, Trail>
  /** What the bank stated, and what came of comparing it. */
  readonly completeness: Completeness
  /** The consents that `erasure` entries name. */
  erased: Set<string>
  /** When the ledger was restored from an archive, and to which checkpoint, by the index of the entry that says so. */
  restores: Map<number, Restored>
}

/** A `restore` entry. Whether the root of its checkpoint is the tree's at that size, only the tree can tell. */
export interface Restored {
  readonly at: string
  readonly checkpoint: string
}

export interface SignedApproval extends Approval {
  readonly iat: number
  readonly suspendedAt?: string
}

/** The entries that name one consent: the last of them, and whether one was a release. */
export interface Trail {
  tail: number
  released: boolean
}

/** The state before the first entry. */
export function startReplay(): Replay {
  return {
    size: 0,
    at: '',
    totals: {},
    genesis: undefined,
    closed: false,
    keys: { ledger: new Map(), tokens: new Map() },
    kinds: new Set(),
    reasons: new Set(),
    purposes: new Set(),
    approvals: new Map(),
    consents: new Map(),
    trails: new Map(),
    completeness: startCompleteness(),
    erased: new Set(),
    restores: new Map(),
  }
}

/**
 * Applies the next entry to the state, in place, after checking every rule of the design against it. Throws `Violation`; the
 * state is then of no further use. `verify` checks the bank's signed approvals.
 */
export function replayEntry(state: Replay, bytes: Uint8Array, verify: VerifyJws): Entry {
  const entry = readNext(state, bytes)
  if (state.closed) throw new Violation(entry.n, 'close', 'the ledger was closed before it')
  const genesis = opening(state, entry)
  if (!state.kinds.has(entry.kind))
    throw new Violation(entry.n, 'vocabulary', `kind ${entry.kind} is not declared`)
  checkTotals(state, entry)
  checkChain(state, entry)
  apply(state, entry, { genesis, verify })
  state.size += 1
  state.at = entry.at
  return entry
}

/** Rules `form`, `index`, `time`. */
function readNext(state: Replay, bytes: Uint8Array): Entry {
  let entry: Entry
  try {
    entry = readEntry(bytes)
  } catch (error) {
    if (error instanceof CanonicalError) throw new Violation(state.size, 'form', error.message)
    throw error
  }
  if (entry.n !== state.size) throw new Violation(state.size, 'index', `it says n = ${entry.n}`)
  if (entry.at < state.at) throw new Violation(entry.n, 'time', `${entry.at} is before ${state.at}`)
  return entry
}

/** Rule `genesis`: there is one, it comes first, and it declares at least the totals that every version counts. */
function opening(state: Replay, entry: Entry): Bodies['genesis'] {
  const first = state.genesis
  if (first !== undefined && entry.kind !== 'genesis') return first
  if (first !== undefined) throw new Violation(entry.n, 'genesis', 'a second genesis')
  if (entry.kind !== 'genesis')
    throw new Violation(entry.n, 'genesis', 'the first entry is another')
  const { body } = entry
  const before = body.predecessor && embeddedCheckpoint(body.predecessor.checkpoint)
  if (body.predecessor !== undefined && (before === undefined || before.origin === body.origin))
    throw new Violation(entry.n, 'genesis', 'it follows no other ledger')
  const missing = totalNames.find((name) => !body.totals.includes(name))
  if (missing !== undefined) throw new Violation(entry.n, 'genesis', `total ${missing} is missing`)
  state.genesis = body
  state.keys.ledger.set(body.vkey, 'active')
  state.kinds = new Set(body.kinds)
  state.reasons = new Set(body.reasons)
  state.purposes = new Set(body.purposes)
  state.totals = Object.fromEntries(body.totals.map((name) => [name, 0]))
  return body
}

function checkTotals(state: Replay, entry: Entry): void {
  if (entry.kind === 'policy')
    for (const name of entry.body.totals) {
      if (Object.hasOwn(state.totals, name))
        throw new Violation(entry.n, 'totals', `${name} exists already`)
      state.totals[name] = 0
    }
  const raised = delta(entry)
  if (raised !== undefined) state.totals[raised.name] = (state.totals[raised.name] ?? 0) + raised.by
  if (!sameTotals(state.totals, entry.totals))
    throw new Violation(entry.n, 'totals', 'they do not follow from the entry before')
}

function sameTotals(expected: Totals, found: Totals): boolean {
  let members = 0
  for (const name in found) {
    if (expected[name] !== found[name]) return false
    members++
  }
  return members === Object.keys(expected).length
}

function checkChain(state: Replay, entry: Entry): void {
  const consent = consentOf(entry)
  const prev = 'prev' in entry.body ? entry.body.prev : undefined
  const trail = consent === undefined ? undefined : state.trails.get(consent)
  if (prev !== trail?.tail)
    throw new Violation(entry.n, 'chain', `prev is ${said(prev)}, not ${said(trail?.tail)}`)
  if (trail !== undefined) {
    trail.tail = entry.n
    trail.released ||= entry.kind === 'release'
  } else if (consent !== undefined)
    state.trails.set(structuredClone(consent), { tail: entry.n, released: false })
}

const said = (index: number | undefined) => (index === undefined ? 'absent' : String(index))
