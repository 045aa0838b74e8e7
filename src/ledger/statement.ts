import { integerOf, openBankJws, type SignedFor } from './bank_jws.ts'
import { CanonicalError } from './canonical.ts'
import type { Bodies, Reconciled } from './entry.ts'
import type { JsonObject } from './json_object.ts'

/** The `typ` of a bank's signed statement of what it served. */
export const statement_typ = 'countersign-statement+jwt'

/** How far a bank's clock may be ahead of the ledger's. */
const ahead_ms_max = 60_000

/**
 * Opens a bank's signed statement: a compact JWS, `typ` as above, whose payload names this bank as `iss`, the ledger's origin as
 * `aud`, when it was signed as `iat`, the range of time as `from` and `to`, and of the requests that the bank served in it their
 * `count` and the `root` over their ids (`merkle/interactions.ts`). Throws `CanonicalError`.
 */
export function openStatement(jws: string, ledger: SignedFor): Bodies['statement'] {
  const claims = openBankJws(jws, { ...ledger, what: 'statement', typ: statement_typ })
  return {
    count: integerOf(claims, 'count'),
    from: textOf(claims, 'from'),
    iat: integerOf(claims, 'iat'),
    jws,
    root: textOf(claims, 'root'),
    to: textOf(claims, 'to'),
  }
}

function textOf(claims: JsonObject, name: string): string {
  const value = claims[name]
  if (typeof value !== 'string') throw new CanonicalError(`the claim ${name} is not a string`)
  return value
}

/**
 * Why a statement cannot be entered at this time, after one that ends at `end` (empty: after none), or undefined. Statements follow
 * each other and never overlap, so none is entered twice; the time between two of them is a gap, which is allowed and shown.
 */
export function outOfRange(
  { from, to, iat }: Pick<Bodies['statement'], 'from' | 'to' | 'iat'>,
  { end, at }: { end: string; at: string },
): string | undefined {
  const latest = Date.parse(at) + ahead_ms_max
  if (from >= to) return 'it ends no later than it begins'
  if (iat * 1000 > latest) return 'it was signed at a time to come'
  if (Date.parse(to) > latest) return 'it reaches into a time to come'
  if (Date.parse(to) > iat * 1000 + ahead_ms_max) return 'it was signed before its end'
  if (from < end) return 'it begins before the statement before it has ended'
  return undefined
}

/** What the statements of a ledger and their reconciliations amount to. */
export interface Completeness {
  /** Fetches that releases name. */
  fetches: number
  statements: number
  /** When the first statement begins and the newest ends: times, empty before there is one. */
  first: string
  end: string
  /** Times between two statements, and how long they are together. */
  gaps: number
  gaps_ms: number
  /** Statements that are not reconciled yet, oldest first. */
  readonly waiting: { readonly n: number; readonly count: number }[]
  /** Below this index every release is compared with what the bank stated. */
  upto: number
  /** Requests that the bank stated. */
  served: number
  reconciled: Reconciled
}

export const startCompleteness = (): Completeness => ({
  ...{ fetches: 0, statements: 0, first: '', end: '', gaps: 0, gaps_ms: 0, waiting: [] },
  ...{ upto: 0, served: 0 },
  reconciled: { released: 0, refused: 0, dropped: 0, offered: 0, unknown: 0, missing: 0 },
})

/** How long no statement covers, ms, of the time from the first entry to the last: before them, between them, and after them. */
export function uncovered_ms(
  { first, end, gaps_ms }: Completeness,
  ledger: { first: string; last: string },
): number {
  const from = Date.parse(ledger.first)
  const to = Date.parse(ledger.last)
  if (first === '') return to - from
  const before = Math.max(0, Math.min(to, Date.parse(first)) - from)
  const after = Math.max(0, to - Math.max(from, Date.parse(end)))
  return before + gaps_ms + after
}

/** Counts a statement, at this index of the ledger, that is in its place. */
export function addStatement(
  state: Completeness,
  { n, body }: { n: number; body: Pick<Bodies['statement'], 'from' | 'to' | 'count'> },
): void {
  const { from, to, count } = body
  if (state.end !== '' && from > state.end) {
    state.gaps += 1
    state.gaps_ms += Date.parse(from) - Date.parse(state.end)
  }
  if (state.first === '') state.first = structuredClone(from)
  state.end = structuredClone(to)
  state.statements += 1
  state.served += count
  state.waiting.push({ n, count })
}

/** Why a reconciliation cannot stand at index `n`, or undefined; then it is counted. */
export function addReconciled(
  state: Completeness,
  { n, body }: { n: number; body: Bodies['reconcile'] },
): string | undefined {
  const [next] = state.waiting
  const { statement, upto, released, refused, dropped, offered, unknown, missing } = body
  if (next?.n !== statement) return 'it names no statement whose turn it is'
  if (released + refused + dropped + offered + unknown !== next.count)
    return 'what became of the requests does not add up to those stated'
  if (upto > n || upto < state.upto) return 'it compares other releases than the next ones'
  const before = state.reconciled
  if (released > state.fetches || before.missing + missing > state.fetches)
    return 'it counts more releases than there are'
  state.waiting.shift()
  state.upto = upto
  state.reconciled = {
    released: before.released + released,
    refused: before.refused + refused,
    dropped: before.dropped + dropped,
    offered: before.offered + offered,
    unknown: before.unknown + unknown,
    missing: before.missing + missing,
  }
  return undefined
}
