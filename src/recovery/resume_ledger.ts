import type { Broker } from '../broker/broker.ts'
import { revokeConsent } from '../broker/revoke_consent.ts'
import { embedNote } from '../ledger/embedded_note.ts'
import { endUnusedTokens } from '../storage/bank_tokens.ts'
import { inBank } from '../storage/database.ts'
import { removeUnusedLinks } from '../storage/outbox.ts'
import { lostConsents } from '../storage/rebuilt_consents.ts'
import { addRestore, type Restore } from '../storage/restores.ts'

/** What a restored ledger goes on with. */
export interface Resumed {
  /** How many entries were restored. */
  readonly size: number
  /** How many active consents had nothing that led to their accounts, and were ended. */
  readonly ended: number
  /** Why the ledger cannot be signed yet; absent when it is. */
  readonly unsigned?: string
}

/**
 * Enters in a rebuilt ledger that it was restored, ends the consents that lost what opens them, and signs. Where it was interrupted,
 * it is done again from there.
 */
export async function resumeLedger(
  broker: Broker,
  bank: string,
  { size, note }: Restore,
): Promise<Resumed> {
  const checkpoint = embedNote(note)
  await broker.door.append(bank, {
    names: {},
    decide: ({ edge, closed }) =>
      closed || edge.size > size ? {} : { entry: { kind: 'restore', body: { checkpoint } } },
  })
  let ended = 0
  for (;;) {
    const lost = await inBank(broker.db, bank, (tx) => lostConsents(tx, bank))
    if (lost.length === 0) break
    const end = (consentId: string) =>
      revokeConsent(broker, { bank, consentId, by: 'operator', reason: 'BUSINESS_RULE' })
    ended += (await Promise.all(lost.map(end))).length
  }
  const unsigned = await broker.signer.sign(bank)
  await inBank(broker.db, bank, async (tx) => {
    await endUnusedTokens(tx, bank)
    await removeUnusedLinks(tx, bank)
    await addRestore(tx, bank, { phase: 'finished', size, note })
  })
  return { size, ended, ...(unsigned === undefined ? {} : { unsigned }) }
}
