import { addNumbered, folderOf, newestNumbered } from './numbered_files.ts'
import type { Mark, MarkStore } from './marks.ts'

/** Marks in a folder that all broker processes of one machine share; each move is a new file. */
export function openMarkFiles(folder: string): MarkStore {
  return {
    async read(origin) {
      return (await newest(folderOf(folder, origin)))?.mark
    },
    async replace(origin, old, next) {
      const own = folderOf(folder, origin)
      const found = await newest(own)
      if (found?.mark.size !== old?.size || found?.mark.root !== old?.root) return false
      return addNumbered(own, found?.number ?? 0, `${next.size}\n${next.root}\n`)
    },
  }
}

/** A mark that cannot be read stands ahead of every ledger, so that nothing is signed until someone has looked. */
const damaged: Mark = { size: Number.MAX_SAFE_INTEGER, root: 'damaged' }

async function newest(folder: string): Promise<{ number: number; mark: Mark } | undefined> {
  const found = await newestNumbered(folder)
  if (found === undefined) return undefined
  const { number, content } = found
  const [size, root] = content.split('\n')
  if (!/^(0|[1-9]\d{0,15})$/.test(size ?? '') || !/^[A-Za-z0-9+/]{43}=$/.test(root ?? ''))
    return { number, mark: damaged }
  return { number, mark: { size: Number(size), root: root ?? '' } }
}
