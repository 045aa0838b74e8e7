import { mkdir, readdir, readFile, stat } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'
import { equalBytes } from '../merkle/hash.ts'
import { ArchiveConflict, type Archive } from './archive.ts'
import { errorCode } from './error_code.ts'
import { makeFile, syncFolder } from './new_file.ts'

/** Where files are written before they have a name; hidden from whoever serves the folder, and from `list`. */
const incoming = '.incoming'

/**
 * An archive in a folder. Nothing is ever written over, and files are read-only (0444). What a crash leaves is in `.incoming` and
 * means nothing.
 */
export function archiveFolder(place: string): Archive {
  const root = resolve(place)
  return {
    place,
    async put(path, bytes) {
      const file = join(root, path)
      await makeFolder(dirname(file))
      const unnamed = join(root, incoming)
      await makeFolder(unnamed)
      const made = await makeFile(file, bytes, { unnamed, mode: 0o444 })
      if (!made && !equalBytes(await readFile(file), bytes)) throw new ArchiveConflict(place, path)
      // Whoever made it may have died before this.
      if (!made) await syncFolder(dirname(file))
      return made
    },
    async get(path, bytesMax) {
      const file = join(root, path)
      try {
        const found = await stat(file)
        if (found.size > bytesMax) throw new ArchiveConflict(place, path)
        return await readFile(file)
      } catch (error) {
        if (errorCode(error) === 'ENOENT') return undefined
        throw error
      }
    },
    async *list(folder, after = '') {
      for await (const file of filesUnder(join(root, folder))) {
        const path = relative(root, file)
        if (path > after) yield path
      }
    },
    owns: () => false,
    close: () => undefined,
  }
}

/** Makes a folder and those it is in, and their names durable. */
async function makeFolder(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true })
  if (first === undefined) return
  for (let made = folder; ; made = dirname(made)) {
    await syncFolder(dirname(made))
    if (made === first) return
  }
}

/** In the order of their paths: a folder sorts as its name with the `/` that follows it. */
async function* filesUnder(folder: string): AsyncGenerator<string> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return []
    throw error
  })
  const named = entries
    .filter(({ name }) => !name.startsWith('.'))
    .map((entry) => ({ entry, sorts: entry.isDirectory() ? `${entry.name}/` : entry.name }))
  for (const { entry } of named.toSorted((a, b) => (a.sorts < b.sorts ? -1 : 1))) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) yield* filesUnder(path)
    else yield path
  }
}
