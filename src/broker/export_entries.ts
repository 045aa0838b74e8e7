import { createHash } from 'node:crypto'
import { isWhole, type AuditFilter } from '../ledger/audit_filter.ts'
import { csvLine, exportHead, type ExportFormat } from '../ledger/export_line.ts'
import { exportTitle, writeManifest } from '../ledger/export_manifest.ts'
import { proveBatch } from '../merkle/batch_proof.ts'
import { encodeBase64 } from '../merkle/encoding.ts'
import { parseCheckpoint } from '../merkle/checkpoint.ts'
import { signLine } from '../merkle/named_note.ts'
import { parseNote } from '../merkle/note.ts'
import { parseVkey } from '../merkle/vkey.ts'
import { indexProgress } from '../storage/audit_index.ts'
import { findRead, saveMade, type AuditRead, type Made } from '../storage/audit_reads.ts'
import { readBounds, searchEntries } from '../storage/audit_search.ts'
import { keptNote, withCosignatures } from '../storage/cosignatures.ts'
import { databaseTiles, readLeaves } from '../storage/ledgers.ts'
import { nodeHasher } from '../storage/node_crypto.ts'
import { ReleasesStopped } from './append.ts'
import type { Broker } from './broker.ts'
import { enterAccess } from './enter_access.ts'
import { servedCheckpoint } from './served_checkpoint.ts'

/** Entries read in one transaction. */
export const export_batch_entries = 2_000

/** An export that was entered in the ledger, and comes to the same bytes each time it is made. */
export interface AuditExport {
  readonly read: AuditRead
  readonly filter: AuditFilter
  readonly format: ExportFormat
  /** The size of the tree that it is proven in, and the indexes [from, to) that it looks through. */
  readonly tree: number
  readonly range: { readonly from: number; readonly to: number }
}

/**
 * Enters that an auditor exports what a filter asks for, of the ledger as far as its served checkpoint and the index reach. Throws
 * `ReleasesStopped` while nothing is signed, and what `append` throws; then nothing may be sent.
 */
export async function beginExport(
  broker: Broker,
  bank: string,
  { actor, filter, format }: { actor: string; filter: AuditFilter; format: ExportFormat },
): Promise<AuditExport> {
  const signed = await servedCheckpoint(broker, bank)
  if (signed === undefined) throw new ReleasesStopped('the ledger is not signed yet')
  const { size: indexed } = await indexProgress(broker.db, bank)
  const size = Math.min(indexed, signed.size)
  const range = await rangeOf(broker, bank, { filter, size })
  const read = await enterAccess(broker, bank, {
    ...{ actor, what: 'export', asked: { ...filter, format }, size, tree: signed.size },
  })
  return { read, filter, format, tree: signed.size, range }
}

/** An export of an auditor's, by its id. */
export async function findExport(
  broker: Broker,
  bank: string,
  { id, actor }: { id: string; actor: string },
): Promise<AuditExport | undefined> {
  const read = await findRead(broker.db, bank, id)
  if (read?.what !== 'export' || read.actor !== actor || read.tree === undefined) return undefined
  const { format, ...filter } = JSON.parse(read.asked) as AuditFilter & { format: ExportFormat }
  const range = await rangeOf(broker, bank, { filter, size: read.size })
  return { read, filter, format, tree: read.tree, range }
}

async function rangeOf(
  { db }: Broker,
  bank: string,
  about: { filter: AuditFilter; size: number },
): Promise<AuditExport['range']> {
  const { low, high } = await readBounds(db, bank, { ...about, order: 'asc' })
  return { from: low, to: Math.max(low, high) }
}

/**
 * The bytes of an export, from its beginning or after the entry at `after`, in pieces. Each piece is read in a short transaction, and
 * the next one while whoever takes them is busy with this one. What is made whole, from its beginning, is kept a note of.
 */
export async function* exportBytes(
  broker: Broker,
  bank: string,
  { asked, after }: { asked: AuditExport; after?: number | undefined },
): AsyncGenerator<Buffer> {
  const { read, format } = asked
  const hash = createHash('sha256')
  let [entries, bytes] = [0, 0]
  const counted = (piece: Buffer) => {
    if (after === undefined) hash.update(piece)
    bytes += piece.length
    return piece
  }
  if (after === undefined && exportHead[format] !== '')
    yield counted(Buffer.from(exportHead[format]))
  for await (const { indexes, leaves } of batches(broker, bank, { asked, after })) {
    entries += indexes.length
    yield counted(pieceOf(format, indexes, leaves))
  }
  if (after === undefined && read.made === undefined)
    await saveMade(broker.db, bank, read.id, { entries, bytes, sha256: hash.digest('base64') })
}

const newline = Buffer.from('\n')

function pieceOf(
  format: ExportFormat,
  indexes: readonly number[],
  leaves: readonly Buffer[],
): Buffer {
  if (format === 'ndjson') return Buffer.concat(leaves.flatMap((leaf) => [leaf, newline]))
  const lines = leaves.map((leaf, i) => csvLine(indexes[i] ?? 0, leaf, leaf.toString('base64')))
  return Buffer.from(lines.join(''))
}

