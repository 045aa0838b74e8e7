import type { Broker } from '../src/broker/broker.ts'
import { replayEntry, startReplay } from '../src/ledger/replay.ts'
import { leafHash } from '../src/merkle/tree.ts'
import { verifyJws } from '../src/storage/jws.ts'
import { findLedger, readLeaves } from '../src/storage/ledgers.ts'
import { nodeHasher } from '../src/storage/node_crypto.ts'
import type { Acknowledged } from './crowd.ts'

/** What the ledgers hold, and what clients were told that they do not. */
export interface Checked {
  readonly releases: number
  readonly revocations: number
  /** Release entries that come after the revocation of their consent. There must be none. */
  readonly releasedAfterRevocation: number
  /** Releases that a client was told of, and that are not where it was told. There must be none. */
  readonly unrecorded: Acknowledged[]
}

const page_entries = 1_000

/** Replays every ledger from the database, and looks for each acknowledged release. Throws `Violation`. */
export async function checkLedgers(
  broker: Broker,
  acknowledged: readonly Acknowledged[],
): Promise<Checked> {
  const entered = new Set<string>()
  const revoked = new Set<string>()
  let releases = 0
  let releasedAfterRevocation = 0
  for (const bank of broker.bankPort.banks.keys()) {
    const state = startReplay()
    const size = (await findLedger(broker.db, bank))?.size ?? 0
    for (let from = 0; from < size; from += page_entries) {
      const to = Math.min(size, from + page_entries)
      for (const leaf of await readLeaves(broker.db, bank, { from, to })) {
        const { kind, body, n } = replayEntry(state, leaf, verifyJws)
        if (kind === 'consent.revoke') revoked.add(body.consent)
        if (kind !== 'release') continue
        releases += 1
        if (revoked.has(body.consent)) releasedAfterRevocation += 1
        const hash = Buffer.from(leafHash(nodeHasher, leaf)).toString('base64')
        entered.add(nameOf({ bank, consentId: body.consent, n, hash }))
      }
    }
  }
  const unrecorded = acknowledged.filter((one) => !entered.has(nameOf(one)))
  return { releases, revocations: revoked.size, releasedAfterRevocation, unrecorded }
}

const nameOf = ({ bank, consentId, n, hash }: Acknowledged) => `${bank} ${consentId} ${n} ${hash}`
