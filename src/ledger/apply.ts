import { mayBeApproved } from '../consent/class.ts'
import {
  broadens,
  expire,
  grant,
  replace,
  revoke,
  standing,
  uncovered,
  type Move,
} from '../consent/consent.ts'
import type { RefusalReason } from '../consent/refusal.ts'
import type { Terms } from '../consent/terms.ts'
import { openApproval, outOfOrder } from './approval.ts'
import type { SignedFor, VerifyJws } from './bank_jws.ts'
import { CanonicalError } from './canonical.ts'
import { embeddedCheckpoint } from './embedded_note.ts'
import type { Bodies, Entry } from './entry.ts'
import { isKeyName, misuse } from './key.ts'
import type { Replay } from './replay.ts'
import { addReconciled, addStatement, openStatement, outOfRange } from './statement.ts'
import { Violation, type Rule } from './violation.ts'

type Of<Kind extends Entry['kind']> = Extract<Entry, { kind: Kind }>
type Opening = { readonly genesis: Bodies['genesis']; readonly verify: VerifyJws }

/** What one entry may do, by its kind, and what it changes. Throws `Violation`. */
export function apply(state: Replay, entry: Entry, opening: Opening): void {
  switch (entry.kind) {
    case 'genesis':
    case 'access':
      return
    case 'policy':
      for (const kind of entry.body.kinds) state.kinds.add(kind)
      for (const reason of entry.body.reasons) state.reasons.add(reason)
      return
    case 'key':
      return use(state, entry, opening)
    case 'recipient.approve':
      return approve(state, entry, opening)
    case 'recipient.suspend':
      return suspend(state, entry)
    case 'consent.grant':
    case 'consent.replace':
    case 'consent.revoke':
    case 'consent.expire':
      return move(state, entry)
    case 'release':
      return release(state, entry)
    case 'refusal':
      if (!state.reasons.has(entry.body.reason))
        throw new Violation(entry.n, 'refusal', `reason ${entry.body.reason} is not declared`)
      return
    case 'epoch':
      if (entry.body.size !== entry.n)
        throw new Violation(entry.n, 'epoch', 'it covers another size than its own index')
      return
    case 'statement':
      return stated(state, entry, opening)
    case 'reconcile': {
      const refused = addReconciled(state.completeness, entry)
      if (refused !== undefined) throw new Violation(entry.n, 'reconcile', refused)
      return
    }
    case 'erasure':
      return erase(state, entry)
    case 'restore': {
      const last = embeddedCheckpoint(entry.body.checkpoint)
      if (last?.origin !== opening.genesis.origin || last.size !== entry.n)
        throw new Violation(entry.n, 'restore', 'it names no checkpoint of all entries before it')
      state.restores.set(entry.n, structuredClone({ at: entry.at, ...entry.body }))
      return
    }
    case 'close':
      return close(state, entry, opening)
  }
}

function close(state: Replay, { n, body }: Of<'close'>, { genesis }: Opening): void {
  const last = embeddedCheckpoint(body.checkpoint)
  if (last?.origin !== genesis.origin || last.size > n)
    throw new Violation(n, 'close', 'it names no checkpoint of the entries before it')
  for (const consent of state.consents.values())
    if (consent.state === 'active')
      throw new Violation(n, 'close', `consent ${consent.id} is active`)
  state.closed = true
}

function use(state: Replay, { n, body }: Of<'key'>, { genesis }: Opening): void {
  if (!isKeyName(body.of, body.key, genesis.origin))
    throw new Violation(n, 'key', `it names no key of ${body.of}`)
  const keys = state.keys[body.of]
  const refused = misuse(keys, body)
  if (refused !== undefined) throw new Violation(n, 'key', refused)
  keys.set(structuredClone(body.key), body.use)
}

function approve(state: Replay, entry: Of<'recipient.approve'>, opening: Opening): void {
  const { n, at, body } = entry
  const { recipient, class: named, purposes, clusters, keys, iat } = body
  const signed = opened(entry, 'approval', opening, openApproval)
  if (JSON.stringify(saysOf(signed)) !== JSON.stringify(saysOf(body)))
    throw new Violation(n, 'approval', 'the entry says other than the bank signed')
  if (!mayBeApproved(named)) throw new Violation(n, 'approval', `class ${named} can never receive`)
  const refused = outOfOrder(state.approvals.get(recipient), { iat, at })
  if (refused !== undefined) throw new Violation(n, 'approval', refused)
  const approval = { recipient, class: named, purposes, clusters, keys, suspended: false, iat }
  const kept = structuredClone(approval)
  state.approvals.set(kept.recipient, kept)
}

