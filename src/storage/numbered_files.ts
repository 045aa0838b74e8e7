import { createHash } from 'node:crypto'
import type { Dirent } from 'node:fs'
import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { errorCode } from './error_code.ts'
import { isUnnamed, makeFile } from './new_file.ts'

/** How many superseded files stay beside the newest. */
const kept = 8

/** The folder of its own that something has in another one, by its name: an origin, a vkey. */
export const folderOf = (folder: string, name: string): string =>
  join(folder, createHash('sha256').update(name).digest('hex'))

/** The newest file of a folder. */
export interface Numbered {
  readonly number: number
  readonly content: string
}

/** The newest file of a folder that `addNumbered` fills; undefined when there is none. */
export async function newestNumbered(folder: string): Promise<Numbered | undefined> {
  const number = (await numbers(folder)).at(-1)
  if (number === undefined) return undefined
  return { number, content: await readFile(join(folder, String(number)), 'utf8') }
}

/**
 * Adds the file after `number`, durably, and keeps some of those before; false when it is there already. Processes of one machine
 * may share the folder: a file is made only if its number is not taken. That is the compare-and-swap.
 */
export async function addNumbered(
  folder: string,
  number: number,
  content: string,
): Promise<boolean> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const next = number + 1
  if (!(await makeFile(join(folder, String(next)), content, { unnamed: folder, mode: 0o600 })))
    return false
  // A process that slept since it looked may have taken a number that was pruned: then a higher one is there.
  if ((await numbers(folder)).at(-1) !== next) return false
  for (const past of (await numbers(folder)).slice(0, -kept))
    await rm(join(folder, String(past)), { force: true })
  return true
}

/**
 * The path of something that neither `folderOf` nor `addNumbered` made, in a folder that has `levels` levels of the former's above
 * the latter's files; undefined when there is none.
 */
export async function foreignIn(folder: string, levels: number): Promise<string | undefined> {
  for (const entry of await entriesOf(folder)) {
    const path = join(folder, entry.name)
    if (!(levels > 0 ? isFolderOf(entry) : isNumberedFile(entry))) return path
    const found = levels > 0 ? await foreignIn(path, levels - 1) : undefined
    if (found !== undefined) return found
  }
  return undefined
}

const isFolderOf = (entry: Dirent) => entry.isDirectory() && /^[0-9a-f]{64}$/.test(entry.name)

const isNumberedFile = (entry: Dirent) =>
  entry.isFile() && (isNumber(entry.name) || isUnnamed(entry.name))

const isNumber = (name: string) => /^(0|[1-9][0-9]*)$/.test(name)

async function numbers(folder: string): Promise<number[]> {
  return (await entriesOf(folder))
    .map(({ name }) => name)
    .filter(isNumber)
    .map(Number)
    .toSorted((a, b) => a - b)
}

/** None of a folder that is not there. */
async function entriesOf(folder: string): Promise<Dirent[]> {
  try {
    return await readdir(folder, { withFileTypes: true })
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return []
    throw error
  }
}
