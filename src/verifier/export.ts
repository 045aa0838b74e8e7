import { admits, isWhole } from '../ledger/audit_filter.ts'
import { CanonicalError } from '../ledger/canonical.ts'
import { csvCells, csvLine, exportHead, sentence_column } from '../ledger/export_line.ts'
import { exportTitle, readManifest, type ExportManifest } from '../ledger/export_manifest.ts'
import { factsIn, seeEntry } from '../ledger/facts.ts'
import { foldBatch, type BatchFold } from '../merkle/batch_proof.ts'
import { decodeBase64, encodeBase64 } from '../merkle/encoding.ts'
import { MerkleError } from '../merkle/errors.ts'
import { equalBytes, hashBytes, type Hash, type Hasher } from '../merkle/hash.ts'
import { openLine } from '../merkle/named_note.ts'
import { openUnderPolicy, type Policy, type WitnessedCheckpoint } from '../merkle/policy.ts'
import { leafHash } from '../merkle/tree.ts'
import type { VerifyEd25519 } from '../merkle/vkey.ts'

/** Bytes as they are read from a file: in any pieces. */
export type Pieces = AsyncIterable<Uint8Array> | Iterable<Uint8Array>

/** The three files of an export. */
export interface ExportFiles {
  readonly manifest: string | Uint8Array
  readonly lines: Pieces
  readonly proof: Pieces
}

/** What it takes to check an export: SHA-256 at once, and over pieces. */
export interface ExportTrust {
  readonly policy: Policy
  readonly hasher: Hasher
  readonly verifyEd25519: VerifyEd25519
  readonly startHash: () => { update(piece: Uint8Array): unknown; digest(): Uint8Array }
  /** Called now and then with the number of entries checked. */
  readonly progress?: (entries: number) => void
}

/** What an export that holds proves. */
export interface CheckedExport extends WitnessedCheckpoint {
  readonly manifest: ExportManifest
  /** Whether it has every entry of its range. */
  readonly complete: boolean
  /** What that means, in sentences. */
  readonly proves: readonly string[]
}

/** An export is not what its manifest says, or not of the ledger. `line` is the first that is wrong, from 1. */
export class ExportWrong extends Error {
  override readonly name = 'ExportWrong'
  readonly line: number | undefined

  constructor(message: string, { line, cause }: { line?: number; cause?: unknown } = {}) {
    super(line === undefined ? message : `line ${line}: ${message}`, { cause })
    this.line = line
  }
}

/**
 * Checks an export by its files and a policy: the manifest is signed by the ledger, its checkpoint satisfies the policy, every line is
 * an entry of the tree that the checkpoint states, in order, and one that the filter asks for; count, length and hash are as the
 * manifest says. Takes each file once, and keeps none of them. Throws `ExportWrong`.
 */
export async function checkExport(files: ExportFiles, trust: ExportTrust): Promise<CheckedExport> {
  const { manifest, opened } = saidWrong(() => openManifest(files.manifest, trust))
  const hashes = await readHashes(files.proof)
  const fold = foldBatch(trust.hasher, { size: manifest.size, nextHash: hashes.next })
  const found = await foldLines(files.lines, { manifest, fold, trust })
  const { root } = opened.checkpoint
  if (
    !equalBytes(
      saidWrong(() => fold.root()),
      root,
    )
  )
    throw new ExportWrong('the lines are not entries of the ledger that the checkpoint is of')
  for (const [name, is] of Object.entries(found))
    if (is !== manifest[name as keyof typeof found])
      throw new ExportWrong(`${name} is ${is}, and the manifest says otherwise`)
  const { from, to } = manifest.range
  const complete = isWhole(manifest.filter) && manifest.count === to - from
  return { ...opened, manifest, complete, proves: proven(manifest, complete) }
}

function saidWrong<T>(act: () => T, line?: number): T {
  try {
    return act()
  } catch (cause) {
    if (!(cause instanceof MerkleError) && !(cause instanceof CanonicalError)) throw cause
    throw new ExportWrong(cause.message, { cause, ...(line === undefined ? {} : { line }) })
  }
}

function openManifest(
  note: string | Uint8Array,
  { policy, hasher, verifyEd25519 }: ExportTrust,
): { manifest: ExportManifest; opened: WitnessedCheckpoint } {
  const logs = policy.logs.map(({ vkey }) => vkey)
  const { line, log } = openLine(note, { title: exportTitle, logs, hasher, verifyEd25519 })
  const manifest = readManifest(line)
  const opened = openUnderPolicy(verifyEd25519, policy, manifest.checkpoint)
  const { origin, size, root } = opened.checkpoint
  if (origin !== manifest.origin || log.name !== origin)
    throw new MerkleError('origin', 'the manifest is of another ledger than its checkpoint')
  if (size !== manifest.size || encodeBase64(root) !== manifest.root)
    throw new MerkleError('checkpoint', 'the manifest names another tree than its checkpoint')
  if (manifest.range.from > manifest.range.to || manifest.range.to > size)
    throw new MerkleError('checkpoint', 'the range of the manifest is outside the tree')
  return { manifest, opened }
}

