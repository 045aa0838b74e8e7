import { randomUUID } from 'node:crypto'
import { link, mkdir, open, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { errorCode } from './error_code.ts'

/** How many superseded files stay beside the newest. */
const kept = 8

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
 * may share the folder: a file is made by `link`, which fails when its number is taken, and is never written over. That is the
 * compare-and-swap.
 */
export async function addNumbered(
  folder: string,
  number: number,
  content: string,
): Promise<boolean> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const next = number + 1
  if (!(await publish(folder, next, content))) return false
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
      .filter((name) => /^[1-9][0-9]*$/.test(name))
      .map(Number)
      .toSorted((a, b) => a - b)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return []
    throw error
  }
}

async function publish(folder: string, number: number, content: string): Promise<boolean> {
  const temporary = join(folder, `.${randomUUID()}`)
  const file = await open(temporary, 'wx', 0o600)
  try {
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
  try {
    await link(temporary, join(folder, String(number)))
    const directory = await open(folder)
    await directory.sync().finally(() => directory.close())
    return true
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false
    throw error
  } finally {
    await rm(temporary, { force: true })
  }
}
