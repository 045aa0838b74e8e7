import type { CosignedStore } from './cosigned.ts'
import { addNumbered, folderOf, foreignIn, newestNumbered } from './numbered_files.ts'
import { StateUnfit } from './state_unfit.ts'

/** What the key of `vkey` cosigned, in a folder that all witness processes of one machine share; each note is a new file. */
export function openCosignedFiles(folder: string, vkey: string): CosignedStore {
  const own = (origin: string) => folderOf(folderOf(folder, vkey), origin)
  return {
    async check() {
      const found = await foreignIn(folder, 2)
      if (found !== undefined) throw new StateUnfit(`there is ${found}, which no witness made`)
    },
    async begin(origins) {
      for (const origin of origins)
        if ((await newestNumbered(own(origin))) !== undefined) return false
      for (const origin of origins)
        if (!(await addNumbered(own(origin), begun - 1, ''))) return false
      return true
    },
    async read(origin) {
      const found = await newestNumbered(own(origin))
      if (found === undefined) return undefined
      return { version: found.number, note: found.number === begun ? undefined : found.content }
    },
    replace: (origin, old, note) => addNumbered(own(origin), old.version, note),
  }
}

/** The number of the file that is there before the first note. */
const begun = 0
