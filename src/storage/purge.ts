import { inBank, type Database } from './database.ts'

/** Rows removed in one statement, so that none holds its locks for long. */
const batch_rows = 5_000

/** The same, while the door waits. */
const locked_rows = 200

/** What each table may forget, and when. A fetch is kept long enough for a bank's monthly statement to be matched. */
const forgettable = [
  ['pushed_requests', "expires_at < clock_timestamp() - interval '1 hour'"],
  ['authorization_codes', "expires_at < clock_timestamp() - interval '1 day'"],
  ['refresh_tokens', "ended_at < clock_timestamp() - interval '1 day'"],
  ['revoked_tokens', 'expires_at < clock_timestamp()'],
  ['deliveries', 'expires_at < clock_timestamp()'],
  ['devices', 'expires_at < clock_timestamp()'],
  ['fetches', "at < clock_timestamp() - interval '60 days'"],
  ['statement_lists', "received_at < clock_timestamp() - interval '60 days'"],
  ['unattended_reads', "day < (clock_timestamp() at time zone 'UTC')::date - 1"],
  ['outbox', "done_at < clock_timestamp() - interval '30 days'"],
  ['bank_tokens', "ended_at < clock_timestamp() - interval '1 day'"],
] as const

const forgettableEverywhere = [
  ['replays', 'expires_at < clock_timestamp()'],
  ['sessions', 'expires_at < clock_timestamp()'],
  ['revoked_client_tokens', 'expires_at < clock_timestamp()'],
  ['rate_limits', 'expire < extract(epoch from clock_timestamp()) * 1000'],
] as const

/** Removes what can matter no more in one bank. */
export async function purgeBank(db: Database, bank: string): Promise<void> {
  for (const [table, past] of forgettable)
    await inBatches(() =>
      inBank(db, bank, (tx) =>
        tx.raw<{ rowCount: number }>(
          `delete from ${table} where ctid in (select ctid from ${table} where bank_id = ? and ${past} limit ${batch_rows})`,
          [bank],
        ),
      ),
    )
  await purgeUngranted(db, bank)
}

/** Consents that were asked for and never granted: under the bank's lock, since a customer may be about to approve one. */
async function purgeUngranted(db: Database, bank: string): Promise<void> {
  await inBank(db, bank, async (tx) => {
    await tx.raw('select from ledger_locks where bank_id = ? for update', [bank])
    await tx.raw(
      `delete from consents where ctid in (
         select ctid from consents where bank_id = ? and state in ('requested', 'declined')
           and created_at < clock_timestamp() - interval '1 day' limit ${locked_rows})`,
      [bank],
    )
  })
}

/** Removes what can matter no more and belongs to no bank. */
export async function purgeGlobal(db: Database): Promise<void> {
  for (const [table, past] of forgettableEverywhere)
    await inBatches(() =>
      db.knex.raw<{ rowCount: number }>(
        `delete from ${table} where ctid in (select ctid from ${table} where ${past} limit ${batch_rows})`,
      ),
    )
}

async function inBatches(remove: () => Promise<{ rowCount: number }>): Promise<void> {
  for (let removed = batch_rows; removed === batch_rows;) removed = (await remove()).rowCount
}
