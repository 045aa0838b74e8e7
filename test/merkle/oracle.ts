import { createHash } from 'node:crypto'
import { MerkleError } from '../../src/merkle/errors.ts'
import type { TileReader } from '../../src/merkle/proof.ts'

// RFC 6962 §2.1 as it is written, by recursion over lists of leaf hashes, with nothing of
// src/merkle in it. Only the memory of hashes already computed is added, so that every size can be
// tried.

export interface Oracle {
  /** MTH(D[start:end]). */
  root(start: number, end: number): Uint8Array
  /** PATH(m, D[0:n]), each hash with the side it stands on. */
  path(m: number, n: number): { hash: Uint8Array; side: 'left' | 'right' }[]
  /** PROOF(m, D[0:n]). */
  proof(m: number, n: number): Uint8Array[]
  /** Tiles by their definition in tlog-tiles; `asked` are the paths read. */
  reader(size: number): TileReader & { readonly asked: string[] }
}

export function sha256(...parts: (Uint8Array | string)[]): Uint8Array {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return Uint8Array.from(hash.digest())
}

/** `count` different leaf hashes. */
export function someLeaves(count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => sha256(Uint8Array.of(0), `entry ${i}`))
}

export function oracleOf(leaves: readonly Uint8Array[]): Oracle {
  const known = new Map<string, Uint8Array>()

  function root(start: number, end: number): Uint8Array {
    if (end === start) return sha256()
    const [only] = leaves.slice(start, start + 1)
    if (end - start === 1 && only !== undefined) return only
    const key = `${start}-${end}`
    const k = start + largestPowerBelow(end - start)
    const hash = known.get(key) ?? sha256(Uint8Array.of(1), root(start, k), root(k, end))
    known.set(key, hash)
    return hash
  }

  function path(m: number, start: number, end: number): ReturnType<Oracle['path']> {
    const n = end - start
    if (n === 1) return []
    const k = largestPowerBelow(n)
    return m < k
      ? [...path(m, start, start + k), { hash: root(start + k, end), side: 'right' }]
      : [...path(m - k, start + k, end), { hash: root(start, start + k), side: 'left' }]
  }

  function subproof(m: number, start: number, end: number, complete: boolean): Uint8Array[] {
    const n = end - start
    if (m === n) return complete ? [] : [root(start, end)]
    const k = largestPowerBelow(n)
    return m <= k
      ? [...subproof(m, start, start + k, complete), root(start + k, end)]
      : [...subproof(m - k, start + k, end, false), root(start, start + k)]
  }

  return {
    root,
    path: (m, n) => path(m, 0, n),
    proof: (m, n) => subproof(m, 0, n, true),
    reader(size) {
      const asked: string[] = []
      const tiles = new Map<string, Uint8Array>()
      return {
        asked,
        async readTile({ level, index, width }) {
          const name = `${level}/${index}/${width}`
          asked.push(name)
          const span = 256 ** level
          if (width < 1 || width !== Math.min(256, Math.floor(size / span) - index * 256)) {
            throw new Error(`a tree of ${size} has no tile ${name}`)
          }
          const starts = Array.from({ length: width }, (_, i) => (index * 256 + i) * span)
          const tile =
            tiles.get(name) ?? Buffer.concat(starts.map((start) => root(start, start + span)))
          tiles.set(name, tile)
          return tile
        },
      }
    },
  }
}

function largestPowerBelow(n: number): number {
  let k = 1
  while (k < n / 2) k *= 2
  return k
}

/** The code of the MerkleError that `act` throws. */
export function codeOf(act: () => unknown): string {
  try {
    act()
  } catch (error) {
    if (error instanceof MerkleError) return error.code
    throw error
  }
  return 'nothing thrown'
}
