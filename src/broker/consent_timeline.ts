import type { Actor, Consent, ExpiryCause } from '../consent/consent.ts'
import { Refusal } from '../consent/refusal.ts'
import type { Entry, RevocationReason } from '../ledger/entry.ts'
import type { AuthorizationEvent } from '../storage/authorization_events.ts'
import { session_idle_minutes } from '../storage/sessions.ts'
import { readTimeline, type Mark, type Timeline } from '../storage/timeline.ts'
import type { Broker } from './broker.ts'

/** One thing that happened to a consent, or on the way to it. `at` is RFC 3339 UTC. */
export interface Step {
  readonly at: string
  readonly event: AuthorizationEvent | 'abandoned' | Exclude<Mark, 'ended'> | 'revoked' | 'expired'
  /** The interaction id of the request, or of the browser's session. */
  readonly interaction?: string
  readonly by?: Actor
  readonly reason?: RevocationReason
  readonly cause?: ExpiryCause
  /** The index of its entry, for what the ledger says. */
  readonly entry?: number
}

/**
 * What happened to a consent, oldest first: what led to it, and from its grant on what the ledger says. Throws
 * `Refusal('consent_unknown')`.
 */
export async function consentTimeline(
  { db, now }: Broker,
  bank: string,
  id: string,
): Promise<{ consent: Consent; steps: Step[] }> {
  const found = await readTimeline(db, bank, id)
  if (found === undefined) throw new Refusal('consent_unknown')
  const led: Step[] = found.events.map((event) => event)
  const entered = found.entries.map(stepOf)
  const steps = [...led, ...abandoned(found, now()), ...entered]
  return {
    consent: found.shown.consent,
    steps: steps.toSorted(inOrder),
  }
}

/** Of what happened in one millisecond the entry comes last: it is what the steps led to. */
const inOrder = (a: Step, b: Step): number =>
  Date.parse(a.at) - Date.parse(b.at) || (a.entry ?? -1) - (b.entry ?? -1)

/** A request that nobody answered: its browser's session is over, or none ever came. */
function abandoned({ shown, events }: Timeline, now: number): Step[] {
  if (shown.consent.state !== 'requested') return []
  const last = events.at(-1)?.at ?? shown.asked
  const at = Date.parse(last) + session_idle_minutes * 60_000
  return at > now ? [] : [{ at: new Date(at).toISOString(), event: 'abandoned' }]
}

function stepOf({ mark, entry }: { mark: Mark; entry: Entry }): Step {
  const { at, n } = entry
  const what = { at, entry: n, ...detailsOf(entry) }
  if (mark !== 'ended') return { event: mark, ...what }
  return { event: entry.kind === 'consent.expire' ? 'expired' : 'revoked', ...what }
}

function detailsOf(entry: Entry): Pick<Step, 'by' | 'reason' | 'cause' | 'interaction'> {
  switch (entry.kind) {
    case 'consent.replace':
      return { by: entry.body.by }
    case 'consent.revoke':
      return { by: entry.body.by, reason: entry.body.reason }
    case 'consent.expire':
      return { cause: entry.body.cause }
    case 'release':
      return { interaction: entry.body.interaction }
    default:
      return {}
  }
}
