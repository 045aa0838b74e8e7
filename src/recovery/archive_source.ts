import {
  ArchiveUnavailable,
  checkpointPath,
  checkpointsFolder,
  ledgerFolder,
  type Archive,
} from '../storage/archive.ts'
import { SourceError, type LedgerSource } from '../verifier/source.ts'

/** A bank's ledger in an archive, as the verifier reads ledgers. Its `checkpoint` is the one of this size. */
export function archiveSource(archive: Archive, bank: string, size: number): LedgerSource {
  const folder = ledgerFolder(bank)
  return {
    place: `${archive.place.replace(/\/$/, '')}/${folder}`,
    async read(path, bytesMax) {
      const at = path === 'checkpoint' ? checkpointPath(bank, size) : `${folder}${path}`
      const found = await archive.get(at, bytesMax).catch((error: unknown) => {
        if (error instanceof ArchiveUnavailable) throw new SourceError(at, error.message)
        throw error
      })
      if (found === undefined) throw new SourceError(at, 'there is no such file', { absent: true })
      return found
    },
  }
}

/** The sizes of a bank's checkpoints in an archive, ascending. */
export async function archivedSizes(archive: Archive, bank: string): Promise<number[]> {
  const sizes: number[] = []
  const folder = checkpointsFolder(bank)
  for await (const path of archive.list(folder)) {
    const name = path.slice(folder.length)
    if (!/^\d{16}$/.test(name)) throw new SourceError(path, 'it is no checkpoint')
    sizes.push(Number(name))
  }
  return sizes
}
