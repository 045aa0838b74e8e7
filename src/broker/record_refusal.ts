import type { Class } from '../consent/class.ts'
import type { RefusalReason } from '../consent/refusal.ts'
import { random128 } from '../storage/ids.ts'
import { passedTallies } from '../storage/refusals.ts'
import { tallyName, type TallyKey } from '../storage/ledger_state.ts'
import { DoorBusy, DoorUnavailable, type Draft } from './append.ts'
import type { Broker } from './broker.ts'

/**
 * Records that an authenticated client was refused at a bank: counted durably before this returns, and written at once when it
 * is the first of its (client, consent, reason) in the minute; the others follow in one entry when the minute has passed. Those at
 * a closed ledger stay counted, and are entered nowhere.
 * `consent` must be a consent of this bank, if given. A full or unreachable door loses nothing: the sweeper writes the count.
 */
export async function recordRefusal(
  broker: Broker,
  refused: {
    bank: string
    client: string
    class: Class
    reason: RefusalReason
    consent?: string
    /** The fetch that the bank was asked for before. */
    fetch?: string
  },
): Promise<void> {
  const { bank, client, reason } = refused
  const { key, first } = await broker.countRefusal(bank, {
    client,
    class: refused.class,
    consent: refused.consent ?? '',
    reason,
    ...(refused.fetch === undefined ? {} : { fetch: refused.fetch }),
  })
  if (!first) return
  try {
    await broker.door.append(bank, writeTally(key))
  } catch (error) {
    if (!(error instanceof DoorBusy) && !(error instanceof DoorUnavailable)) throw error
  }
}

/** Writes the refusals counted in minutes that have passed. Returns how many entries were made. */
export async function sweepRefusals(broker: Broker, bank: string): Promise<number> {
  const keys = await passedTallies(broker.db, bank)
  const outcomes = await Promise.all(keys.map((key) => broker.door.append(bank, writeTally(key))))
  return outcomes.filter(({ kind }) => kind === 'entered').length
}

/** Takes what is pending under the lock, so that two writers never write one refusal twice. */
function writeTally(key: TallyKey): Draft {
  const salt = random128()
  return {
    names: { tally: key, ...(key.consent === '' ? {} : { consents: [key.consent] }) },
    decide(state) {
      const tally = state.tallies.get(tallyName(key))
      if (tally === undefined || tally.pending === 0 || state.closed) return {}
      return {
        entry: {
          kind: 'refusal',
          body: {
            class: tally.class,
            client: key.client,
            ...(key.consent === '' ? {} : { consent: key.consent }),
            count: tally.pending,
            reason: key.reason,
            salt,
          },
        },
        effects: [{ kind: 'tally.take', key, count: tally.pending }],
      }
    },
  }
}