interface EntryBatch {
  readonly indexes: readonly number[]
  readonly leaves: readonly Buffer[]
}

async function* batches(
  broker: Broker,
  bank: string,
  { asked, after }: { asked: AuditExport; after?: number | undefined },
): AsyncGenerator<EntryBatch> {
  const next = (from: number | undefined) => {
    const read = readBatch(broker, bank, { asked, after: from })
    read.catch(() => undefined) // heard when it is asked for, if it ever is
    return read
  }
  for (let reading = next(after); ;) {
    const batch = await reading
    const isLast = batch.indexes.length < export_batch_entries
    if (!isLast) reading = next(batch.indexes.at(-1))
    if (batch.indexes.length > 0) yield batch
    if (isLast) return
  }
}

async function readBatch(
  broker: Broker,
  bank: string,
  about: { asked: AuditExport; after: number | undefined },
): Promise<EntryBatch> {
  const indexes = await nextIndexes(broker, bank, about)
  const [first, last] = [indexes[0], indexes.at(-1)]
  if (first === undefined || last === undefined) return { indexes: [], leaves: [] }
  const isRun = last - first === indexes.length - 1
  const leaves = await readLeaves(
    broker.db,
    bank,
    isRun ? { from: first, to: last + 1 } : { at: indexes },
  )
  if (leaves.length !== indexes.length) throw new Error(`${bank}: entries of an export are missing`)
  return { indexes, leaves }
}

/** The indexes of the next entries. A filter that leaves nothing out needs no search. */
async function nextIndexes(
  { db }: Broker,
  bank: string,
  { asked, after }: { asked: AuditExport; after: number | undefined },
): Promise<readonly number[]> {
  const { filter, range, read } = asked
  if (isWhole(filter)) {
    const from = Math.max(range.from, after === undefined ? 0 : after + 1)
    const length = Math.max(0, Math.min(export_batch_entries, range.to - from))
    return Array.from({ length }, (_, i) => from + i)
  }
  return searchEntries(db, bank, {
    ...{ filter: { ...filter, from_index: range.from, to_index: range.to }, size: read.size },
    ...{ order: 'asc', limit: export_batch_entries },
    ...(after === undefined ? {} : { after }),
  })
}

/** What an export came to; made for this, where nobody has taken the whole of it yet. */
async function madeOf(broker: Broker, bank: string, asked: AuditExport): Promise<Made> {
  const kept = (await findRead(broker.db, bank, asked.read.id))?.made
  if (kept !== undefined) return kept
  for await (const _ of exportBytes(broker, bank, { asked }));
  const made = (await findRead(broker.db, bank, asked.read.id))?.made
  if (made === undefined) throw new Error(`${bank}: an export was not kept a note of`)
  return made
}

/** The signed manifest of an export: a note by the ledger's key, which is no checkpoint. */
export async function exportManifest(
  broker: Broker,
  bank: string,
  asked: AuditExport,
): Promise<string> {
  const key = broker.keys.get(bank)
  const kept = await keptNote(broker.db, bank, asked.tree)
  if (key === undefined || kept === undefined)
    throw new ReleasesStopped('this process cannot sign for the ledger')
  const { note: checkpoint } = await withCosignatures(broker.db, bank, kept)
  const { read, filter, format, range, tree } = asked
  const { entries, bytes, sha256 } = await madeOf(broker, bank, asked)
  const { origin, root } = parseCheckpoint(parseNote(checkpoint).text)
  const line = writeManifest({
    ...{ v: 1, bank, origin, id: read.id, at: read.at, exporter: read.actor },
    ...(read.n === undefined ? {} : { access: read.n }),
    ...{ filter, format, salt: read.salt, range, count: entries, bytes, sha256 },
    ...{ size: tree, root: encodeBase64(root), checkpoint },
  })
  const log = parseVkey(nodeHasher, key.vkey)
  return signLine(nodeHasher, { title: exportTitle, line, log, signer: key.signer })
}

/** The hashes that prove every entry of an export to be in the tree of its manifest, end to end, in pieces. */
export async function* exportProof(
  broker: Broker,
  bank: string,
  asked: AuditExport,
): AsyncGenerator<Buffer> {
  const indices = indexesOf(broker, bank, asked)
  let piece: Uint8Array[] = []
  const reader = databaseTiles(broker.db, bank)
  for await (const hash of proveBatch(nodeHasher, reader, { indices, size: asked.tree })) {
    piece.push(hash)
    if (piece.length < proof_piece_hashes) continue
    yield Buffer.concat(piece)
    piece = []
  }
  if (piece.length > 0) yield Buffer.concat(piece)
}

const proof_piece_hashes = 2_048

async function* indexesOf(
  broker: Broker,
  bank: string,
  asked: AuditExport,
): AsyncGenerator<number> {
  for (let after: number | undefined; ;) {
    const indexes = await nextIndexes(broker, bank, { asked, after })
    yield* indexes
    if (indexes.length < export_batch_entries) return
    after = indexes.at(-1)
  }
}