/** The hashes of a proof, in order. Of a hash for each of a million entries that is 32 MB, kept as it came. */
async function readHashes(proof: Pieces): Promise<{ next: () => Hash | undefined }> {
  const pieces: Uint8Array[] = []
  for await (const piece of proof) pieces.push(piece)
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0)
  if (length % hashBytes !== 0) throw new ExportWrong('the proof ends within a hash')
  const all = new Uint8Array(length)
  let at = 0
  for (const piece of pieces) {
    all.set(piece, at)
    at += piece.length
  }
  at = 0
  return {
    next: () => {
      if (at === length) return undefined
      at += hashBytes
      return all.subarray(at - hashBytes, at)
    },
  }
}

interface Folding {
  readonly manifest: ExportManifest
  readonly fold: BatchFold
  readonly trust: ExportTrust
}

/** Takes every line into the fold, and tells what the file is. */
async function foldLines(
  pieces: Pieces,
  { manifest, fold, trust }: Folding,
): Promise<Pick<ExportManifest, 'count' | 'bytes' | 'sha256'>> {
  const hash = trust.startHash()
  const check = checkerOf(manifest, trust.hasher)
  let [bytes, line, count] = [0, 0, 0]
  const counted = async function* () {
    for await (const piece of pieces) {
      hash.update(piece)
      bytes += piece.length
      yield piece
    }
  }
  for await (const read of linesOf(counted())) {
    line += 1
    if (manifest.format === 'csv' && line === 1) {
      if (`${new TextDecoder().decode(read)}\n` !== exportHead.csv)
        throw new ExportWrong('not the head of an export', { line })
      continue
    }
    const { index, leaf } = check(read, line)
    saidWrong(() => fold.add(index, leaf), line)
    count += 1
    if (count % 8_192 === 0) trust.progress?.(count)
  }
  trust.progress?.(count)
  return { count, bytes, sha256: encodeBase64(hash.digest()) }
}

/** What a line says: the index and the leaf hash of an entry that the filter asks for. Throws `ExportWrong`. */
function checkerOf(
  { format, filter, range }: ExportManifest,
  hasher: Hasher,
): (line: Uint8Array, number: number) => { index: number; leaf: Hash } {
  return (read, line) => {
    const bytes = format === 'ndjson' ? read : entryOfRow(read, line)
    const seen = seeEntry(bytes)
    const { n } = seen
    if (n === undefined) throw new ExportWrong('not an entry', { line })
    if (n < range.from || n >= range.to)
      throw new ExportWrong('an entry from outside the range', { line })
    if (format === 'csv') checkRow(read, { n, bytes, line })
    if (!admits(filter, { n, facts: factsIn(seen) }))
      throw new ExportWrong('an entry that the filter does not ask for', { line })
    return { index: n, leaf: leafHash(hasher, bytes) }
  }
}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })

const rowOf = (line: Uint8Array) => csvCells(utf8.decode(line).replace(/\r$/, ''))

function entryOfRow(read: Uint8Array, line: number): Uint8Array {
  const entry = rowOf(read)?.at(-1)
  if (entry === undefined) throw new ExportWrong('not a row of an export', { line })
  return saidWrong(() => decodeBase64(entry), line)
}

/** Every other cell says what the entry says. */
function checkRow(
  read: Uint8Array,
  { n, bytes, line }: { n: number; bytes: Uint8Array; line: number },
): void {
  const cells = rowOf(read) ?? []
  const expected = csvCells(csvLine(n, bytes, encodeBase64(bytes)).replace(/\r\n$/, '')) ?? []
  const wrong = expected.some((cell, i) => i !== sentence_column && cell !== cells[i])
  if (wrong) throw new ExportWrong('the row says other than its entry', { line })
}

/** Pieces as lines, without their ends. A last line that does not end is a line too. */
async function* linesOf(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let rest = new Uint8Array(0)
  for await (const piece of pieces) {
    let start = 0
    for (let end = piece.indexOf(10); end >= 0; end = piece.indexOf(10, start)) {
      const line = piece.subarray(start, end)
      yield rest.length === 0 ? line : joined(rest, line)
      rest = new Uint8Array(0)
      start = end + 1
    }
    rest = joined(rest, piece.subarray(start))
    if (rest.length > line_bytes_max) throw new ExportWrong('a line longer than any entry')
  }
  if (rest.length > 0) yield rest
}

/** An entry in base64, with everything that a table says of it. */
const line_bytes_max = 32_768

function joined(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(a.length + b.length)
  both.set(a)
  both.set(b, a.length)
  return both
}

function proven(manifest: ExportManifest, complete: boolean): string[] {
  const { bank, count, filter, format, range, size, exporter, at } = manifest
  const within = `the entries from index ${range.from} up to but not including ${range.to}`
  return [
    `Each of the ${count} lines is an entry of the ledger of ${bank}, as its first ${size} entries are signed.`,
    complete
      ? `Nothing is left out of ${within}.`
      : `That no other entry among ${within} is what was asked for is not proven: the ledger's key says so, and the whole range shows it.`,
    ...(format === 'csv'
      ? [
          'The sentences of the table are the server’s words; every other cell follows from its entry.',
        ]
      : []),
    ...(filter.from === undefined && filter.to === undefined
      ? []
      : ['That this range is all of the time asked for shows in the entries before and after it.']),
    `The export was given to ${exporter} at ${at}.`,
    'That the entries keep the rules of the ledger is checked with the whole ledger, and not here.',
  ]
}
