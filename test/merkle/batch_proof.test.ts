import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { foldBatch, proveBatch } from '../../src/merkle/batch_proof.ts'
import { ProofError } from '../../src/merkle/errors.ts'
import { equalBytes, type Hash } from '../../src/merkle/hash.ts'
import { proveInclusion } from '../../src/merkle/proof.ts'
import { nodeHasher as hasher } from '../../src/storage/node_crypto.ts'
import { oracleOf, someLeaves } from './oracle.ts'

const size_max = 700
const leaves = someLeaves(size_max)
const oracle = oracleOf(leaves)

async function prove(indices: readonly number[], size: number): Promise<Hash[]> {
  const hashes: Hash[] = []
  for await (const hash of proveBatch(hasher, oracle.reader(size), { indices, size }))
    hashes.push(hash)
  return hashes
}

/** The root that leaves at these indices and a proof give. */
function fold(
  taken: readonly (readonly [index: number, leaf: Hash])[],
  { size, proof }: { size: number; proof: readonly Hash[] },
): Hash {
  const rest = [...proof]
  const folding = foldBatch(hasher, { size, nextHash: () => rest.shift() })
  for (const [index, leaf] of taken) folding.add(index, leaf)
  return folding.root()
}

const leavesAt = (indices: readonly number[]) =>
  indices.map((index) => [index, leaves[index] ?? Uint8Array.of()] as const)

const rootAt = (size: number) => oracle.root(0, size)

/** A size, and some of its indices in order. */
const batch = fc.integer({ min: 0, max: size_max }).chain((size) =>
  fc.tuple(
    fc.constant(size),
    fc
      .uniqueArray(fc.integer({ min: 0, max: Math.max(0, size - 1) }), {
        maxLength: Math.min(size, 60),
      })
      .map((indices) => indices.toSorted((a, b) => a - b)),
  ),
)

/** Whether it gives the root; if it cannot, it says so in one way. */
function holds(act: () => Hash, root: Hash): boolean {
  try {
    return equalBytes(act(), root)
  } catch (error) {
    expect(error).toBeInstanceOf(ProofError)
    return false
  }
}

describe('a batch proof', () => {
  it('gives the root, of any leaves of any tree', async () => {
    await fc.assert(
      fc.asyncProperty(batch, async ([size, indices]) => {
        const proof = await prove(indices, size)
        expect(fold(leavesAt(indices), { size, proof })).toEqual(rootAt(size))
      }),
    )
  })

  it('of one leaf has the hashes of its inclusion proof', async () => {
    for (const size of [1, 2, 3, 7, 8, 255, 256, 257, 512, 700])
      for (const index of new Set([0, 1, Math.floor(size / 2), size - 2, size - 1])) {
        if (index < 0 || index >= size) continue
        const sorted = (hashes: readonly Hash[]) =>
          hashes.map((hash) => Buffer.from(hash).toString('hex')).toSorted()
        const single = await proveInclusion(hasher, oracle.reader(size), { index, size })
        expect(sorted(await prove([index], size))).toEqual(sorted(single))
      }
  })

  it('never has more hashes than the inclusion proofs of its leaves have different ones', async () => {
    await fc.assert(
      fc.asyncProperty(batch, async ([size, indices]) => {
        fc.pre(indices.length > 0)
        const reader = oracle.reader(size)
        const single = await Promise.all(
          indices.map((index) => proveInclusion(hasher, reader, { index, size })),
        )
        const different = new Set(single.flat().map((hash) => Buffer.from(hash).toString('hex')))
        expect((await prove(indices, size)).length).toBeLessThanOrEqual(different.size)
      }),
      { numRuns: 40 },
    )
  })

  it('of a range has at most two hashes for each level, and none for all leaves', async () => {
    const between = (from: number, to: number) =>
      Array.from({ length: to - from }, (_, i) => from + i)
    for (const [from, to] of [
      [0, 1],
      [5, 600],
      [255, 257],
      [511, 700],
      [1, 699],
    ] as const)
      expect((await prove(between(from, to), 700)).length).toBeLessThanOrEqual(20)
    expect(await prove(between(0, 700), 700)).toEqual([])
    expect(await prove([], 700)).toEqual([rootAt(700)])
    expect(await prove([], 0)).toEqual([])
    expect(fold([], { size: 0, proof: [] })).toEqual(rootAt(0))
  })

  it('holds for no other leaves, places or hashes', async () => {
    await fc.assert(
      fc.asyncProperty(
        batch,
        fc.nat(),
        fc.constantFrom('leaf', 'index', 'hash', 'drop', 'add', 'swap', 'omit'),
        async ([size, indices], pick, how) => {
          fc.pre(indices.length > 0)
          const proof = await prove(indices, size)
          const taken = leavesAt(indices).map(([index, leaf]) => [index, leaf] as [number, Hash])
          const other = hasher.sha256(Uint8Array.of(pick % 256))
          const at = pick % taken.length
          if (how === 'leaf') taken[at] = [taken[at]?.[0] ?? 0, other]
          else if (how === 'index') taken[at] = [(taken[at]?.[0] ?? 0) + 1, taken[at]?.[1] ?? other]
          else if (how === 'hash' && proof.length > 0) proof[pick % proof.length] = other
          else if (how === 'drop' && proof.length > 0) proof.splice(pick % proof.length, 1)
          else if (how === 'add') proof.splice(pick % (proof.length + 1), 0, other)
          else if (how === 'swap' && proof.length > 1) proof.unshift(proof.pop() ?? other)
          else if (how === 'omit') taken.splice(at, 1)
          else return
          expect(holds(() => fold(taken, { size, proof }), rootAt(size))).toBe(false)
        },
      ),
      { numRuns: 400 },
    )
  })

  it('is of leaves in order, inside the tree', async () => {
    for (const indices of [[3, 2], [2, 2], [-1], [10], [1.5]])
      await expect(prove(indices, 10)).rejects.toThrow(ProofError)
  })
})
