import type { Hash } from '../merkle/hash.ts'
import { proveConsistency } from '../merkle/proof.ts'
import { keptNote, withCosignatures, type SignedNote } from '../storage/cosignatures.ts'
import { databaseTiles } from '../storage/ledgers.ts'
import { nodeHasher } from '../storage/node_crypto.ts'
import type { Broker } from './broker.ts'
import { servedCheckpoint } from './served_checkpoint.ts'

/** That one checkpoint of a ledger extends another. */
export interface History {
  readonly from: SignedNote
  readonly to: SignedNote
  readonly proof: readonly Hash[]
}

/**
 * The consistency proof (RFC 6962 §2.1.2) between two checkpoints that left the house, by their sizes, with both notes; `to` is the
 * one that is served where it is not named. Undefined when there is no such checkpoint, or `to` is the smaller one.
 */
export async function proveHistory(
  broker: Broker,
  bank: string,
  sizes: { from: number; to?: number | undefined },
): Promise<History | undefined> {
  const from = await keptNote(broker.db, bank, sizes.from)
  const to =
    sizes.to === undefined
      ? await servedCheckpoint(broker, bank)
      : await keptNote(broker.db, bank, sizes.to)
  if (from === undefined || to === undefined || from.size > to.size) return undefined
  const between = { from: from.size, to: to.size }
  return {
    from: await withCosignatures(broker.db, bank, from),
    to: sizes.to === undefined ? to : await withCosignatures(broker.db, bank, to),
    proof: await proveConsistency(nodeHasher, databaseTiles(broker.db, bank), between),
  }
}
