import { ledgerOrigin, type Broker } from '../broker/broker.ts'
import { rootText } from '../broker/signing.ts'
import { activeKeys } from '../ledger/key.ts'
import { parseCheckpoint, type Checkpoint } from '../merkle/checkpoint.ts'
import { encodeBase64, readText } from '../merkle/encoding.ts'
import { MerkleError } from '../merkle/errors.ts'
import { formatNote, parseNote } from '../merkle/note.ts'
import { openUnderPolicy, quorumMet, type Policy } from '../merkle/policy.ts'
import { checkConsistency, proveConsistency, type TreeHead } from '../merkle/proof.ts'
import { append, emptyEdge, type RightEdge } from '../merkle/tree.ts'
import { checkpointPath, type Archive } from '../storage/archive.ts'
import { inBank } from '../storage/database.ts'
import { eraseLinks } from '../storage/erasures.ts'
import { addExport } from '../storage/exports.ts'
import { nodeHasher, verifyEd25519 } from '../storage/node_crypto.ts'
import { insertState } from '../storage/rebuilt_state.ts'
import { addRestore, findRestore, occupiedTables } from '../storage/restores.ts'
import { recomputedHashes } from '../storage/signed.ts'
import type { Finding } from '../verifier/report.ts'
import { limits as sourceLimits, readHashes, type LedgerSource } from '../verifier/source.ts'
import { verifyLedger, type Crypto } from '../verifier/verify.ts'
import { archivedSizes, archiveSource } from './archive_source.ts'
import type { Testimony } from './ask_witnesses.ts'
import { consentsOf, gatherKept, storeKept, type KeptFrom } from './kept_parts.ts'
import { rebuildEntries, type Rebuilt } from './rebuild_entries.ts'
import { resumeLedger, type Resumed } from './resume_ledger.ts'

/** The ledger cannot be restored from this, or not here; the message says why, and where. */
export class RestoreRefused extends Error {
  override readonly name = 'RestoreRefused'
}

export interface Restoring {
  readonly broker: Broker
  readonly bank: string
  readonly archive: Archive
  readonly policy: Policy
  readonly crypto: Crypto
  /** What the policy's witnesses say. */
  readonly testimonies: readonly Testimony[]
  readonly backup?: KeptFrom | undefined
}

/** What an archive holds, verified: its newest checkpoint, and all that it covers. */
interface Export {
  readonly source: LedgerSource
  readonly notes: readonly Note[]
  readonly note: string
  readonly checkpoint: Checkpoint
}

const page_leaves = 4_096

/**
 * Rebuilds a bank's ledger, and all that follows from its entries, in a database that has nothing of it. Everything that the archive
 * holds of it is verified first, as an auditor would. It must reach what is known to have been signed: by the checkpoints in the archive that
 * the policy's witnesses cosigned, by the mark, and by each witness that was asked; a ledger that went on from less would be
 * another one. What the entries do not say comes from a backup, as far as it fits them; a consent for which nothing fits is ended.
 * Nothing lives before one transaction at the end, and an attempt that was interrupted is gone on from by the next. Throws
 * `RestoreRefused`.
 */
export async function restoreLedger(work: Restoring): Promise<Resumed> {
  const { broker, bank } = work
  const before = await findRestore(broker.db, bank)
  if (before?.phase === 'finished')
    throw new RestoreRefused(`${bank} was restored here before, to ${before.size} entries`)
  if (before?.phase !== 'rebuilt') {
    const occupied = before === undefined ? await occupiedTables(broker.db, bank) : []
    if (occupied.length > 0)
      throw new RestoreRefused(
        `the database is not empty: ${bank} has rows in ${occupied.join(', ')}`,
      )
    await rebuild(work)
  }
  const rebuilt = await findRestore(broker.db, bank)
  if (rebuilt === undefined) throw new Error(`the restore of ${bank} is gone`)
  return resumeLedger(broker, bank, rebuilt)
}

async function rebuild(work: Restoring): Promise<void> {
  const { broker, bank, backup } = work
  const found = await openExport(work)
  await checkReached(work, found)
  const kept = backup === undefined ? undefined : await gatherKept(backup, bank)
  const { size } = found.checkpoint
  await inBank(broker.db, bank, (tx) =>
    addRestore(tx, bank, { phase: 'begun', size, note: found.note }),
  )
  const rebuilt = await rebuildEntries(broker.db, bank, found)
  await checkStored(work, found)
  const vkey = vkeyOf(work, rebuilt)
  const consents = consentsOf(broker.vault, rebuilt, kept)
  if (backup !== undefined && kept !== undefined)
    await storeKept(broker, { bank, backup, rebuilt, consents, kept })
  await inBank(broker.db, bank, async (tx) => {
    await insertState(tx, bank, { ...rebuilt, vkey, consents, notes: found.notes.map(unwitnessed) })
    await eraseLinks(tx, bank, [...rebuilt.state.erased])
    await addRestore(tx, bank, { phase: 'rebuilt', size, note: found.note })
  })
  await addExport(broker.db, bank, { place: work.archive.place, edge: rebuilt.edge })
}

