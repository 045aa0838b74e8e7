import type { Files, LedgerSource } from './source.ts'

/** An archive keeps all checkpoints and not a newest one: their names are sizes, padded, and so in order. */
const archivedName = /^\d{16}$/

const archivedFolder = 'checkpoints/'

/** The paths of the checkpoints that a ledger's files hold beside the newest, smallest first. */
export async function archivedCheckpoints(files: Files): Promise<readonly string[]> {
  const names = await files.list(archivedFolder)
  return names
    .filter((name) => archivedName.test(name))
    .toSorted()
    .map((name) => `${archivedFolder}${name}`)
}

/** Whether these are the files of a ledger, as it is served or as an archive keeps it. */
export async function areLedger(files: Files): Promise<boolean> {
  const names = await files.list('')
  return names.includes('checkpoint') || (await archivedCheckpoints(files)).length > 0
}

/** A ledger's source from files at hand; its checkpoint is the newest that an archive keeps where there is no other. */
export const ledgerOf = (files: Files): LedgerSource => ({
  place: files.place,
  async read(path, bytesMax) {
    if (path !== 'checkpoint' || (await files.list('')).includes(path))
      return files.read(path, bytesMax)
    return files.read((await archivedCheckpoints(files)).at(-1) ?? path, bytesMax)
  },
})