/** What a bank signed, opened for this ledger; what cannot be opened breaks the rule. */
function opened<T>(
  { n, body }: { n: number; body: { jws: string } },
  rule: Rule,
  { genesis, verify }: Opening,
  open: (jws: string, ledger: SignedFor) => T,
): T {
  const { bank, origin, bank_key: key } = genesis
  try {
    return open(body.jws, { bank, origin, key, verify })
  } catch (error) {
    if (error instanceof CanonicalError) throw new Violation(n, rule, error.message)
    throw error
  }
}

const saysOf = (body: Bodies['recipient.approve']) => [
  body.recipient,
  body.class,
  body.purposes,
  body.clusters,
  body.keys,
  body.iat,
]

function suspend(state: Replay, { n, at, body }: Of<'recipient.suspend'>): void {
  const approval = state.approvals.get(body.recipient)
  if (standing(approval) !== undefined || approval === undefined)
    throw new Violation(n, 'approval', 'the recipient has no standing approval')
  state.approvals.set(body.recipient, { ...approval, suspended: true, suspendedAt: at })
}

type MoveEntry = Extract<Entry, { kind: `consent.${string}` }>

function move(state: Replay, entry: MoveEntry): void {
  const moved = moveOf(state, entry)
  if (typeof moved === 'string') throw new Violation(entry.n, 'consent', words(moved))
  const kept = structuredClone(moved)
  state.consents.set(kept.id, kept)
}

function moveOf(state: Replay, entry: MoveEntry): Move {
  const { n, at } = entry
  const found = state.consents.get(entry.body.consent)
  if (entry.kind === 'consent.grant') {
    const { consent: id, recipient } = entry.body
    if (found !== undefined) throw new Violation(n, 'consent', 'it was granted before')
    return grant({ id, state: 'requested', recipient }, given(state, entry))
  }
  if (found === undefined) return 'consent_unknown'
  switch (entry.kind) {
    case 'consent.replace':
      if (found.state === 'active' && !isProven(entry.body) && broadens(entry.body, found.terms))
        throw new Violation(n, 'consent', 'broader terms without a login at the bank')
      return replace(found, given(state, entry))
    case 'consent.revoke':
      return revoke(found, { at, by: entry.body.by })
    case 'consent.expire':
      if (entry.body.cause === 'unredeemed' && state.trails.get(found.id)?.released === true)
        throw new Violation(n, 'consent', 'it was redeemed: there is a release')
      return expire(found, { at, cause: entry.body.cause })
  }
}

/** Whether it commits to a login at the bank, and to the terms that the login was bound to. */
const isProven = ({ login, terms }: Bodies['consent.replace']) =>
  login !== undefined && terms !== undefined

function given(state: Replay, { n, at, body }: Of<'consent.grant' | 'consent.replace'>) {
  if (!state.purposes.has(body.purpose))
    throw new Violation(n, 'consent', `purpose ${body.purpose} is not declared`)
  return { terms: termsOf(body), approval: state.approvals.get(body.recipient), at }
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

/** A bank's statement: it says what the bank signed, and comes after the one before it. */
function stated({ completeness }: Replay, entry: Of<'statement'>, opening: Opening): void {
  const { n, at, body } = entry
  const signed = opened(entry, 'statement', opening, openStatement)
  const isSaid = (['count', 'from', 'iat', 'root', 'to'] as const).every(
    (member) => signed[member] === body[member],
  )
  if (!isSaid) throw new Violation(n, 'statement', 'the entry says other than the bank signed')
  const refused = outOfRange(body, { end: completeness.end, at })
  if (refused !== undefined) throw new Violation(n, 'statement', refused)
  addStatement(completeness, entry)
}

function erase({ consents, erased }: Replay, { n, body }: Of<'erasure'>): void {
  for (const id of body.consents) {
    const consent = consents.get(id)
    if (consent === undefined) throw new Violation(n, 'erasure', 'a consent was never granted')
    if (consent.state === 'active') throw new Violation(n, 'erasure', 'a consent is active')
    if (erased.has(id)) throw new Violation(n, 'erasure', 'a consent was erased before')
    erased.add(structuredClone(id))
  }
}

function release(state: Replay, { n, at, body }: Of<'release'>): void {
  const consent = state.consents.get(body.consent)
  const approval = state.approvals.get(body.recipient)
  const refused = uncovered(consent, { access: body, approval, at })
  if (refused !== undefined) throw new Violation(n, 'release', words(refused))
  if (consent?.state !== 'active' || consent.terms.purpose !== body.purpose)
    throw new Violation(n, 'release', 'the purpose is not the one consented to')
  if (body.clusters.includes('TRANSACTIONS') !== (body.since !== undefined))
    throw new Violation(n, 'release', 'since belongs to transactions, and they to it')
  state.completeness.fetches += body.fetches.length
}

const words = (reason: RefusalReason) => reason.replaceAll('_', ' ')
