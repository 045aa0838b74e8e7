import {
  expire,
  grant,
  replace,
  revoke,
  standing,
  uncovered,
  type Consent,
  type Move,
} from '../consent/consent.ts'
import { classes } from '../consent/class.ts'
import type { Approval, Terms } from '../consent/terms.ts'
import { openApproval, type VerifyJws } from './approval.ts'
import { CanonicalError } from './canonical.ts'
import { consentOf, readEntry, type Bodies, type Entry } from './entry.ts'
import { delta, type Totals } from './totals.ts'

/** The rules an auditor re-runs, in the order in which they are checked for each entry. */
export type Rule =
  | 'form'
  | 'index'
  | 'time'
  | 'genesis'
  | 'vocabulary'
  | 'totals'
  | 'chain'
  | 'approval'
  | 'consent'
  | 'release'
  | 'refusal'
  | 'epoch'

/** An entry that breaks a rule. */
export class Violation extends Error {
  override readonly name = 'Violation'
  readonly index: number
  readonly rule: Rule

  constructor(index: number, rule: Rule, detail: string) {
    super(`entry ${index}: ${rule}: ${detail}`)
    this.index = index
    this.rule = rule
  }
}

/** What the entries so far amount to. */
export interface Replay {
  size: number
  at: string
  totals: Record<string, number>
  genesis: Bodies['genesis'] | undefined
  vkey: string
  kinds: Set<string>
  reasons: Set<string>
  purposes: Set<string>
  approvals: Map<string, Approval>
  consents: Map<string, Consent>
  released: Set<string>
  tails: Map<string, number>
}

/** The state before the first entry. */
export function startReplay(): Replay {
  return {
    size: 0,
    at: '',
    totals: {},
    genesis: undefined,
    vkey: '',
    kinds: new Set(),
    reasons: new Set(),
    purposes: new Set(),
    approvals: new Map(),
    consents: new Map(),
    released: new Set(),
    tails: new Map(),
  }
}

/**
 * Applies the next entry to the state, in place, after checking every rule of the design against it. Throws `Violation`; the
 * state is then of no further use. `verify` checks the banks' signed approvals.
 */
export function replayEntry(state: Replay, bytes: Uint8Array, verify: VerifyJws): Entry {
  const entry = formOf(state, bytes)
  if (entry.n === 0) opens(state, entry)
  else if (state.genesis === undefined || entry.kind === 'genesis')
    throw new Violation(entry.n, 'genesis', 'genesis is the first entry and no other')
  if (!state.kinds.has(entry.kind))
    throw new Violation(entry.n, 'vocabulary', `kind ${entry.kind} is not declared`)
  checkTotals(state, entry)
  checkChain(state, entry)
  apply(state, entry, verify)
  state.size += 1
  state.at = entry.at
  return entry
}

