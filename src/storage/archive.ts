/**
 * The archive: what a ledger needs to live on after its database is gone. Files are written once, each under the path at which
 * the broker serves it (c2sp.org/tlog-tiles), so that a bucket behind a CDN serves the public ones as they are:
 *
 * - `ledger/<bank>/tile/<level>/<N>[.p/<W>]`, hashes: public
 * - `ledger/<bank>/tile/entries/<N>[.p/<W>]`, entries: the bank's and its auditors'
 * - `ledger/<bank>/checkpoints/<size, 16 digits>`, checkpoints with the cosignatures they had: public
 *
 * Every call is bounded in time and size. Throws `ArchiveUnavailable` for what may be mended by trying again.
 */
export interface Archive {
  /** Where it is, for people. */
  readonly place: string
  /**
   * Makes the file, durably, or finds that it is there with the same bytes. A file that is there is never written over,
   * whoever writes at the same time: other bytes throw `ArchiveConflict`. Whether it was made by this call.
   */
  put(path: string, bytes: Uint8Array): Promise<boolean>
  /** The file; undefined where there is none. One longer than `bytesMax` throws `ArchiveConflict`: it is none of ours. */
  get(path: string, bytesMax: number): Promise<Uint8Array | undefined>
  /** The paths of all files under a folder's path, which ends in `/`, in the order of their bytes; with `after`, those after it. */
  list(folder: string, after?: string): AsyncIterable<string>
  /** Whether this archive opened the socket or request: for the egress tripwire. */
  owns(socketOrRequest: object): boolean
  close(): void
}

export const limits = {
  /** One call, with whatever it tries again. */
  call_ms_max: 30_000,
  /** A bundle of the longest entries is just over 1 MiB. */
  file_bytes_max: 4 * 1024 * 1024,
  path_characters_max: 255,
} as const

/** The archive holds other bytes than the ones that belong at this path: someone else writes there, or changed it. An alarm. */
export class ArchiveConflict extends Error {
  override readonly name = 'ArchiveConflict'
  readonly path: string

  constructor(place: string, path: string) {
    super(`${place} holds other bytes at ${path}, and they stay`)
    this.path = path
  }
}

/** The archive did not answer, not in time, or not as it should. */
export class ArchiveUnavailable extends Error {
  override readonly name = 'ArchiveUnavailable'
}

/** The archive is none that can be used: it does not keep what it has, or its place is no place. */
export class ArchiveUnfit extends Error {
  override readonly name = 'ArchiveUnfit'
}

/** Where a bank's ledger is in an archive; tiles are beneath it. */
export const ledgerFolder = (bank: string): string => `ledger/${bank}/`

/** The folder of a ledger's checkpoints, and the path of one. Padded, so that the order of paths is that of sizes. */
export const checkpointsFolder = (bank: string): string => `${ledgerFolder(bank)}checkpoints/`
export const checkpointPath = (bank: string, size: number): string =>
  `${checkpointsFolder(bank)}${String(size).padStart(16, '0')}`

/** Whether it is one that may be given to an archive: relative, of plain names none of which begins with a dot. */
export function isArchivePath(path: string): boolean {
  return (
    path.length <= limits.path_characters_max &&
    /^[A-Za-z0-9_-][A-Za-z0-9._-]*(?:\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$/.test(path)
  )
}
