import { isEndOfConsent, isRefusalReason } from '../consent/refusal.ts'
import type { Reconciled } from '../ledger/entry.ts'
import { offered_outcome } from '../storage/fetches.ts'
import {
  fetchesBehind,
  firstAfter,
  isClosed,
  newestReconcile,
  notedFetches,
  releasesIn,
  statementAfter,
  statementsBefore,
  type Mismatch,
  type StatementEntry,
} from '../storage/statements.ts'
import type { Broker } from './broker.ts'

/**
 * How far a bank's clock may be from ours, and how long a request to the bank may be under way, seconds: this near to the edge of
 * what is stated, nothing is held against anyone.
 */
export const statement_slack_s = 120

const limits = {
  /** Reconciled in one turn of one bank. */
  statements_per_turn_max: 32,
  /** Entries, or ids, looked at in one statement of the database. */
  chunk: 5_000,
  /** Mismatches of each kind whose ids are kept. The entry counts all of them. */
  mismatches_kept_max: 100,
} as const

/**
 * Compares each statement of a bank whose time is over with the ledger and with the requests that were made, and enters what became of
 * them. Nothing is written before all is compared, so a process that dies changes nothing, and of several at work one enters it. A
 * request that only one of the two records has is an alarm. Returns how many statements were reconciled.
 */
export async function reconcileStatements(
  broker: Broker,
  bank: string,
  { slack_s = statement_slack_s }: { slack_s?: number } = {},
): Promise<number> {
  for (let done = 0; done < limits.statements_per_turn_max; done++) {
    const last = (await newestReconcile(broker.db, bank))?.body
    const statement = await statementAfter(broker.db, bank, last?.statement ?? -1)
    const slack_ms = slack_s * 1_000
    if (statement === undefined || Date.parse(statement.body.to) + slack_ms > broker.now())
      return done
    if (await isClosed(broker.db, bank)) return done
    const compared = await compare(broker, bank, { statement, upto: last?.upto ?? 0, slack_ms })
    await enter(broker, bank, { statement, compared, last: last?.statement })
  }
  return limits.statements_per_turn_max
}

interface Compared {
  readonly counts: Reconciled
  readonly upto: number
  readonly mismatches: readonly Mismatch[]
}

/** Releases below `upto` were compared before. */
async function compare(
  broker: Broker,
  bank: string,
  {
    statement,
    upto: before,
    slack_ms,
  }: { statement: StatementEntry; upto: number; slack_ms: number },
): Promise<Compared> {
  const { from, to, root } = statement.body
  const stated = await fetchesBehind(broker.db, bank, root)
  if (stated === undefined)
    throw new Error(`the ids of statement ${statement.n} are gone: the bank must post it again`)
  const after = (time: string, ms: number) =>
    firstAfter(broker.db, bank, new Date(Date.parse(time) + ms).toISOString())
  const { begin, lists } = await statedBefore(broker, bank, { statement, slack_ms })
  // Each release is due once: those before `due.from` were compared, or lie where the bank stated nothing.
  const due = {
    from: Math.max(before, await after(begin, 2 * slack_ms)),
    to: Math.max(before, await after(to, -slack_ms)),
  }
  const range = {
    from: Math.min(due.from, await after(from, -slack_ms)),
    to: Math.max(due.to, await after(to, slack_ms)),
  }
  const open = new Set(stated)
  const known = new Set([stated, ...lists].flat())
  const missing: Mismatch[] = []
  let missed = 0
  for await (const { n: release, fetch } of fetchesReleased(broker, bank, range)) {
    open.delete(fetch)
    if (release < due.from || release >= due.to || known.has(fetch)) continue
    missed += 1
    if (missed <= limits.mismatches_kept_max) missing.push({ fetch, release })
  }
  const released = stated.length - open.size
  const { unknown, ...fates } = await fatesOf(broker, bank, [...open])
  return {
    counts: { ...fates, released, unknown: unknown.length, missing: missed },
    upto: due.to,
    mismatches: [
      ...unknown.slice(0, limits.mismatches_kept_max).map((fetch) => ({ fetch })),
      ...missing,
    ],
  }
}

/**
 * What the bank stated without a gap up to a statement: since when, and the ids of those before it that may name a request whose
 * release is due with this one. Where ids are gone, what they stood for is as good as a gap.
 */
async function statedBefore(
  { db }: Broker,
  bank: string,
  { statement, slack_ms }: { statement: StatementEntry; slack_ms: number },
): Promise<{ begin: string; lists: readonly (readonly string[])[] }> {
  const lists: (readonly string[])[] = []
  const reach = Date.parse(statement.body.from) - 3 * slack_ms
  let begin = statement.body.from
  for (let n = statement.n; Date.parse(begin) > reach;) {
    const [earlier] = await statementsBefore(db, bank, { before: n, limit: 1 })
    if (earlier?.body.to !== begin) break
    const list = await fetchesBehind(db, bank, earlier.body.root)
    if (list === undefined) break
    lists.push(list)
    begin = earlier.body.from
    n = earlier.n
  }
  return { begin, lists }
}

/** The requests that releases name, in a range of entries. */
async function* fetchesReleased(
  { db }: Broker,
  bank: string,
  { from, to }: { from: number; to: number },
): AsyncGenerator<{ n: number; fetch: string }> {
  for (let at = from; at < to; at += limits.chunk) {
    const releases = await releasesIn(db, bank, { from: at, to: Math.min(to, at + limits.chunk) })
    for (const { n, fetches } of releases) for (const fetch of fetches) yield { n, fetch }
  }
}

/** What became of requests that no release names. */
async function fatesOf(
  { db }: Broker,
  bank: string,
  fetches: readonly string[],
): Promise<{ refused: number; dropped: number; offered: number; unknown: readonly string[] }> {
  const unknown: string[] = []
  const counts = { refused: 0, dropped: 0, offered: 0 }
  for (let at = 0; at < fetches.length; at += limits.chunk) {
    const asked = fetches.slice(at, at + limits.chunk)
    const noted = await notedFetches(db, bank, asked)
    for (const fetch of asked)
      if (noted.has(fetch)) counts[fateOf(noted.get(fetch))] += 1
      else unknown.push(fetch)
  }
  return { ...counts, unknown }
}

/** Data that came when its consent had ended was dropped, as was what nobody came to speak of. */
function fateOf(outcome: string | undefined): 'refused' | 'dropped' | 'offered' {
  if (outcome === offered_outcome) return 'offered'
  return isRefusalReason(outcome) && !isEndOfConsent(outcome) ? 'refused' : 'dropped'
}

/** `last` is the statement whose reconciliation was the newest when this one was looked for. */
async function enter(
  broker: Broker,
  bank: string,
  {
    statement,
    compared,
    last,
  }: { statement: StatementEntry; compared: Compared; last: number | undefined },
): Promise<void> {
  const { counts, upto, mismatches } = compared
  // Before the entry: an alarm that is raised twice harms less than one that a crash takes away.
  if (counts.unknown + counts.missing > 0)
    broker.observe.alarm(
      bank,
      `statement ${statement.n} and the ledger differ: ${counts.unknown} requests stated that were never made, ${counts.missing} released that are not stated`,
    )
  const outcome = await broker.door.append(bank, {
    names: { statements: true },
    decide({ newestReconcile }) {
      if (newestReconcile?.statement !== last) return {}
      return {
        entry: { kind: 'reconcile', body: { ...counts, statement: statement.n, upto } },
        effects: [{ kind: 'mismatches.save', statement: statement.n, mismatches }],
      }
    },
  })
  if (outcome.kind === 'entered') broker.observe.reconciled(bank, counts)
}
