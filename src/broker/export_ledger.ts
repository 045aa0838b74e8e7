import { parseCheckpoint, type Checkpoint } from '../merkle/checkpoint.ts'
import { MerkleError } from '../merkle/errors.ts'
import { equalBytes, hashBytes, type Hash } from '../merkle/hash.ts'
import { parseNote } from '../merkle/note.ts'
import { encodeBundle, tilePath, tileWidth, widthAt, type Tile } from '../merkle/tiles.ts'
import { append, emptyEdge, leafHash, rootOf, type RightEdge } from '../merkle/tree.ts'
import {
  ArchiveConflict,
  ArchiveUnfit,
  checkpointPath,
  ledgerFolder,
  type Archive,
} from '../storage/archive.ts'
import { addExport, newestExport } from '../storage/exports.ts'
import { databaseTiles, readLeaves } from '../storage/ledgers.ts'
import { nodeHasher } from '../storage/node_crypto.ts'
import { unwitnessedMs, type SignedNote } from '../storage/cosignatures.ts'
import { signedSize } from '../storage/signed.ts'
import type { Broker } from './broker.ts'
import { newestCheckpoint, servedCheckpoint } from './served_checkpoint.ts'

/** What is stored does not hash to what was signed. Nothing wrong was exported. */
export class ExportRefused extends Error {
  override readonly name = 'ExportRefused'
}

export const limits = {
  checkpoint_bytes_max: 65_536,
  /** Bundles of 256 entries that are read and written at a time. */
  bundles_at_once: 8,
  /** How long an export waits for a quorum of witnesses, and goes only as far as they have come. */
  unwitnessed_ms_max: 300_000,
} as const

type Exporting = Pick<Broker, 'db' | 'observe' | 'witnessing'>

/** Exports when the newest export is so old, or so many entries are signed since. False when none is due. */
export async function exportWhenDue(
  broker: Exporting,
  bank: string,
  { archive, seconds, entries }: { archive: Archive; seconds: number; entries: number },
): Promise<boolean> {
  const newest = await newestExport(broker.db, bank, archive.place)
  const signed = await signedSize(broker.db, bank)
  const fresh = signed - (newest?.edge.size ?? 0)
  if (fresh < 1 || (newest !== undefined && newest.age_ms < seconds * 1_000 && fresh < entries))
    return false
  return (await exportLedger(broker, bank, archive)).entries > 0
}

/**
 * Writes what is signed and not in the archive yet: tiles, entries, and last of all the checkpoint, so that a checkpoint is there
 * only with everything it covers. Each leaf is hashed anew, and nothing is said to be exported unless these hashes give the root
 * that was signed. Any number of processes may do it at once, and one that died is gone on from. Resolves to the size that is in
 * the archive, and how many of these entries are new there. Throws `ExportRefused`, `ArchiveConflict` and `ArchiveUnfit`, each
 * an alarm, and `ArchiveUnavailable`.
 */
export async function exportLedger(
  broker: Exporting,
  bank: string,
  archive: Archive,
): Promise<{ size: number; entries: number }> {
  try {
    const published = await checkpointToExport(broker, bank)
    if (published === undefined) return { size: 0, entries: 0 }
    const { note } = published
    const checkpoint = parseCheckpoint(parseNote(note).text)
    const from = await goOnFrom(broker, bank, archive)
    if (from.size >= checkpoint.size) return { size: from.size, entries: 0 }
    const edge = await exportTiles(broker, { bank, archive, from, to: checkpoint.size })
    if (!equalBytes(rootOf(nodeHasher, edge), checkpoint.root))
      throw new ExportRefused(`${bank}: the entries do not give the root signed at ${edge.size}`)
    await putCheckpoint(archive, bank, { note, checkpoint })
    await addExport(broker.db, bank, { place: archive.place, edge })
    return { size: edge.size, entries: edge.size - from.size }
  } catch (error) {
    const kinds = [ExportRefused, ArchiveConflict, ArchiveUnfit]
    if (error instanceof Error && kinds.some((kind) => error instanceof kind))
      broker.observe.alarm(bank, error.message)
    throw error
  }
}

/**
 * The checkpoint that everyone is shown, so that an export verifies under the policy of the witnesses. Where they do not come, the
 * archive does not wait for them.
 */
async function checkpointToExport(
  broker: Exporting,
  bank: string,
): Promise<SignedNote | undefined> {
  const { quorum } = broker.witnessing
  const waits =
    quorum === undefined ||
    (await unwitnessedMs(broker.db, bank, quorum)) < limits.unwitnessed_ms_max
  return waits ? servedCheckpoint(broker, bank) : newestCheckpoint(broker, bank)
}

/** Where the last export ended, if its checkpoint is still there: a place that was emptied is filled anew. */
async function goOnFrom({ db }: Exporting, bank: string, archive: Archive): Promise<RightEdge> {
  const newest = await newestExport(db, bank, archive.place)
  if (newest === undefined) return emptyEdge()
  const { edge } = newest
  const found = await archivedCheckpoint(archive, bank, edge.size)
  if (found === undefined) return emptyEdge()
  if (found.size !== edge.size || !equalBytes(found.root, rootOf(nodeHasher, edge)))
    throw new ArchiveConflict(archive.place, checkpointPath(bank, edge.size))
  return edge
}

