import type { ExpiryCause } from '../consent/consent.ts'
import { inBank, type Database } from './database.ts'

/** Consents that are active; at most 256. */
export async function activeConsents(db: Database, bank: string): Promise<string[]> {
  return inBank(db, bank, async (tx) => {
    const { rows } = await tx.raw<{ rows: { id: string }[] }>(
      "select id from consents where bank_id = ? and state = 'active' limit 256",
      [bank],
    )
    return rows.map(({ id }) => id)
  })
}

/** Active consents past their end, or granted longer ago than this and never redeemed nor released under; at most 256. */
export async function consentsToEnd(
  db: Database,
  bank: string,
  unredeemedMinutes: number,
): Promise<{ id: string; cause: ExpiryCause }[]> {
  return inBank(db, bank, async (tx) => {
    const { rows } = await tx.raw<{ rows: { id: string; cause: ExpiryCause }[] }>(
      `(select id, 'term' as cause from consents
        where bank_id = :bank and state = 'active' and expires_at <= clock_timestamp() limit 256)
       union all
       (select c.id, 'unredeemed' as cause from consents c
        where c.bank_id = :bank and c.state = 'active' and c.redeemed_at is null and c.expires_at > clock_timestamp()
          and c.granted_at < clock_timestamp() - make_interval(mins => :minutes) limit 256)`,
      { bank, minutes: unredeemedMinutes },
    )
    return rows
  })
}
