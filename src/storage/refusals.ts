import type { RefusalReason } from '../consent/refusal.ts'
import type { Class } from '../consent/class.ts'
import { batchedByBank } from './batched.ts'
import { inBank, type Database, type Tx } from './database.ts'
import type { TallyKey } from './ledger_state.ts'
import { tallyColumns, tallyKeyOf, type TallyRow } from './tally_row.ts'

/** An attempt that was refused. `consent` is empty when none is named. */
export interface Refused {
  readonly client: string
  readonly class: Class
  readonly consent: string
  readonly reason: RefusalReason
  /** The fetch for which the bank was asked before, which so came to nothing. */
  readonly fetch?: string
}

/** Counts a refusal in its minute, durably; `first` for one caller, the first of its kind in that minute. */
export type CountRefusal = (
  bank: string,
  refused: Refused,
) => Promise<{ readonly key: TallyKey; readonly first: boolean }>

/** One statement for all refusals at a bank that arrive while another is at the database: a flood of them is one row. */
export function openRefusalCounter(db: Database): CountRefusal {
  return batchedByBank((bank, many) => countMany(db, bank, many), { max: batch_max })
}

const batch_max = 256

async function countMany(db: Database, bank: string, many: readonly Refused[]) {
  const kinds = [...new Map(many.map((one) => [nameOf(one), one])).values()]
  const counts = new Map<string, number>()
  for (const one of many) counts.set(nameOf(one), (counts.get(nameOf(one)) ?? 0) + 1)
  const rows = await inBank(db, bank, async (tx) => {
    await markFetches(tx, bank, many)
    const found = await tx.raw<{ rows: (TallyRow & { first: boolean })[] }>(countSql, [
      bank,
      kinds.map(({ client }) => client),
      kinds.map(({ consent }) => consent),
      kinds.map(({ reason }) => reason),
      kinds.map((one) => one.class),
      kinds.map((one) => counts.get(nameOf(one)) ?? 0),
    ])
    return found.rows
  })
  const counted = new Map(
    rows.map((row) => [nameOf(tallyKeyOf(row)), { key: tallyKeyOf(row), first: row.first }]),
  )
  return many.map((one) => {
    const found = counted.get(nameOf(one))
    if (found === undefined) throw new Error('a refusal was not counted')
    const answer = { key: found.key, first: found.first }
    found.first = false
    return answer
  })
}

/** In the transaction that counts them, so that a fetch is marked exactly when its refusal will be entered. */
async function markFetches(tx: Tx, bank: string, many: readonly Refused[]): Promise<void> {
  const marked = many.flatMap(({ fetch, reason }) => (fetch === undefined ? [] : { fetch, reason }))
  if (marked.length === 0) return
  await tx.raw(
    `update fetches f set outcome = m.reason from unnest(?::text[], ?::text[]) as m(id, reason)
     where f.bank_id = ? and f.id = m.id`,
    [marked.map(({ fetch }) => fetch), marked.map(({ reason }) => reason), bank],
  )
}

const nameOf = ({ client, consent, reason }: Pick<Refused, 'client' | 'consent' | 'reason'>) =>
  `${client} ${consent} ${reason}`

// In one order, so that two processes with the same kinds cannot wait for each other.
const countSql = `
  insert into refusal_tallies as t (bank_id, client_id, consent_id, reason, minute, class, pending)
  select ?, r.client_id, r.consent_id, r.reason, date_trunc('minute', clock_timestamp()), r.class, r.pending
  from unnest(?::text[], ?::text[], ?::text[], ?::text[], ?::bigint[]) as r(client_id, consent_id, reason, class, pending)
  order by r.client_id, r.consent_id, r.reason
  on conflict (bank_id, client_id, consent_id, reason, minute) do update set pending = t.pending + excluded.pending
  returning ${tallyColumns}, xmax = 0 as first`

/** The tallies of minutes that have passed and are not written yet; those written two minutes ago or more are removed. */
export async function passedTallies(db: Database, bank: string): Promise<TallyKey[]> {
  return inBank(db, bank, async (tx) => {
    await tx.raw(
      `delete from refusal_tallies where bank_id = ? and pending = 0 and minute < clock_timestamp() - interval '2 minutes'`,
      [bank],
    )
    const { rows } = await tx.raw<{ rows: TallyRow[] }>(
      `select ${tallyColumns} from refusal_tallies t
       where bank_id = ? and pending > 0 and minute < date_trunc('minute', clock_timestamp())
       order by minute limit 256`,
      [bank],
    )
    return rows.map(tallyKeyOf)
  })
}
