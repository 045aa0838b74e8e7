import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { parseCheckpoint } from '../src/merkle/checkpoint.ts'
import { parseNote } from '../src/merkle/note.ts'
import { tilePath, tilesForSize } from '../src/merkle/tiles.ts'

/** Gets one of a ledger's files, byte for byte as it is served. */
export type GetFile = (path: string) => Promise<Response>

/**
 * Writes a ledger's files to a folder as they are served: `checkpoint`, `policy`, the hash tiles and the entry bundles of the
 * checkpoint's size. Returns what the checkpoint says; whether it is true is the verifier's to find out.
 */
export async function downloadLedger(
  folder: string,
  get: GetFile,
): Promise<{ origin: string; size: number; root: Uint8Array }> {
  const save = async (path: string): Promise<string> => {
    const response = await get(path)
    if (!response.ok) throw new Error(`${path}: ${response.status}`)
    const bytes = Buffer.from(await response.arrayBuffer())
    const file = join(folder, path)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, bytes)
    return bytes.toString('utf8')
  }
  const checkpoint = parseCheckpoint(parseNote(await save('checkpoint')).text)
  await save('policy')
  for (const tile of tilesForSize(checkpoint.size)) {
    await save(tilePath(tile))
    if (tile.level === 0) await save(tilePath({ ...tile, level: 'entries' }))
  }
  return checkpoint
}
