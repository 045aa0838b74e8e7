import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { errorCode } from './error_code.ts'
import { makeFile } from './new_file.ts'

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

async function numbers(folder: string): Promise<number[]> {
  try {
    const names = await readdir(folder)
    return names
      .filter((name) => /^(0|[1-9][0-9]*)$/.test(name))
      .map(Number)
      .toSorted((a, b) => a - b)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return []
    throw error
  }
}
