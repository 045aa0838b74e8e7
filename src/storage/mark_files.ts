import { createHash, randomUUID } from 'node:crypto'
import { link, mkdir, open, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { errorCode } from './error_code.ts'
import type { Mark, MarkStore } from './marks.ts'

/** How many superseded marks stay beside the newest. */
const kept = 8

/**
 * Marks in a folder that all broker processes of one machine share. Each move is a new file, numbered one above the last and
 * made by `link`, which fails when the number is taken: that is the compare-and-swap. Files are never written over.
 */
export function openMarkFiles(folder: string): MarkStore {
  const folderOf = (origin: string) =>
    join(folder, createHash('sha256').update(origin).digest('hex'))
  return {
    async read(origin) {
      return (await newest(folderOf(origin)))?.mark
    },
    async replace(origin, old, next) {
      const own = folderOf(origin)
      await mkdir(own, { recursive: true, mode: 0o700 })
      const found = await newest(own)
      if (!same(found?.mark, old)) return false
      const number = (found?.number ?? 0) + 1
      if (!(await publish(own, number, next))) return false
      // A process that slept since it looked may have taken a number that was pruned: then a higher one is there.
      if ((await numbers(own)).at(-1) !== number) return false
      for (const past of (await numbers(own)).slice(0, -kept))
        await rm(join(own, String(past)), { force: true })
      return true
    },
  }
}

const same = (a: Mark | undefined, b: Mark | undefined) =>
  a?.size === b?.size && a?.root === b?.root

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

/** A mark that cannot be read stands ahead of every ledger, so that nothing is signed until someone has looked. */
const damaged: Mark = { size: Number.MAX_SAFE_INTEGER, root: 'damaged' }

async function newest(folder: string): Promise<{ number: number; mark: Mark } | undefined> {
  const number = (await numbers(folder)).at(-1)
  if (number === undefined) return undefined
  const [size, root] = (await readFile(join(folder, String(number)), 'utf8')).split('\n')
  if (!/^(0|[1-9]\d{0,15})$/.test(size ?? '') || !/^[A-Za-z0-9+/]{43}=$/.test(root ?? ''))
    return { number, mark: damaged }
  return { number, mark: { size: Number(size), root: root ?? '' } }
}

async function publish(folder: string, number: number, mark: Mark): Promise<boolean> {
  const temporary = join(folder, `.${randomUUID()}`)
  const file = await open(temporary, 'wx', 0o600)
  try {
    await file.writeFile(`${mark.size}\n${mark.root}\n`)
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
