import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { formatCheckpoint } from '../../src/merkle/checkpoint.ts'
import type { Hash } from '../../src/merkle/hash.ts'
import { formatNote, signNote, type Note, type Signer } from '../../src/merkle/note.ts'
import type { TileReader } from '../../src/merkle/proof.ts'
import { encodeBundle, tilePath, tilesForSize, tileWidth } from '../../src/merkle/tiles.ts'
import { append, emptyEdge, leafHash, rootOf } from '../../src/merkle/tree.ts'
import { formatVkey, type Vkey } from '../../src/merkle/vkey.ts'
import { nodeHasher } from '../../src/storage/node_crypto.ts'

interface Key {
  readonly vkey: Vkey
  readonly signer: Signer
}

/** The signed checkpoint of these entries. */
export function checkpointOf(
  entries: readonly Uint8Array[],
  key: Key,
  {
    origin = key.vkey.name,
    cosigners = [],
  }: { origin?: string; cosigners?: readonly Signer[] } = {},
): string {
  const { edge } = treeOf(entries)
  const text = formatCheckpoint({ origin, size: edge.size, root: rootOf(nodeHasher, edge) })
  const unsigned: Note = { text, signatures: [] }
  return formatNote([key.signer, ...cosigners].reduce(signNote, unsigned))
}

/**
 * Writes a ledger's files (`checkpoint`, `tile/…`, `tile/entries/…`, `policy`) as an operator with the log's key would, whatever
 * the entries say. What was in the folder before is gone.
 */
export async function writeLedgerFolder(
  folder: string,
  entries: readonly Uint8Array[],
  key: Key,
  options: Parameters<typeof checkpointOf>[2] = {},
): Promise<void> {
  await rm(folder, { recursive: true, force: true })
  const write = async (path: string, content: string | Uint8Array) => {
    const file = join(folder, path)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, content)
  }
  await write('checkpoint', checkpointOf(entries, key, options))
  await write('policy', policyOf(key))
  const { levels } = treeOf(entries)
  for (const tile of tilesForSize(entries.length)) {
    const { level, index, width } = tile
    const range = [index * tileWidth, index * tileWidth + width] as const
    await write(tilePath(tile), Buffer.concat(levels[level]?.slice(...range) ?? []))
    if (level === 0)
      await write(tilePath({ ...tile, level: 'entries' }), encodeBundle(entries.slice(...range)))
  }
}

/** The tiles of the tree over these entries. */
export function tilesOf(entries: readonly Uint8Array[]): TileReader {
  const { levels } = treeOf(entries)
  return {
    readTile: async ({ level, index, width }) =>
      Buffer.concat(levels[level]?.slice(index * tileWidth, index * tileWidth + width) ?? []),
  }
}

/** A policy that trusts this log, and asks for no witness. */
export const policyOf = ({ vkey }: Pick<Key, 'vkey'>) => `log ${formatVkey(vkey)}\nquorum none\n`

/** The right edge of a tree, and the hashes of its tiles by level. */
function treeOf(entries: readonly Uint8Array[]) {
  const edge = emptyEdge()
  const levels: Hash[][] = []
  for (const bytes of entries) {
    const leaf = leafHash(nodeHasher, bytes)
    const above = append(nodeHasher, edge, leaf)
    for (const { level, hash } of [{ level: 0, hash: leaf }, ...above])
      (levels[level] ??= []).push(hash)
  }
  return { edge, levels }
}
