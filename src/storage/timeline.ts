import { readEntry, type Entry } from '../ledger/entry.ts'
import { readShown, type ShownConsent } from './consent_search.ts'
import type { AuthorizationEvent, NewEvent } from './authorization_events.ts'
import { inBank, type Database } from './database.ts'

/** Steps and new terms that are told of one consent: the newest. */
const told_max = { steps: 500, replaces: 100 } as const

/** A step on the way to a consent, as it was kept. `at` is RFC 3339 UTC. */
export type KeptEvent = Omit<NewEvent, 'consent'> & { readonly at: string }

/** What an entry is to its consent. */
export type Mark = 'granted' | 'replaced' | 'first_release' | 'last_release' | 'ended'

/** What is known of a consent's life: the steps that led to it, and those of its entries that are milestones. */
export interface Timeline {
  readonly shown: ShownConsent
  readonly events: readonly KeptEvent[]
  readonly entries: readonly { readonly mark: Mark; readonly entry: Entry }[]
}

export async function readTimeline(
  db: Database,
  bank: string,
  id: string,
): Promise<Timeline | undefined> {
  return inBank(db, bank, async (tx) => {
    const shown = await readShown(tx, bank, id)
    if (shown === undefined) return undefined
    const events = await tx.raw<{ rows: EventRow[] }>(
      `select at, event, interaction_id, by from authorization_events
       where bank_id = ? and consent_id = ? order by at desc limit ?`,
      [bank, id, told_max.steps],
    )
    const entries = await tx.raw<{ rows: { mark: Mark; leaf: Buffer }[] }>(marksSql, { bank, id })
    return {
      shown,
      events: events.rows.map(eventOf).toReversed(),
      entries: entries.rows.map(({ mark, leaf }) => ({ mark, entry: readEntry(leaf) })),
    }
  })
}

interface EventRow {
  at: Date
  event: AuthorizationEvent
  interaction_id: string | null
  by: KeptEvent['by'] | null
}

const eventOf = ({ at, event, interaction_id: interaction, by }: EventRow): KeptEvent => ({
  at: at.toISOString(),
  event,
  ...(interaction === null ? {} : { interaction }),
  ...(by === null || by === undefined ? {} : { by }),
})

/** The entries of one mark, from the end of their index that they are nearest to. */
const marked = (mark: Mark, kinds: string, order: string) => `
  (select '${mark}' as mark, n, leaf from entries
    where bank_id = :bank and consent_id = :id and kind ${kinds} order by ${order})`

export const marksSql = [
  marked('granted', `= 'consent.grant'`, 'n limit 1'),
  marked('replaced', `= 'consent.replace'`, `n desc limit ${told_max.replaces}`),
  marked('first_release', `= 'release'`, 'n limit 1'),
  marked('last_release', `= 'release'`, 'n desc limit 1'),
  marked('ended', `in ('consent.revoke', 'consent.expire')`, 'n limit 1'),
].join(' union all ')
