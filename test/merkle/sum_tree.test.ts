import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import {
  checkSum,
  checkSumConsistency,
  checkSumRange,
  proveSum,
  proveSumConsistency,
  proveSumRange,
  type ReadSumTile,
  type SumHead,
} from '../../src/merkle/sum_proof.ts'
import {
  appendSum,
  checkSumNode,
  emptySumEdge,
  hashOfSum,
  sumEdgeFromBytes,
  sumEdgeToBytes,
  sumLeaf,
  sumNode,
  sumNodeOf,
  sumRoot,
  sumsOf,
  type SumNode,
} from '../../src/merkle/sum_tree.ts'
import { leafHash, nodeHash } from '../../src/merkle/tree.ts'
import { nodeHasher } from '../../src/storage/node_crypto.ts'
import { codeOf, sha256, someLeaves } from './oracle.ts'
import { bytesOf, summed, type Counted } from './sum_oracle.ts'
import { entries } from './vectors.ts'

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const max = Number.MAX_SAFE_INTEGER

/** Leaves that each count one of `k` things, some of them several times, and some nothing. */
const countedLeaves = (count: number, k = 3): Counted[] =>
  someLeaves(count).map((leaf, i) => ({
    leaf,
    sums: Array.from({ length: k }, (_, j) => (i % (k + 1) === j ? 1 + (i % 5) : 0)),
  }))

const leavesOf = (counted: readonly Counted[]): SumNode[] =>
  counted.map(({ sums, leaf }) => sumLeaf(nodeHasher, sums, leaf))

function rootOf(leaves: readonly SumNode[]): SumNode {
  const edge = emptySumEdge()
  for (const leaf of leaves) appendSum(nodeHasher, edge, leaf)
  return sumRoot(nodeHasher, edge)
}

const headOf = (leaves: readonly SumNode[]): SumHead => ({
  size: leaves.length,
  root: rootOf(leaves),
})

/** Tiles by their definition, of subtrees put together anew. */
const tilesOf =
  (leaves: readonly SumNode[]): ReadSumTile =>
  async ({ level, index, width }) =>
    Array.from({ length: width }, (_, i) => {
      const start = (index * 256 + i) * 256 ** level
      return rootOf(leaves.slice(start, start + 256 ** level))
    })

const counted = countedLeaves(300)
const leaves = leavesOf(counted)
const oracle = (start: number, end: number) => summed(counted.slice(start, end))

describe('the vectors', () => {
  const vector = [
    [1, 1, 0, 0],
    [0, 0, 0, 0],
    [1, 1, 0, 0],
    [1, 0, 1, 0],
    [1, 1, 0, 0],
  ].map((sums, i) => sumLeaf(nodeHasher, sums, leafHash(nodeHasher, entries[i] ?? Buffer.of())))

  it('give leaf 0 and the root of all five', () => {
    expect(hex(hashOfSum(vector[0] ?? Buffer.of()))).toBe(
      'e6bb029250de3dc2f787545a429f4b33b7187e2f5f52f9b89c85b21187136c44',
    )
    const root = rootOf(vector)
    expect(sumsOf(root)).toEqual([4, 3, 1, 0])
    expect(hex(hashOfSum(root))).toBe(
      '00e0558477d8eb66d2fb18b487c75003783b298e2b14fcd5bc0a04ccec95965f',
    )
  })
})

describe('a sum tree', () => {
  it.each([1, 2, 3, 7, 8, 255, 256, 257, 300])('of %i leaves is that of the definition', (size) => {
    expect(hex(rootOf(leaves.slice(0, size)))).toBe(hex(bytesOf(oracle(0, size))))
  })

  it('completes the subtrees of 256 leaves, as the tree does', () => {
    const edge = emptySumEdge()
    const completed = leaves.flatMap((leaf) => appendSum(nodeHasher, edge, leaf))
    expect(completed).toEqual([{ level: 1, index: 0, node: bytesOf(oracle(0, 256)) }])
  })

  it('can be put down and taken up again at any size', () => {
    for (const size of [0, 1, 2, 3, 255, 256, 299]) {
      const edge = emptySumEdge()
      for (const leaf of leaves.slice(0, size)) appendSum(nodeHasher, edge, leaf)
      expect(sumEdgeFromBytes(size, sumEdgeToBytes(edge), 3)).toEqual(edge)
    }
    expect(codeOf(() => sumEdgeFromBytes(3, new Uint8Array(56), 3))).toBe('sum')
  })

  it('has no root without leaves', () => {
    expect(codeOf(() => sumRoot(nodeHasher, emptySumEdge()))).toBe('sum')
  })
})

