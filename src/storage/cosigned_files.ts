import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { CosignedStore } from './cosigned.ts'
import { addNumbered, newestNumbered } from './numbered_files.ts'

/** Cosigned checkpoints in a folder that all witness processes of one machine share; each is a new file. */
export function openCosignedFiles(folder: string): CosignedStore {
  const folderOf = (origin: string) =>
    join(folder, createHash('sha256').update(origin).digest('hex'))
  return {
    async read(origin) {
      const found = await newestNumbered(folderOf(origin))
      return found && { version: found.number, note: found.content }
    },
    replace: (origin, old, note) => addNumbered(folderOf(origin), old?.version ?? 0, note),
  }
}
