import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { hashBytes } from '../merkle/hash.ts'
import { decodeBundle, tilePath, tileWidth, type Bundle, type Tile } from '../merkle/tiles.ts'

/**
 * A ledger's files (c2sp.org/tlog-tiles), wherever they are: `checkpoint`, `tile/…`, `tile/entries/…`. They are not trusted;
 * a file longer than `bytesMax`, or that does not come in time, is refused. Throws `SourceError`.
 */
export interface LedgerSource {
  /** Where the files are, for people. */
  readonly place: string
  read(path: string, bytesMax: number): Promise<Uint8Array>
}

/** A file of the ledger could not be read. `absent` when there is none at that path. */
export class SourceError extends Error {
  override readonly name = 'SourceError'
  readonly absent: boolean

  constructor(path: string, why: string, { absent = false } = {}) {
    super(`${path}: ${why}`)
    this.absent = absent
  }
}

export const limits = {
  checkpoint_bytes_max: 65_536,
  /** For entries of any length that a bundle can hold, so that one which is too long is read and found to be so. */
  bundle_bytes_max: tileWidth * (2 + 65_535),
  request_ms_max: 30_000,
} as const

/** The files under an http(s) URL or in a folder. Over http, `getEntries` reads the entries, which are not public as all else is. */
export function openSource(
  place: string,
  { getEntries = get }: { getEntries?: ((url: URL) => Promise<Response>) | undefined } = {},
): LedgerSource {
  return /^https?:\/\//.test(place) ? webSource(place, getEntries) : folderSource(place)
}

function folderSource(folder: string): LedgerSource {
  return {
    place: folder,
    // Synchronous: whoever verifies has nothing else to do, and waiting in turn costs more than a small file does.
    async read(path, bytesMax) {
      const file = join(folder, path === 'checkpoint' ? newestCheckpoint(folder) : path)
      const found = statSync(file, { throwIfNoEntry: false })
      if (found?.isFile() !== true)
        throw new SourceError(path, 'there is no such file', { absent: true })
      if (found.size > bytesMax) throw new SourceError(path, `longer than ${bytesMax} bytes`)
      return readFileSync(file)
    },
  }
}

/** An archive keeps all checkpoints and not a newest one: their names are sizes, padded, and so in order. */
function newestCheckpoint(folder: string): string {
  const archived = join(folder, 'checkpoints')
  if (existsSync(join(folder, 'checkpoint')) || !existsSync(archived)) return 'checkpoint'
  const newest = readdirSync(archived)
    .filter((name) => /^\d{16}$/.test(name))
    .toSorted()
    .at(-1)
  return newest === undefined ? 'checkpoint' : join('checkpoints', newest)
}

const get = (url: URL): Promise<Response> =>
  fetch(url, { redirect: 'error', signal: AbortSignal.timeout(limits.request_ms_max) })

function webSource(url: string, getEntries: (url: URL) => Promise<Response>): LedgerSource {
  const prefix = url.endsWith('/') ? url : `${url}/`
  return {
    place: url,
    async read(path, bytesMax) {
      const read = path.startsWith('tile/entries/') ? getEntries : get
      try {
        const response = await within(read(new URL(path, prefix)), limits.request_ms_max)
        if (response.ok)
          return await within(readBody(path, response, bytesMax), limits.request_ms_max)
        await response.body?.cancel()
        throw new SourceError(path, answered(response.status), { absent: response.status === 404 })
      } catch (error) {
        if (error instanceof SourceError) throw error
        throw new SourceError(path, reasonOf(error))
      }
    },
  }
}

/** Whoever reads the entries may know no limit of time, neither for the answer nor for what follows. */
async function within<T>(work: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms)
  })
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}

async function readBody(path: string, response: Response, bytesMax: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let length = 0
  for await (const part of response.body ?? []) {
    length += part.length
    if (length > bytesMax) throw new SourceError(path, `longer than ${bytesMax} bytes`)
    parts.push(part)
  }
  return Buffer.concat(parts)
}

function answered(status: number): string {
  if (status === 404) return 'there is no such file'
  return status === 401 || status === 403
    ? `the server gives it to the bank and its auditors only (${status})`
    : `the server answered ${status}`
}

/** `fetch` says what went wrong in the cause of its error. */
function reasonOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('message' in error)) return String(error)
  const because = 'cause' in error && error.cause !== undefined ? reasonOf(error.cause) : ''
  return because === '' ? String(error.message) : because
}

/** The hashes of a tile, end to end. Where a partial tile is gone, the full one that took its place is read instead. */
export async function readHashes(source: LedgerSource, tile: Tile): Promise<Uint8Array> {
  const { found, width } = await readFullest(source, tile, tileWidth * hashBytes)
  if (found.length !== width * hashBytes)
    throw new SourceError(tilePath(tile), `not ${width} hashes long`)
  return found.subarray(0, tile.width * hashBytes)
}

/** The entries of a bundle, read as `readHashes` reads. Throws `MerkleError` for what is no bundle. */
export async function readEntries(source: LedgerSource, bundle: Bundle): Promise<Uint8Array[]> {
  const { found, width } = await readFullest(source, bundle, limits.bundle_bytes_max)
  return decodeBundle(found, width).slice(0, bundle.width)
}

async function readFullest(source: LedgerSource, tile: Tile | Bundle, bytesMax: number) {
  try {
    return { found: await source.read(tilePath(tile), bytesMax), width: tile.width }
  } catch (error) {
    const partial = tile.width < tileWidth
    if (!partial || !(error instanceof SourceError) || !error.absent) throw error
    const full = { ...tile, width: tileWidth }
    const found = await source.read(tilePath(full), bytesMax).catch(() => {
      throw error
    })
    return { found, width: tileWidth }
  }
}