describe('what is counted', () => {
  const leaf = sha256('an entry')

  it.each([[-1], [0.5], [NaN], [Infinity], [max + 1]])('is never %p', (sum) => {
    expect(codeOf(() => sumLeaf(nodeHasher, [0, sum], leaf))).toBe('sum')
  })

  it('is at least one thing, and at most 64', () => {
    const zeros = (length: number) => Array.from({ length }, () => 0)
    expect(sumsOf(sumLeaf(nodeHasher, zeros(64), leaf))).toHaveLength(64)
    for (const length of [0, 65])
      expect(codeOf(() => sumLeaf(nodeHasher, zeros(length), leaf))).toBe('sum')
    expect(codeOf(() => sumLeaf(nodeHasher, [1], leaf.subarray(1)))).toBe('sum')
  })

  it('adds up to 2^53 - 1 and not beyond', () => {
    const half = sumLeaf(nodeHasher, [2 ** 52], leaf)
    const rest = sumLeaf(nodeHasher, [2 ** 52 - 1], leaf)
    expect(sumsOf(sumNode(nodeHasher, half, rest))).toEqual([max])
    expect(codeOf(() => sumNode(nodeHasher, half, half))).toBe('sum')
  })

  it('is refused from outside where it is too large, or of other things', () => {
    const node = sumNodeOf([max, 0], leaf)
    expect(checkSumNode(node, 2)).toEqual(node)
    const large = Uint8Array.from(node)
    large[1] = 0x20
    expect(codeOf(() => checkSumNode(large, 2))).toBe('sum')
    for (const k of [1, 3]) expect(codeOf(() => checkSumNode(node, k))).toBe('sum')
    expect(codeOf(() => sumNode(nodeHasher, node, sumNodeOf([1], leaf)))).toBe('sum')
  })
})

describe('proofs', () => {
  const sizes = fc.integer({ min: 1, max: 300 })

  it('hold for every entry of any tree, and say what each range adds up to', async () => {
    await fc.assert(
      fc.asyncProperty(sizes, fc.nat(299), fc.nat(299), async (size, one, other) => {
        const tree = headOf(leaves.slice(0, size))
        const readTile = tilesOf(leaves.slice(0, size))
        const [start, last] = [one % size, other % size].toSorted((a, b) => a - b)
        const range = { start: start ?? 0, end: (last ?? 0) + 1 }
        const { nodes: proof, sums } = await proveSumRange(nodeHasher, readTile, { range, size })
        expect(sums).toEqual(oracle(range.start, range.end).sums)
        expect(checkSumRange(nodeHasher, { range, tree, proof })).toEqual(
          oracle(range.start, range.end).sums,
        )
        const index = range.start
        const path = await proveSum(nodeHasher, readTile, { index, size })
        checkSum(nodeHasher, { leaf: leaves[index] ?? Buffer.of(), index, tree, proof: path })
      }),
      { numRuns: 60 },
    )
  })

  it('hold between any two trees', async () => {
    await fc.assert(
      fc.asyncProperty(sizes, sizes, async (one, other) => {
        const [from = 1, to = 1] = [one, other].toSorted((a, b) => a - b)
        const readTile = tilesOf(leaves.slice(0, to))
        const proof = await proveSumConsistency(nodeHasher, readTile, { from, to })
        const trees = { from: headOf(leaves.slice(0, from)), to: headOf(leaves.slice(0, to)) }
        checkSumConsistency(nodeHasher, { ...trees, proof })
        const lie = sumLeaf(nodeHasher, [9, 9, 9], sha256('another'))
        const forked = headOf([...leaves.slice(0, from - 1), lie])
        expect(
          codeOf(() => checkSumConsistency(nodeHasher, { ...trees, from: forked, proof })),
        ).toBe('proof')
      }),
      { numRuns: 40 },
    )
  })

  it('fail when any bit of them is changed', async () => {
    const tree = headOf(leaves.slice(0, 7))
    const readTile = tilesOf(leaves.slice(0, 7))
    const range = { start: 2, end: 5 }
    const { nodes } = await proveSumRange(nodeHasher, readTile, { range, size: 7 })
    const path = await proveSum(nodeHasher, readTile, { index: 2, size: 7 })
    const leaf = leaves[2] ?? Buffer.of()
    for (let bit = 0; bit < leaf.length * 8; bit++) {
      const flip = (all: readonly SumNode[]) => [flipped(all[0] ?? leaf, bit), ...all.slice(1)]
      for (const check of [
        () => checkSumRange(nodeHasher, { range, tree, proof: flip(nodes) }),
        () => checkSum(nodeHasher, { leaf, index: 2, tree, proof: flip(path) }),
        () => checkSum(nodeHasher, { leaf: flipped(leaf, bit), index: 2, tree, proof: path }),
        () =>
          checkSumRange(nodeHasher, {
            range,
            tree: { ...tree, root: flipped(tree.root, bit) },
            proof: nodes,
          }),
      ])
        expect(['proof', 'sum']).toContain(codeOf(check))
    }
  })

  it('are refused outside of the tree', async () => {
    const tree = headOf(leaves.slice(0, 7))
    const readTile = tilesOf(leaves.slice(0, 7))
    for (const [start, end] of [
      [0, 8],
      [7, 8],
      [3, 3],
      [4, 3],
      [-1, 2],
      [0.5, 2],
    ] as const) {
      const range = { start, end }
      await expect(proveSumRange(nodeHasher, readTile, { range, size: 7 })).rejects.toThrow()
      expect(codeOf(() => checkSumRange(nodeHasher, { range, tree, proof: [] }))).toBe('proof')
    }
  })
})

