import { setTimeout as sleep } from 'node:timers/promises'
import { proveInclusion } from '../merkle/proof.ts'
import type { TlogProof } from '../merkle/tlog_proof.ts'
import { databaseTiles, findLedger } from '../storage/ledgers.ts'
import { nodeHasher } from '../storage/node_crypto.ts'
import { ReleasesStopped } from './append.ts'
import type { Broker } from './broker.ts'
import { newestCheckpoint, servedCheckpoint } from './served_checkpoint.ts'

/** How long whoever asks for a proof waits for the entry to be signed, ms, and how often that is tried. */
const sign_ms = { max: 2_000, retry: 100 } as const

/**
 * The proof that the entry at `index` is in a bank's ledger, under the checkpoint that is served; one is signed, and the witnesses
 * asked, at once when none covers the entry yet. When no quorum comes together in time it is under the newest signed, with what
 * cosignatures that has: whether they are enough, whoever checks it decides. Undefined when there is no such entry. Throws `ReleasesStopped` when it cannot be signed.
 */
export async function proveEntry(
  broker: Broker,
  { bank, index }: { bank: string; index: number },
): Promise<TlogProof | undefined> {
  const ledger = await findLedger(broker.db, bank)
  if (ledger === undefined || index >= ledger.size) return undefined
  return proofUnder(broker, bank, { index, signed: await checkpointOver(broker, bank, index) })
}

/** The proof of an entry under a checkpoint that covers it. */
export async function proofUnder(
  { db }: Broker,
  bank: string,
  { index, signed }: { index: number; signed: { size: number; note: string } },
): Promise<TlogProof> {
  const { size, note: checkpoint } = signed
  const proof = await proveInclusion(nodeHasher, databaseTiles(db, bank), { index, size })
  return { index, proof, checkpoint }
}

/** The checkpoint that is served once it covers an entry, or after 2 s the newest signed. Throws `ReleasesStopped`. */
export async function checkpointOver(broker: Broker, bank: string, index: number) {
  const { signer, witnessing } = broker
  for (let waited_ms = 0; ; waited_ms += sign_ms.retry) {
    const served = await servedCheckpoint(broker, bank)
    if (served !== undefined && served.size > index) return served
    const stopped = signer.stopped(bank)
    if (stopped !== undefined || waited_ms >= sign_ms.max) break
    const why = await signer.sign(bank)
    await witnessing.begin(bank, { hurried: true })
    if (why !== undefined || witnessing.quorum !== undefined) await sleep(sign_ms.retry)
  }
  const newest = await newestCheckpoint(broker, bank)
  if (newest !== undefined && newest.size > index) return newest
  throw new ReleasesStopped(signer.stopped(bank) ?? `entry ${index} was not signed in time`)
}
