import { isRefusalReason, type RefusalReason } from '../consent/refusal.ts'
import type { Class } from '../consent/class.ts'
import { inBank, type Database } from './database.ts'
import type { TallyKey } from './ledger_state.ts'

/** Counts one refusal in its minute, durably. `first` when it is the first of its kind in that minute. */
export async function countRefusal(
  db: Database,
  bank: string,
  refused: { client: string; class: Class; consent: string; reason: RefusalReason },
): Promise<{ key: TallyKey; first: boolean }> {
  return inBank(db, bank, async (tx) => {
    const { rows } = await tx.raw<{ rows: { minute_ms: string; first: boolean }[] }>(
      `insert into refusal_tallies as t (bank_id, client_id, consent_id, reason, minute, class, pending)
       values (?, ?, ?, ?, date_trunc('minute', clock_timestamp()), ?, 1)
       on conflict (bank_id, client_id, consent_id, reason, minute) do update set pending = t.pending + 1
       returning floor(extract(epoch from minute) * 1000)::bigint as minute_ms, xmax = 0 as first`,
      [bank, refused.client, refused.consent, refused.reason, refused.class],
    )
    const row = rows[0]
    if (row === undefined) throw new Error('a refusal was not counted')
    const { client, consent, reason } = refused
    return { key: { client, consent, reason, minute: Number(row.minute_ms) }, first: row.first }
  })
}

/** The tallies of minutes that have passed and are not written yet; those written two minutes ago or more are removed. */
export async function passedTallies(db: Database, bank: string): Promise<TallyKey[]> {
  return inBank(db, bank, async (tx) => {
    await tx.raw(
      `delete from refusal_tallies where bank_id = ? and pending = 0 and minute < clock_timestamp() - interval '2 minutes'`,
      [bank],
    )
    const { rows } = await tx.raw<{ rows: TallyRow[] }>(
      `select client_id, consent_id, reason, floor(extract(epoch from minute) * 1000)::bigint as minute_ms
       from refusal_tallies where bank_id = ? and pending > 0 and minute < date_trunc('minute', clock_timestamp())
       order by minute limit 256`,
      [bank],
    )
    return rows.map((row) => ({
      client: row.client_id,
      consent: row.consent_id,
      reason: reasonOf(row.reason),
      minute: Number(row.minute_ms),
    }))
  })
}

interface TallyRow {
  client_id: string
  consent_id: string
  reason: string
  minute_ms: string
}

function reasonOf(value: string): RefusalReason {
  if (!isRefusalReason(value)) throw new Error(`a tally of unknown reason ${value}`)
  return value
}