describe('attacks', () => {
  const size = 5
  const five = leaves.slice(0, size)
  const tree = headOf(five)
  const readTile = tilesOf(five)

  it('of two who count one each, neither can be told that the other counts none', () => {
    const [one, other] = [sha256('user a'), sha256('user b')]
    const [hers, his] = [sumLeaf(nodeHasher, [1], one), sumLeaf(nodeHasher, [1], other)]
    const honest = sumNode(nodeHasher, hers, his)
    const told = (sibling: SumNode) => sumNodeOf([0], hashOfSum(sibling))
    const lie = { size: 2, root: sumNodeOf([1], hashOfSum(honest)) }
    for (const [leaf, index, sibling] of [
      [hers, 0, his],
      [his, 1, hers],
    ] as const)
      expect(
        codeOf(() => checkSum(nodeHasher, { leaf, index, tree: lie, proof: [told(sibling)] })),
      ).toBe('proof')
  })

  it('a leaf is taken for no node, nor a node for a leaf', async () => {
    const inner = sumNode(nodeHasher, five[0] ?? tree.root, five[1] ?? tree.root)
    const proof = (await proveSum(nodeHasher, readTile, { index: 0, size })).slice(1)
    for (const index of [0, 1])
      expect(codeOf(() => checkSum(nodeHasher, { leaf: inner, index, tree, proof }))).toBe('proof')
    const asHash = nodeHash(nodeHasher, sha256('l'), sha256('r'))
    expect(hex(sumLeaf(nodeHasher, [0], asHash))).not.toBe(hex(sumNodeOf([0], asHash)))
  })

  it('an index or size other than the one proven is refused', async () => {
    const leaf = five[2] ?? tree.root
    const proof = await proveSum(nodeHasher, readTile, { index: 2, size })
    for (const index of [0, 1, 3, 4, 5, -1])
      expect(codeOf(() => checkSum(nodeHasher, { leaf, index, tree, proof }))).toBe('proof')
    for (const other of [2, 3, 4, 9, 300])
      expect(
        codeOf(() =>
          checkSum(nodeHasher, { leaf, index: 2, tree: { ...tree, size: other }, proof }),
        ),
      ).toBe('proof')
    const range = { start: 1, end: 3 }
    const { nodes } = await proveSumRange(nodeHasher, readTile, { range, size })
    for (const [start, end] of [
      [0, 3],
      [1, 4],
      [2, 3],
    ] as const)
      expect(
        codeOf(() => checkSumRange(nodeHasher, { range: { start, end }, tree, proof: nodes })),
      ).toBe('proof')
  })

  it('a leaf that counts right for another entry is refused', async () => {
    const leaf = sumLeaf(nodeHasher, counted[2]?.sums ?? [], sha256('another entry'))
    const proof = await proveSum(nodeHasher, readTile, { index: 2, size })
    expect(codeOf(() => checkSum(nodeHasher, { leaf, index: 2, tree, proof }))).toBe('proof')
  })

  it('sums moved from one node to another are refused, though the total stays', async () => {
    const range = { start: 0, end: 2 }
    const { nodes: proof } = await proveSumRange(nodeHasher, readTile, { range, size })
    const [inside, ...outside] = proof
    const next = outside[0]
    if (inside === undefined || next === undefined) throw new Error('too short a proof')
    const moved = (node: SumNode, by: number) => {
      const [first = 0, ...others] = sumsOf(node)
      return sumNodeOf([first + by, ...others], hashOfSum(node))
    }
    const lie = [moved(inside, -1), moved(next, 1), ...outside.slice(1)]
    expect(codeOf(() => checkSumRange(nodeHasher, { range, tree, proof: lie }))).toBe('proof')
  })
})

/** With one bit changed. */
function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const changed = Uint8Array.from(bytes)
  changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (0x80 >> (bit & 7))
  return changed
}
