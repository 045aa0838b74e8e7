import { embedNote } from '../ledger/embedded_note.ts'
import { activeConsents } from '../storage/expiries.ts'
import { servedCheckpoint } from './served_checkpoint.ts'
import { ReleasesStopped } from './append.ts'
import type { Broker } from './broker.ts'
import { proveEntry } from './prove_entry.ts'
import { revokeConsent } from './revoke_consent.ts'

/** What closing a ledger came to. */
export interface Closing {
  /** How many consents were active, and were ended. */
  readonly ended: number
  /** The last checkpoint, which covers the entry that closed the ledger: what a successor begins with. */
  readonly checkpoint: string
}

/**
 * Closes a ledger for ever: ends every active consent, enters `close` with the newest checkpoint, and signs it. Nothing is entered
 * after it; what was is served as before. A grant that comes between is ended too. Idempotent. Throws `ReleasesStopped` where the
 * ledger cannot be signed: then it is no ledger to be closed, but one to be restored, or to be followed by another.
 */
export async function closeLedger(
  broker: Broker,
  { bank, reason }: { bank: string; reason: string },
): Promise<Closing> {
  for (let ended = 0; ;) {
    ended += await endAll(broker, bank)
    const n = await enterClose(broker, { bank, reason })
    if (n === 'active') continue
    const proof = await proveEntry(broker, { bank, index: n })
    if (proof === undefined) throw new Error(`entry ${n} of ${bank} is missing`)
    return { ended, checkpoint: proof.checkpoint }
  }
}

async function endAll(broker: Broker, bank: string): Promise<number> {
  let ended = 0
  for (;;) {
    const active = await activeConsents(broker.db, bank)
    if (active.length === 0) return ended
    await Promise.all(
      active.map((consentId) =>
        revokeConsent(broker, { bank, consentId, by: 'operator', reason: 'BUSINESS_RULE' }),
      ),
    )
    ended += active.length
  }
}

/** The index of the entry that closes the ledger, whoever made it; or that a consent has become active since. */
async function enterClose(
  broker: Broker,
  { bank, reason }: { bank: string; reason: string },
): Promise<number | 'active'> {
  const why = await broker.signer.sign(bank)
  const signed = await servedCheckpoint(broker, bank)
  if (why !== undefined || signed === undefined)
    throw new ReleasesStopped(why ?? 'nothing is signed yet')
  const checkpoint = embedNote(signed.note)
  let found: number | 'active' = 'active'
  const outcome = await broker.door.append(bank, {
    names: { actives: true },
    decide({ closed, anyActive, edge }) {
      if (closed) found = edge.size - 1
      if (closed || anyActive) return {}
      return {
        entry: { kind: 'close', body: { checkpoint, reason } },
        effects: [{ kind: 'ledger.close' }],
      }
    },
  })
  return outcome.kind === 'entered' ? outcome.n : found
}