/** The newest checkpoint of the archive, with all that it covers verified. Whether it was witnessed is another question. */
async function openExport({ broker, bank, archive, policy, crypto }: Restoring): Promise<Export> {
  const sizes = await archivedSizes(archive, bank)
  const newest = sizes.at(-1)
  if (newest === undefined) throw new RestoreRefused(`${archive.place} has no export of ${bank}`)
  const source = archiveSource(archive, bank, newest)
  const notes = await readNotes(archive, bank, sizes)
  const { findings } = await verifyLedger(source, {
    ...{ policy: { ...policy, quorum: 'none' }, crypto },
    earlier: notes.map(({ note }) => note),
  })
  if (findings.length > 0)
    throw new RestoreRefused(
      [`the export in ${source.place} is not sound:`, ...findings.map(wordsOf)].join('\n- '),
    )
  const origin = ledgerOrigin(broker.issuer, bank)
  for (const { size, note } of notes) {
    const { checkpoint } = openUnderPolicy(verifyEd25519, { ...policy, quorum: 'none' }, note)
    if (checkpoint.origin !== origin || checkpoint.size !== size)
      throw new RestoreRefused(
        `${checkpointPath(bank, size)} is of ${checkpoint.origin} at ${checkpoint.size}, not of ${origin}`,
      )
    if (size === newest) return { source, notes, note, checkpoint }
  }
  throw new RestoreRefused(`${archive.place} has no export of ${bank}`)
}

const wordsOf = ({ index, detail }: Finding) =>
  index === undefined ? detail : `entry ${index}: ${detail}`

/** Refuses an export that ends before, or differs from, what is known to have been signed. */
async function checkReached(work: Restoring, found: Export): Promise<void> {
  const { broker, policy, testimonies } = work
  const { checkpoint } = found
  const mark = await broker.marks.read(checkpoint.origin)
  if (mark !== undefined && mark.size > checkpoint.size)
    throw new RestoreRefused(
      `the mark is at ${mark.size} entries, and the export ends at ${checkpoint.size}`,
    )
  if (mark !== undefined)
    await agree(found, 'the mark', { size: mark.size, root: Buffer.from(mark.root, 'base64') })
  for (const { witness, head } of testimonies) {
    if (head === undefined) continue
    if (head.size > checkpoint.size)
      throw new RestoreRefused(
        `${witness} has cosigned ${head.size} entries, and the export ends at ${checkpoint.size}`,
      )
    await agree(found, witness, head)
  }
  const heard = testimonies.flatMap(({ witness, head }) => (head === undefined ? [] : [witness]))
  // What a quorum says it cosigned, each at its size, is within the export too.
  if (!quorumMet(policy, heard) && !isWitnessed(work, found))
    throw new RestoreRefused('no checkpoint in the archive was cosigned as the policy asks')
}

/** The tree at an earlier size must have been this one. */
async function agree({ source, checkpoint }: Export, who: string, head: TreeHead): Promise<void> {
  try {
    const reader = {
      readTile: (tile: Parameters<typeof readHashes>[1]) => readHashes(source, tile),
    }
    const sizes = { from: head.size, to: checkpoint.size }
    const proof =
      head.size === checkpoint.size || head.size === 0
        ? []
        : await proveConsistency(nodeHasher, reader, sizes)
    checkConsistency(nodeHasher, { from: head, to: checkpoint, proof })
  } catch (error) {
    if (!(error instanceof MerkleError)) throw error
    throw new RestoreRefused(
      `${who} knows another ledger of ${head.size} entries than the export: one of them is a fork`,
      { cause: error },
    )
  }
}

/** Whether some checkpoint of the archive meets the policy's quorum: what was witnessed is then within the export. */
const isWitnessed = ({ policy }: Restoring, { notes }: Export): boolean =>
  notes.toReversed().some(({ note }) => {
    try {
      openUnderPolicy(verifyEd25519, policy, note)
      return true
    } catch (error) {
      if (error instanceof MerkleError) return false
      throw error
    }
  })

/** As the database keeps it: cosignatures are kept by themselves, and come anew. */
function unwitnessed({ size, note }: Note): Note {
  const { text, signatures } = parseNote(note)
  const { origin } = parseCheckpoint(text)
  return {
    size,
    note: formatNote({ text, signatures: signatures.filter(({ name }) => name === origin) }),
  }
}

interface Note {
  readonly size: number
  readonly note: string
}

/** All checkpoints of the archive: what was signed once, the export must stand by. */
async function readNotes(
  archive: Archive,
  bank: string,
  sizes: readonly number[],
): Promise<Note[]> {
  const notes: Note[] = []
  for (const size of sizes) {
    const path = checkpointPath(bank, size)
    try {
      const found = await archive.get(path, sourceLimits.checkpoint_bytes_max)
      notes.push({ size, note: readText(found ?? '') })
    } catch (error) {
      if (!(error instanceof MerkleError)) throw error
      throw new RestoreRefused(`${path} is no checkpoint: ${error.message}`)
    }
  }
  return notes
}

/** What is in the database now, hashed anew, is what was signed: whatever an earlier attempt left there, too. */
async function checkStored({ broker, bank }: Restoring, { checkpoint }: Export): Promise<void> {
  const edge: RightEdge = emptyEdge()
  while (edge.size < checkpoint.size) {
    const range = { from: edge.size, to: Math.min(checkpoint.size, edge.size + page_leaves) }
    const page = await inBank(broker.db, bank, (tx) => recomputedHashes(tx, bank, range))
    for (const { n, hash, same } of page) {
      if (n !== edge.size || !same)
        throw new RestoreRefused(`entry ${edge.size} in the database is not that of the export`)
      append(nodeHasher, edge, hash)
    }
    if (page.length === 0) throw new RestoreRefused(`entry ${edge.size} is not in the database`)
  }
  if (rootText(edge) !== encodeBase64(checkpoint.root))
    throw new RestoreRefused('the database holds other entries than the export')
}

/** The key that signs this ledger must be the one that this process holds. */
function vkeyOf({ broker, bank }: Restoring, { state }: Rebuilt): string {
  const vkey = broker.keys.get(bank)?.vkey
  const named = activeKeys(state.keys.ledger)
  if (vkey === undefined || !named.includes(vkey))
    throw new RestoreRefused(
      `the ledger of ${bank} is signed by ${named.join(', ')}, and this process holds ${vkey ?? 'no key of it'}`,
    )
  return vkey
}
