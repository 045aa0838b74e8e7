import { openMarkDatabase } from './mark_database.ts'
import { openMarkFiles } from './mark_files.ts'
import type { MarkStore } from './marks.ts'

/** The marks at a place: the URL of a database, or a folder. */
export function openMarks(place: string): { store: MarkStore; close(): Promise<void> } {
  if (/^postgres(ql)?:/.test(place)) {
    const store = openMarkDatabase(place)
    return { store, close: store.close }
  }
  return { store: openMarkFiles(place), close: () => Promise.resolve() }
}
