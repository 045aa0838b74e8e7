import { expire, type ExpiryCause } from '../consent/consent.ts'
import { consentsToEnd } from '../storage/expiries.ts'
import type { ConsentRecord } from '../storage/ledger_state.ts'
import type { Broker } from './broker.ts'
import { endings, save } from './revoke_consent.ts'

/** A grant that is not redeemed within this time ends: its code lived for one minute. */
const unredeemed_minutes_max = 10

/**
 * Writes the end of every consent whose time has come, and of grants never redeemed, each exactly once however many
 * processes sweep. Reading never waits for it: an expired consent is refused by its own date. Returns how many ended.
 */
export async function expireConsents(broker: Broker, bank: string): Promise<number> {
  const due = await consentsToEnd(broker.db, bank, unredeemed_minutes_max)
  const outcomes = await Promise.all(due.map((one) => expireOne(broker, bank, one)))
  return outcomes.filter(({ kind }) => kind === 'entered').length
}

function expireOne(
  broker: Broker,
  bank: string,
  { id, cause }: { id: string; cause: ExpiryCause },
) {
  return broker.door.append(bank, {
    names: { consents: [id] },
    decide(state) {
      const record = state.consents.get(id)
      if (record === undefined || (cause === 'unredeemed' && !isUnredeemed(record, state.at)))
        return {}
      const moved = expire(record.consent, { at: state.at, cause })
      if (typeof moved === 'string') return {}
      return {
        entry: { kind: 'consent.expire', body: { cause, consent: id } },
        effects: [save(record, moved), ...endings(record)],
      }
    },
  })
}

/** Asked again under the lock: it may have been redeemed, or granted anew, since the sweeper looked. */
function isUnredeemed({ consent, redeemed }: ConsentRecord, at: string): boolean {
  if (redeemed === true || consent.state !== 'active') return false
  return Date.parse(at) - Date.parse(consent.granted) >= unredeemed_minutes_max * 60_000
}
