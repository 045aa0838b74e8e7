import { readEntry } from '../ledger/entry.ts'
import type { Totals } from '../ledger/totals.ts'
import type { TlogProof } from '../merkle/tlog_proof.ts'
import { newestEpoch } from '../storage/ledgers.ts'
import { publishCheckpoint } from '../storage/signed.ts'
import type { Broker } from './broker.ts'
import { proofUnder } from './prove_entry.ts'

/** What a bank's ledger says of itself in public: its totals, and the proof that it said so. */
export interface LedgerSummary {
  /** How many entries the totals count. */
  readonly size: number
  /** When the ledger said it, RFC 3339 UTC. */
  readonly at: string
  readonly totals: Totals
  /** Of the newest signed `epoch` entry, whose bytes it carries: everything above can be read in them. */
  readonly proof: TlogProof
}

/** The newest totals of a ledger that are signed; undefined before the first epoch is. */
export async function summariseLedger(
  broker: Broker,
  bank: string,
): Promise<LedgerSummary | undefined> {
  const signed = await publishCheckpoint(broker.db, bank)
  const epoch = signed && (await newestEpoch(broker.db, bank, signed.size))
  if (signed === undefined || epoch === undefined) return undefined
  const entry = readEntry(epoch.leaf)
  if (entry.kind !== 'epoch') throw new Error(`entry ${epoch.n} of ${bank} is no epoch`)
  const proof = await proofUnder(broker, bank, { index: epoch.n, signed })
  return {
    size: entry.body.size,
    at: entry.at,
    totals: entry.totals,
    proof: { ...proof, extra: epoch.leaf },
  }
}
