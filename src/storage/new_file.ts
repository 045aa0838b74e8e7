import { randomUUID } from 'node:crypto'
import { link, open, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { errorCode } from './error_code.ts'

/** Whether a file is one that `makeFile` was killed over, by its name. */
export const isUnnamed = (name: string): boolean =>
  /^\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(name)

/**
 * Makes a file, durably, that is never seen half written; false when its name is taken. It is written under no name in the folder
 * `unnamed`, which is on the same disk, then named by `link`, which writes over nothing, whoever else tries at the same time.
 */
export async function makeFile(
  file: string,
  content: string | Uint8Array,
  { unnamed, mode }: { unnamed: string; mode: number },
): Promise<boolean> {
  const temporary = join(unnamed, `.${randomUUID()}`)
  const handle = await open(temporary, 'wx', mode)
  try {
    await handle.writeFile(content)
    await handle.sync()
  } finally {
    await handle.close()
  }
  try {
    await link(temporary, file)
    await syncFolder(dirname(file))
    return true
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false
    throw error
  } finally {
    await rm(temporary, { force: true })
  }
}

/** Makes the names in a folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder)
  await handle.sync().finally(() => handle.close())
}
