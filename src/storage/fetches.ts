import { inBank, type Database } from './database.ts'
import { fetchOfInteraction } from './ids.ts'

/** What comes of a fetch that a customer chooses accounts from. */
export const offered_outcome = 'offered'

/**
 * Notes that the accounts of a customer will be asked for, before a grant and under this interaction id, for them to choose from. As
 * with every other request to a bank, so that its statement can be matched.
 */
export async function noteOffer(
  db: Database,
  bank: string,
  { consent, interaction }: { consent: string; interaction: string },
): Promise<void> {
  await inBank(db, bank, (tx) =>
    tx.raw(
      `insert into fetches (bank_id, id, consent_id, interaction, outcome) values (?, ?, ?, ?, ?)
       on conflict (bank_id, id) do nothing`,
      [bank, fetchOfInteraction(interaction), consent, interaction, offered_outcome],
    ),
  )
}
