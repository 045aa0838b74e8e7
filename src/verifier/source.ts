import { hashBytes } from '../merkle/hash.ts'
import { decodeBundle, tilePath, tileWidth, type Bundle, type Tile } from '../merkle/tiles.ts'

/**
 * A ledger's files (c2sp.org/tlog-tiles), wherever they are: `checkpoint`, `tile/…`, `tile/entries/…`. They are not trusted;
 * a file longer than `bytesMax`, or that does not come in time, is refused. Throws `SourceError`.
 */
export interface LedgerSource {
  /** Where the files are, for people. */
  readonly place: string
  /** How many bundles of 256 entries to ask for before their turn, if more than one: it hides the time that a server takes. */
  readonly ahead?: number
  read(path: string, bytesMax: number): Promise<Uint8Array>
}

/** Files that are at hand, to be looked through. */
export interface Files extends LedgerSource {
  /** The names in a folder, which ends in `/` or is empty for the top; none where there is no such folder. */
  list(folder: string): Promise<readonly string[]>
  /** A file of any length, piece by piece. */
  pieces(path: string): AsyncIterable<Uint8Array>
}

/** The files below a folder, which ends in `/`. */
export const filesBelow = (files: Files, folder: string): Files => ({
  place: `${files.place}/${folder.slice(0, -1)}`,
  read: (path, bytesMax) => files.read(`${folder}${path}`, bytesMax),
  list: (inner) => files.list(`${folder}${inner}`),
  pieces: (path) => files.pieces(`${folder}${path}`),
})

/** A file of the ledger could not be read. `absent` when there is none at that path. */
export class SourceError extends Error {
  override readonly name = 'SourceError'
  readonly path: string
  readonly why: string
  readonly absent: boolean

  constructor(path: string, why: string, { absent = false } = {}) {
    super(`${path}: ${why}`)
    this.path = path
    this.why = why
    this.absent = absent
  }
}

export const limits = {
  checkpoint_bytes_max: 65_536,
  /** For entries of any length that a bundle can hold, so that one which is too long is read and found to be so. */
  bundle_bytes_max: tileWidth * (2 + 65_535),
  request_ms_max: 30_000,
} as const

/** The hashes of a tile, end to end. Where a partial tile is gone, the full one that took its place is read instead. */
export async function readHashes(source: LedgerSource, tile: Tile): Promise<Uint8Array> {
  const { found, width } = await readFullest(source, tile, tileWidth * hashBytes)
  if (found.length !== width * hashBytes)
    throw new SourceError(tilePath(tile), `not ${width} hashes long`)
  return found.subarray(0, tile.width * hashBytes)
}

/** A bundle as it was read: it begins with `width` entries, and may be that of `found` entries. */
export interface Read {
  readonly bytes: Uint8Array
  readonly found: number
  readonly width: number
}

/** A bundle, read as `readHashes` reads. */
export async function readBundle(source: LedgerSource, bundle: Bundle): Promise<Read> {
  const { found, width } = await readFullest(source, bundle, limits.bundle_bytes_max)
  return { bytes: found, found: width, width: bundle.width }
}

/** The entries of a bundle that was read. Throws `MerkleError` for what is no bundle. */
export const entriesOf = ({ bytes, found, width }: Read): Uint8Array[] =>
  decodeBundle(bytes, found).slice(0, width)

/** The entries of a bundle, read as `readHashes` reads. Throws `MerkleError` for what is no bundle. */
export const readEntries = async (source: LedgerSource, bundle: Bundle): Promise<Uint8Array[]> =>
  entriesOf(await readBundle(source, bundle))

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
