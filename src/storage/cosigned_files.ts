import type { CosignedStore } from './cosigned.ts'
import { addNumbered, folderOfOrigin, newestNumbered } from './numbered_files.ts'

/** Cosigned checkpoints in a folder that all witness processes of one machine share; each is a new file. */
export function openCosignedFiles(folder: string): CosignedStore {
  return {
    async read(origin) {
      const found = await newestNumbered(folderOfOrigin(folder, origin))
      return found && { version: found.number, note: found.content }
    },
    replace: (origin, old, note) =>
      addNumbered(folderOfOrigin(folder, origin), old?.version ?? 0, note),
  }
}
