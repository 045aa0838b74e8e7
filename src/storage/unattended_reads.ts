import { inOneGo, type Database } from './database.ts'

/** The reads of one consent on one day (UTC, `YYYY-MM-DD`). */
export interface DayOfReads {
  readonly consent: string
  readonly day: string
}

/**
 * Takes one read of a day's `max`, for one caller among all processes. Returns how many are taken with it; undefined when none
 * was left. The commit is not waited for on disk: the entry of the release that follows is, and the log that carries it there
 * carries what was committed before.
 */
export async function takeRead(
  db: Database,
  bank: string,
  { consent, day, max }: DayOfReads & { readonly max: number },
): Promise<number | undefined> {
  const [row] = await inOneGo<{ reads: number }>(db, bank, {
    name: 'take_read',
    text: takeSql,
    values: [bank, consent, day, max],
  })
  return row?.reads
}

/** Gives back a read that was taken and came to nothing. */
export async function giveBackRead(
  db: Database,
  bank: string,
  { consent, day }: DayOfReads,
): Promise<void> {
  await inOneGo(db, bank, {
    name: 'give_back_read',
    text: `update unattended_reads set reads = reads - 1
      where bank_id = $1 and consent_id = $2 and day = $3::date and reads > 0`,
    values: [bank, consent, day],
  })
}

// A process whose clock is behind at midnight counts on the new day, which has begun for another.
const takeSql = `
  insert into unattended_reads as r (bank_id, consent_id, day, reads)
  values ($1::text, $2::text, $3::date, 1)
  on conflict (bank_id, consent_id) do update
    set day = greatest(r.day, excluded.day),
      reads = case when r.day < excluded.day then 1 else r.reads + 1 end
    where r.day < excluded.day or r.reads < $4::integer
  returning reads`
