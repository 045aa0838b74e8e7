import { MerkleError } from './errors.ts'

/**
 * A tile of hashes (c2sp.org/tlog-tiles): the first `width` of its 256 places; full when `width` is
 * 256.
 */
export interface Tile {
  readonly level: number
  readonly index: number
  readonly width: number
}

/** A bundle of entries; `index` and `width` are those of the level-0 tile of its leaf hashes. */
export interface Bundle {
  readonly level: 'entries'
  readonly index: number
  readonly width: number
}

export const tileWidth = 256
const levelMax = 63
const entryBytesMax = 0xffff

/**
 * `tile/<L>/<N>[.p/<W>]`, relative to the log's prefix, with N in groups of three digits:
 * `tile/0/x001/x234/067.p/8`.
 */
export function tilePath(tile: Tile | Bundle): string {
  const { level, index, width } = tile
  const digits = String(index)
  const groups = digits
    .padStart(Math.ceil(digits.length / 3) * 3, '0')
    .replace(/\d{3}(?=\d)/g, 'x$&/')
  return `tile/${level}/${groups}${width === tileWidth ? '' : `.p/${width}`}`
}

/** Parses a path that `tilePath` gives, and no other spelling of it. Throws `tile`. */
export function parseTilePath(path: string): Tile | Bundle {
  const match = /^tile\/(entries|\d{1,2})\/((?:x\d{3}\/)*\d{3})(?:\.p\/(\d{1,3}))?$/.exec(path)
  if (match === null) throw new MerkleError('tile', 'not the path of a tile')
  const [, level = '', groups = '', width] = match
  const tile: Tile | Bundle = {
    level: level === 'entries' ? level : Number(level),
    index: Number(groups.replaceAll(/[x/]/g, '')),
    width: width === undefined ? tileWidth : Number(width),
  }
  const known =
    (tile.level === 'entries' || tile.level <= levelMax) &&
    Number.isSafeInteger(tile.index) &&
    (width === undefined || (tile.width >= 1 && tile.width < tileWidth))
  if (!known || tilePath(tile) !== path) throw new MerkleError('tile', 'not the path of a tile')
  return tile
}

/** How many hashes the tile at (level, index) holds in a tree of `size` leaves: 0 to 256. */
export function widthAt(size: number, { level, index }: Omit<Tile, 'width'>): number {
  const hashes = Math.floor(size / tileWidth ** level)
  return Math.min(tileWidth, Math.max(0, hashes - index * tileWidth))
}

/**
 * Every tile of a tree of `size` leaves, level by level from the leaf hashes up, left to right;
 * none is empty.
 */
export function* tilesForSize(size: number): Generator<Tile> {
  for (let level = 0, hashes = size; hashes > 0; level++, hashes = Math.floor(hashes / tileWidth)) {
    for (let index = 0; index * tileWidth < hashes; index++) {
      yield { level, index, width: Math.min(tileWidth, hashes - index * tileWidth) }
    }
  }
}

/**
 * Entries, each after its length as a big-endian uint16. Throws `tile` outside 1–256 entries of at
 * most 65,535 bytes.
 */
export function encodeBundle(entries: readonly Uint8Array[]): Uint8Array {
  if (entries.length < 1 || entries.length > tileWidth) {
    throw new MerkleError('tile', 'a bundle holds 1 to 256 entries')
  }
  const bundle = new Uint8Array(entries.reduce((bytes, entry) => bytes + 2 + entry.length, 0))
  const view = new DataView(bundle.buffer)
  let at = 0
  for (const entry of entries) {
    if (entry.length > entryBytesMax) throw new MerkleError('tile', 'an entry exceeds 65,535 bytes')
    view.setUint16(at, entry.length)
    bundle.set(entry, at + 2)
    at += 2 + entry.length
  }
  return bundle
}

/**
 * The `width` entries of a bundle, as views into it. Throws `tile` unless it holds exactly so many.
 */
export function decodeBundle(bundle: Uint8Array, width: number): Uint8Array[] {
  const view = new DataView(bundle.buffer, bundle.byteOffset, bundle.byteLength)
  const entries: Uint8Array[] = []
  let at = 0
  while (at < bundle.length) {
    const start = at + 2
    const end = start > bundle.length ? start : start + view.getUint16(at)
    if (end > bundle.length) throw new MerkleError('tile', 'a bundle ends within an entry')
    entries.push(bundle.subarray(start, end))
    at = end
  }
  if (entries.length !== width) {
    throw new MerkleError('tile', `a bundle holds ${entries.length} entries instead of ${width}`)
  }
  return entries
}