function formOf(state: Replay, bytes: Uint8Array): Entry {
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

function opens(state: Replay, entry: Entry): void {
  if (entry.kind !== 'genesis') throw new Violation(0, 'genesis', 'the first entry is not genesis')
  const { body } = entry
  state.genesis = body
  state.vkey = body.vkey
  state.kinds = new Set(body.kinds)
  state.reasons = new Set(body.reasons)
  state.purposes = new Set(body.purposes)
  state.totals = Object.fromEntries(body.totals.map((name) => [name, 0]))
}

function checkTotals(state: Replay, entry: Entry): void {
  if (entry.kind === 'policy')
    for (const name of entry.body.totals) {
      if (name in state.totals) throw new Violation(entry.n, 'totals', `${name} exists already`)
      state.totals[name] = 0
    }
  const raised = delta(entry)
  if (raised !== undefined) {
    const before = state.totals[raised.name]
    if (before === undefined)
      throw new Violation(entry.n, 'totals', `${raised.name} is not declared`)
    state.totals[raised.name] = before + raised.by
  }
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
  if (consent === undefined) return
  const prev = 'prev' in entry.body ? entry.body.prev : undefined
  if (prev !== state.tails.get(consent))
    throw new Violation(
      entry.n,
      'chain',
      `prev is ${prev ?? 'absent'}, not ${state.tails.get(consent) ?? 'absent'}`,
    )
  state.tails.set(consent, entry.n)
}

function apply(state: Replay, entry: Entry, verify: VerifyJws): void {
  switch (entry.kind) {
    case 'genesis':
      return
    case 'policy':
      for (const kind of entry.body.kinds) state.kinds.add(kind)
      for (const reason of entry.body.reasons) state.reasons.add(reason)
      return
    case 'key':
      state.vkey = entry.body.vkey
      return
    case 'recipient.approve':
      return applyApproval(state, entry.n, entry.body, verify)
    case 'recipient.suspend':
      return applySuspension(state, entry.n, entry.body.recipient)
    case 'consent.grant':
    case 'consent.replace':
    case 'consent.revoke':
    case 'consent.expire':
      return applyMove(state, entry)
    case 'release':
      return checkRelease(state, entry.n, entry.at, entry.body)
    case 'refusal':
      return checkRefusal(state, entry.n, entry.body)
    case 'epoch':
      if (entry.body.size !== entry.n)
        throw new Violation(entry.n, 'epoch', 'it covers another size than its own index')
  }
}

function applyApproval(
  state: Replay,
  n: number,
  body: Bodies['recipient.approve'],
  verify: VerifyJws,
): void {
  const { genesis } = state
  if (genesis === undefined) return
  let signed: Bodies['recipient.approve']
  try {
    signed = openApproval(body.jws, {
      bank: genesis.bank,
      origin: genesis.origin,
      key: genesis.bank_key,
      verify,
    })
  } catch (error) {
    if (error instanceof CanonicalError) throw new Violation(n, 'approval', error.message)
    throw error
  }
  if (JSON.stringify(ordered(signed)) !== JSON.stringify(ordered(body)))
    throw new Violation(n, 'approval', 'the entry says other than the bank signed')
  if (!classes[body.class].mayReceive)
    throw new Violation(n, 'approval', `class ${body.class} can never receive`)
  state.approvals.set(body.recipient, {
    recipient: body.recipient,
    class: body.class,
    purposes: body.purposes,
    clusters: body.clusters,
    keys: body.keys,
    suspended: false,
  })
}

const ordered = (body: Bodies['recipient.approve']) => [
  body.recipient,
  body.class,
  body.purposes,
  body.clusters,
  body.keys,
]

function applySuspension(state: Replay, n: number, recipient: string): void {
  const approval = state.approvals.get(recipient)
  if (standing(approval) !== undefined || approval === undefined)
    throw new Violation(n, 'approval', 'the recipient has no standing approval')
  state.approvals.set(recipient, { ...approval, suspended: true })
}

type MoveEntry = Extract<Entry, { kind: `consent.${string}` }>

function applyMove(state: Replay, entry: MoveEntry): void {
  const { consent: id } = entry.body
  const moved = moveOf(state, entry)
  if (typeof moved === 'string') throw new Violation(entry.n, 'consent', moved.replaceAll('_', ' '))
  state.consents.set(id, moved)
  if (entry.kind !== 'consent.grant' && entry.kind !== 'consent.replace') state.released.delete(id)
}

function moveOf(state: Replay, entry: MoveEntry): Move {
  const { at } = entry
  const found = state.consents.get(entry.body.consent)
  if (entry.kind === 'consent.grant' || entry.kind === 'consent.replace') {
    const terms = termsOf(entry.body)
    if (!state.purposes.has(terms.purpose)) return 'purpose_denied'
    const approval = state.approvals.get(terms.recipient)
    if (entry.kind === 'consent.replace')
      return found === undefined ? 'consent_unknown' : replace(found, { terms, approval, at })
    if (found !== undefined) return 'consent_not_active'
    return grant(
      { id: entry.body.consent, state: 'requested', recipient: terms.recipient },
      { terms, approval, at },
    )
  }
  if (found === undefined) return 'consent_unknown'
  if (entry.kind === 'consent.revoke') return revoke(found, { at, by: entry.body.by })
  if (entry.body.cause === 'unredeemed' && state.released.has(found.id)) return 'consent_not_active'
  return expire(found, { at, cause: entry.body.cause })
}

const termsOf = (body: Terms): Terms => ({
  recipient: body.recipient,
  purpose: body.purpose,
  clusters: body.clusters,
  accounts: body.accounts,
  lookback_days: body.lookback_days,
  one_time: body.one_time,
  expires: body.expires,
  delivery: body.delivery,
  disclosure: body.disclosure,
})

function checkRelease(state: Replay, n: number, at: string, body: Bodies['release']): void {
  const consent = state.consents.get(body.consent)
  const approval = state.approvals.get(body.recipient)
  const refused = uncovered(consent, { access: body, approval, at })
  if (refused !== undefined) throw new Violation(n, 'release', refused.replaceAll('_', ' '))
  if (consent?.state !== 'active' || consent.terms.purpose !== body.purpose)
    throw new Violation(n, 'release', 'the purpose is not the one consented to')
  if (body.clusters.includes('TRANSACTIONS') !== (body.since !== undefined))
    throw new Violation(n, 'release', 'since belongs to transactions, and they to it')
  state.released.add(body.consent)
}

function checkRefusal(state: Replay, n: number, body: Bodies['refusal']): void {
  if (!state.reasons.has(body.reason))
    throw new Violation(n, 'vocabulary', `reason ${body.reason} is not declared`)
}
