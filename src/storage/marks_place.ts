import { openMarkDatabase } from './mark_database.ts'
import { openMarkFiles } from './mark_files.ts'
import type { MarkStore } from './marks.ts'

/** Whether a place is the URL of a database. */
export const isDatabaseUrl = (place: string): boolean => /^postgres(ql)?:/.test(place)

/** The marks at a place: the URL of a database, or a folder. */
export function openMarks(place: string): { store: MarkStore; close(): Promise<void> } {
  if (isDatabaseUrl(place)) {
    const store = openMarkDatabase(place)
    return { store, close: store.close }
  }
  return { store: openMarkFiles(place), close: () => Promise.resolve() }
}
