import { createHash } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readSync,
  renameSync,
  writeSync,
} from 'node:fs'
import { CanonicalError } from '../ledger/canonical.ts'
import { openWalk, type Kept } from '../verifier/sealed_walk.ts'
import { UsageError } from './arguments.ts'

/** What the file begins with; another version of it begins otherwise. */
const title = 'countersign verification, version 1'

const chunk_bytes = 1 << 20

/**
 * The verification that a file keeps, or undefined where there is no file. Its last line is the SHA-256 of all before it: so a
 * damaged or edited file is refused. Whoever can write the file can make one that is not: it is as trustworthy as the disk it is on.
 * Throws `UsageError`.
 */
export function readKept(path: string): Kept | undefined {
  if (!existsSync(path)) return undefined
  try {
    return openWalk(checkedLines(path))
  } catch (error) {
    if (error instanceof UsageError) throw error
    if (error instanceof CanonicalError) throw refused(path, error.message)
    throw new UsageError(`${path} cannot be read`)
  }
}

const refused = (path: string, why: string) =>
  new UsageError(`${path} cannot be gone on from: ${why}. Remove it to begin anew`)

/** The lines of the file between its title and its hash, once the hash is known to be right. */
function* checkedLines(path: string): Generator<string> {
  if (hashWithin(path) !== lastLine(path))
    throw refused(path, 'it is damaged, or was changed since it was written')
  let isFirst = true
  let held: string | undefined
  for (const line of linesOf(path)) {
    if (isFirst && line !== title) throw refused(path, 'it is of another version')
    if (held !== undefined) yield held
    held = isFirst ? undefined : line
    isFirst = false
  }
}

function lastLine(path: string): string {
  let last = ''
  for (const line of linesOf(path)) last = line
  return last
}

function hashWithin(path: string): string {
  const hash = createHash('sha256')
  let held: string | undefined
  for (const line of linesOf(path)) {
    if (held !== undefined) hash.update(`${held}\n`)
    held = line
  }
  return `sha256 ${hash.digest('base64url')}`
}

function* linesOf(path: string): Generator<string> {
  const file = openSync(path, 'r')
  const decoder = new TextDecoder()
  const chunk = new Uint8Array(chunk_bytes)
  let rest = ''
  try {
    for (let read = -1; read !== 0;) {
      read = readSync(file, chunk, 0, chunk.length, null)
      const lines = (rest + decoder.decode(chunk.subarray(0, read), { stream: true })).split('\n')
      rest = lines.pop() ?? ''
      yield* lines
    }
  } finally {
    closeSync(file)
  }
  if (rest !== '') yield rest
}

/** Writes the lines of a walk in the place of those that the file had: all of them, or none. */
export function writeKept(path: string, lines: Iterable<string>): void {
  const fresh = `${path}.new`
  const file = openSync(fresh, 'w', 0o600)
  const hash = createHash('sha256')
  let waiting = ''
  const flush = () => {
    hash.update(waiting)
    writeAll(file, Buffer.from(waiting))
    waiting = ''
  }
  try {
    waiting = `${title}\n`
    for (const line of lines) {
      waiting += `${line}\n`
      if (waiting.length > chunk_bytes) flush()
    }
    flush()
    writeAll(file, Buffer.from(`sha256 ${hash.digest('base64url')}\n`))
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(fresh, path)
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at)
}
