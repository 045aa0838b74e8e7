import { equalBytes } from '../merkle/hash.ts'
import { decodeBundle, tilePath, tileWidth } from '../merkle/tiles.ts'
import { leafHash } from '../merkle/tree.ts'
import { MerkleError } from '../merkle/errors.ts'
import { ArchiveConflict, ledgerFolder, limits, type Archive } from './archive.ts'
import { inBank, type Database } from './database.ts'
import { nodeHasher } from './node_crypto.ts'

/** Entries of a ledger: those in [from, to), or those at each index of `at`. */
export type Which =
  { readonly from: number; readonly to: number } | { readonly at: readonly number[] }

/** The same for SQL, of a column `n`, and how many they are. */
export const chosen = (which: Which) =>
  'at' in which
    ? { where: 'n = any(?::bigint[])', bindings: [[...which.at]], count: new Set(which.at).size }
    : { where: 'n >= ? and n < ?', bindings: [which.from, which.to], count: which.to - which.from }

/**
 * Of these entries the ones that the database holds the hashes of and no longer the bytes, read from the archive, each by its index.
 * Their hashes are compared: an archive is not trusted. Those that it does not hold are left out. Throws `ArchiveUnavailable`, or
 * `ArchiveConflict` where it holds others.
 */
export async function readDetached(
  db: Database,
  bank: string,
  which: Which,
): Promise<(readonly [n: number, leaf: Buffer])[]> {
  const { archive, lost } = db
  if (archive === undefined) return []
  const { where, bindings } = chosen(which)
  const wanted = await inBank(db, bank, async (tx) => {
    const { rows } = await tx.raw<{ rows: { n: string; hash: Buffer }[] }>(
      `select h.n, h.hash from leaf_hashes h where h.bank_id = ? and ${where}
         and not exists (select from entries e where e.bank_id = h.bank_id and e.n = h.n) order by h.n`,
      [bank, ...bindings],
    )
    return rows.map(({ n, hash }) => ({ n: Number(n), hash }))
  })
  const found: (readonly [number, Buffer])[] = []
  for (const index of new Set(wanted.map(bundleOf))) {
    const ofBundle = wanted.filter((one) => bundleOf(one) === index)
    try {
      const bundle = await readArchivedBundle(archive, bank, index)
      if (bundle === undefined) continue
      for (const { n, hash } of ofBundle) {
        const leaf = Buffer.from(bundle[n % tileWidth] ?? [])
        if (!equalBytes(leafHash(nodeHasher, leaf), hash))
          throw new ArchiveConflict(archive.place, bundlePath(bank, index))
        found.push([n, leaf])
      }
    } catch (error) {
      // Whoever can write there must not be able to hide a loss behind bytes that cannot be read.
      if (error instanceof ArchiveConflict)
        lost?.note(bank, { ns: ofBundle.map(({ n }) => n), why: error.message })
      throw error
    }
  }
  return found
}

const bundleOf = ({ n }: { readonly n: number }) => Math.floor(n / tileWidth)

/** The 256 entries of a full bundle in an archive; undefined where it has none. Throws `ArchiveConflict` where it is malformed. */
export async function readArchivedBundle(
  archive: Archive,
  bank: string,
  index: number,
): Promise<Uint8Array[] | undefined> {
  const path = bundlePath(bank, index)
  const bundle = await archive.get(path, limits.file_bytes_max)
  try {
    return bundle && decodeBundle(bundle, tileWidth)
  } catch (error) {
    if (error instanceof MerkleError) throw new ArchiveConflict(archive.place, path)
    throw error
  }
}

/** Where an archive has a full bundle. */
const bundlePath = (bank: string, index: number): string =>
  `${ledgerFolder(bank)}${tilePath({ level: 'entries', index, width: tileWidth })}`