/** Throws `ArchiveConflict` when there is something else than a checkpoint. */
async function archivedCheckpoint(
  archive: Archive,
  bank: string,
  size: number,
): Promise<Checkpoint | undefined> {
  const path = checkpointPath(bank, size)
  const found = await archive.get(path, limits.checkpoint_bytes_max)
  try {
    return found && parseCheckpoint(parseNote(found).text)
  } catch (error) {
    if (error instanceof MerkleError) throw new ArchiveConflict(archive.place, path)
    throw error
  }
}

/** The same checkpoint may be there with the cosignatures that it had at another time: it says the same. */
async function putCheckpoint(
  archive: Archive,
  bank: string,
  { note, checkpoint }: { note: string; checkpoint: Checkpoint },
): Promise<void> {
  try {
    await archive.put(checkpointPath(bank, checkpoint.size), Buffer.from(note))
  } catch (error) {
    if (!(error instanceof ArchiveConflict)) throw error
    const found = await archivedCheckpoint(archive, bank, checkpoint.size)
    const same = found?.origin === checkpoint.origin && equalBytes(found.root, checkpoint.root)
    if (!same || found.size !== checkpoint.size) throw error
  }
}

interface Range {
  readonly bank: string
  readonly archive: Archive
  readonly from: RightEdge
  readonly to: number
}

/** Writes every tile and bundle that has grown from one size to the other. Returns the edge at the second. */
async function exportTiles(broker: Exporting, range: Range): Promise<RightEdge> {
  const { bank, archive, from, to } = range
  const edge = { size: from.size, hashes: [...from.hashes] }
  const upper = new Map<string, Hash>()
  const last = Math.ceil(to / tileWidth)
  for (
    let first = Math.floor(from.size / tileWidth);
    first < last;
    first += limits.bundles_at_once
  ) {
    const entries = await readLeaves(broker.db, bank, {
      from: first * tileWidth,
      to: Math.min(to, (first + limits.bundles_at_once) * tileWidth),
    })
    const bundles = Array.from({ length: Math.ceil(entries.length / tileWidth) }, (_, i) =>
      bundleOf({ level: 0, index: first + i }, { to, first, entries }),
    )
    for (const { tile, hashes } of bundles) {
      await checkStored(broker, bank, tile, hashes)
      for (const [i, hash] of hashes.entries())
        if (tile.index * tileWidth + i >= edge.size)
          for (const { level, index, hash: above } of append(nodeHasher, edge, hash))
            upper.set(`${level} ${index}`, above)
    }
    await Promise.all(bundles.map((bundle) => putBundle(archive, bank, bundle)))
  }
  if (edge.size !== to) throw new ExportRefused(`${bank}: entry ${edge.size} is missing`)
  await exportUpper(broker, range, upper)
  return edge
}

interface LeafTile {
  readonly tile: Tile
  readonly entries: readonly Buffer[]
  readonly hashes: readonly Hash[]
}

function bundleOf(
  place: { level: number; index: number },
  { to, first, entries }: { to: number; first: number; entries: readonly Buffer[] },
): LeafTile {
  const width = widthAt(to, place)
  const at = (place.index - first) * tileWidth
  const own = entries.slice(at, at + width)
  return {
    tile: { ...place, width },
    entries: own,
    hashes: own.map((one) => leafHash(nodeHasher, one)),
  }
}

/** The hashes that the broker serves are those of the leaves. */
async function checkStored(
  { db }: Exporting,
  bank: string,
  tile: Tile,
  hashes: readonly Hash[],
): Promise<void> {
  const stored = await databaseTiles(db, bank).readTile(tile)
  if (!equalBytes(stored, Buffer.concat(hashes)))
    throw new ExportRefused(`${bank}: ${tilePath(tile)} is not what its entries hash to`)
}

async function putBundle(archive: Archive, bank: string, { tile, entries, hashes }: LeafTile) {
  const folder = ledgerFolder(bank)
  await archive.put(`${folder}${tilePath(tile)}`, Buffer.concat(hashes))
  await archive.put(`${folder}${tilePath({ ...tile, level: 'entries' })}`, encodeBundle(entries))
}

/** The tiles above the leaf hashes. What was computed here must be what is stored. */
async function exportUpper(
  { db }: Exporting,
  { bank, archive, from, to }: Range,
  computed: ReadonlyMap<string, Hash>,
): Promise<void> {
  for (let level = 1; to >= tileWidth ** level; level++) {
    const before = Math.floor(from.size / tileWidth ** level)
    const hashes = Math.floor(to / tileWidth ** level)
    if (before === hashes) continue
    for (let index = Math.floor(before / tileWidth); index * tileWidth < hashes; index++) {
      const tile = { level, index, width: widthAt(to, { level, index }) }
      const stored = await databaseTiles(db, bank).readTile(tile)
      for (let i = 0; i < tile.width; i++) {
        const hash = computed.get(`${level} ${index * tileWidth + i}`)
        if (
          hash !== undefined &&
          !equalBytes(hash, stored.subarray(i * hashBytes, (i + 1) * hashBytes))
        )
          throw new ExportRefused(`${bank}: ${tilePath(tile)} is not what its entries hash to`)
      }
      await archive.put(`${ledgerFolder(bank)}${tilePath(tile)}`, stored)
    }
  }
}
