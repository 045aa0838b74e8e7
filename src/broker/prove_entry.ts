import { setTimeout as sleep } from 'node:timers/promises'
import { readEntry, type Entry } from '../ledger/entry.ts'
import { proveInclusion } from '../merkle/proof.ts'
import { formatTlogProof, type TlogProof } from '../merkle/tlog_proof.ts'
import type { SignedNote } from '../storage/cosignatures.ts'
import { databaseTiles, findLedger, readLeaves } from '../storage/ledgers.ts'
import { nodeHasher } from '../storage/node_crypto.ts'
import { ReleasesStopped } from './append.ts'
import type { Broker } from './broker.ts'
import { newestCheckpoint, servedCheckpoint } from './served_checkpoint.ts'
import type { LedgerSigner } from './signing.ts'

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
  const signed = await checkpointOf(broker, { bank, index })
  return signed && proofUnder(broker, bank, { index, signed })
}

/** The checkpoint over an entry, once there is one; undefined when there is no such entry. */
async function checkpointOf(
  broker: Broker,
  { bank, index }: { bank: string; index: number },
): Promise<SignedNote | undefined> {
  const ledger = await findLedger(broker.db, bank)
  if (ledger === undefined || index >= ledger.size) return undefined
  return checkpointOver(broker, bank, index)
}

/** The proof of an entry under a checkpoint that covers it. */
async function proofUnder(
  { db }: Broker,
  bank: string,
  { index, signed }: { index: number; signed: SignedNote },
): Promise<TlogProof> {
  const { size, note: checkpoint } = signed
  const proof = await proveInclusion(nodeHasher, databaseTiles(db, bank), { index, size })
  return { index, proof, checkpoint }
}

/** An entry, its bytes, and the tlog-proof that carries it. */
export interface ProvenEntry {
  readonly entry: Entry
  readonly leaf: Buffer
  readonly proof: string
}

/** An entry with its proof, as `proveEntry` has it. */
export async function proveWholeEntry(
  broker: Broker,
  { bank, index }: { bank: string; index: number },
): Promise<ProvenEntry | undefined> {
  const signed = await checkpointOf(broker, { bank, index })
  return signed && proveWithEntry(broker, bank, { index, signed })
}

/** An entry with its proof under a checkpoint that covers it. */
export async function proveWithEntry(
  broker: Broker,
  bank: string,
  { index, signed }: { index: number; signed: SignedNote },
): Promise<ProvenEntry> {
  const [leaf] = await readLeaves(broker.db, bank, { from: index, to: index + 1 })
  if (leaf === undefined) throw new Error(`${bank} has no entry ${index}`)
  const proof = await proofUnder(broker, bank, { index, signed })
  return { entry: readEntry(leaf), leaf, proof: formatTlogProof({ ...proof, extra: leaf }) }
}

/** The checkpoint that is served once it covers an entry, or after 2 s the newest signed. Throws `ReleasesStopped`. */
export async function checkpointOver(broker: Broker, bank: string, index: number) {
  const { signer } = broker
  const until = performance.now() + sign_ms.max
  let served = await servedCheckpoint(broker, bank)
  while (served === undefined || served.size <= index) {
    if (signer.stopped(bank) !== undefined || performance.now() >= until) break
    served = await nextServed(broker, bank)
  }
  if (served !== undefined && served.size > index) return served
  const newest = await newestCheckpoint(broker, bank)
  if (newest !== undefined && newest.size > index) return newest
  throw new ReleasesStopped(signer.stopped(bank) ?? `entry ${index} was not signed in time`)
}

type Served = ReturnType<typeof servedCheckpoint>

/** The turn that is being taken for each bank: anyone may ask for the newest entry's proof, however many at once. */
const turns = new WeakMap<LedgerSigner, Map<string, Served>>()

/** What is served once the newest size was signed and the witnesses were asked; all who wait take the same turn. */
function nextServed(broker: Broker, bank: string): Served {
  const ofSigner = turns.get(broker.signer) ?? new Map<string, Served>()
  turns.set(broker.signer, ofSigner)
  const taken = ofSigner.get(bank)
  if (taken !== undefined) return taken
  const turn = takeTurn(broker, bank).finally(() => ofSigner.delete(bank))
  ofSigner.set(bank, turn)
  return turn
}

async function takeTurn(broker: Broker, bank: string): Served {
  const { signer, witnessing } = broker
  const why = await signer.sign(bank)
  await witnessing.begin(bank, { hurried: true })
  if (why !== undefined || witnessing.quorum !== undefined) await sleep(sign_ms.retry)
  return servedCheckpoint(broker, bank)
}
