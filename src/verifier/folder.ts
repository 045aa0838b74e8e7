import { closeSync, constants, fstatSync, openSync, readdirSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { SourceError, type Files } from './source.ts'

/** Neither a link nor a pipe may stand where a file of the ledger belongs. Windows, where these are undefined, has neither. */
const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants

/** The files in a folder. Links to folders are followed, links to files are not. */
export function openFolder(folder: string): Files {
  return {
    place: folder,
    // Synchronous: whoever verifies has nothing else to do, and waiting in turn costs more than a small file does.
    async read(path, bytesMax) {
      const file = openFile(join(folder, path), path)
      try {
        const { size } = fstatSync(file)
        if (size > bytesMax) throw new SourceError(path, `longer than ${bytesMax} bytes`)
        return readBytes(file, size)
      } finally {
        closeSync(file)
      }
    },
    async list(inner) {
      try {
        return readdirSync(join(folder, inner))
      } catch {
        return []
      }
    },
    async *pieces(path) {
      const file = openFile(join(folder, path), path)
      try {
        for (let read = -1; read !== 0;) {
          const piece = new Uint8Array(piece_bytes)
          read = readSync(file, piece)
          yield piece.subarray(0, read)
        }
      } finally {
        closeSync(file)
      }
    },
  }
}

const piece_bytes = 256 * 1024

function openFile(file: string, path: string): number {
  let opened: number
  try {
    opened = openSync(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  } catch (error) {
    const code = codeOf(error)
    if (code === 'ENOENT' || code === 'ENOTDIR')
      throw new SourceError(path, 'there is no such file', { absent: true })
    throw new SourceError(path, code === 'ELOOP' ? 'it is a link' : `it cannot be read (${code})`)
  }
  if (fstatSync(opened).isFile()) return opened
  closeSync(opened)
  throw new SourceError(path, 'it is not a file')
}

/** An array of its own, which may be given to another thread. */
function readBytes(file: number, size: number): Uint8Array {
  const bytes = new Uint8Array(size)
  let at = 0
  for (let read = -1; read !== 0 && at < size; at += read)
    read = readSync(file, bytes, at, size - at, at)
  return bytes.subarray(0, at)
}

const codeOf = (error: unknown): string =>
  typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : ''
