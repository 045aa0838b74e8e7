import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { ProofError } from '../../src/merkle/errors.ts'
import {
  checkConsistency,
  checkInclusion,
  proveConsistency,
  proveInclusion,
  rootFromTiles,
} from '../../src/merkle/proof.ts'
import type { TileReader } from '../../src/merkle/proof.ts'
import { emptyRoot, leafHash, nodeHash } from '../../src/merkle/tree.ts'
import { nodeHasher } from '../../src/storage/node_crypto.ts'
import { codeOf, oracleOf, sha256, someLeaves } from './oracle.ts'
import { consistency3to5, entries, inclusion2of5, roots } from './vectors.ts'

const sizeMax = 1_100
const leaves = someLeaves(sizeMax)
const oracle = oracleOf(leaves)

const leafAt = (index: number) => oracle.root(index, index + 1)
const treeAt = (size: number) => ({ size, root: oracle.root(0, size) })
const inclusionAt = (index: number, size: number) => ({
  leaf: leafAt(index),
  index,
  tree: treeAt(size),
  proof: oracle.path(index, size).map(({ hash }) => hash),
})
const consistencyAt = (from: number, to: number) => ({
  from: treeAt(from),
  to: treeAt(to),
  proof: from === 0 ? [] : oracle.proof(from, to),
})

/** Whether a check passes. When it does not, it says so in one way only. */
function holds(check: () => void): boolean {
  const code = codeOf(check)
  expect(['nothing thrown', 'proof']).toContain(code)
  return code === 'nothing thrown'
}

const inclusionHolds = (claim: Parameters<typeof checkInclusion>[1]) =>
  holds(() => checkInclusion(nodeHasher, claim))
const consistencyHolds = (claim: Parameters<typeof checkConsistency>[1]) =>
  holds(() => checkConsistency(nodeHasher, claim))

/**
 * All numbers below 20, the neighbours of powers of two, and the last ones: where proofs change
 * shape.
 */
function turningPoints(below: number): number[] {
  const points = new Set(Array.from({ length: 20 }, (_, i) => i))
  for (let power = 32; power < below; power *= 2) {
    for (const point of [power - 1, power, power + 1, power + power / 2]) points.add(point)
  }
  for (const point of [below - 3, below - 2, below - 1]) points.add(point)
  return [...points].filter((point) => point >= 0 && point < below)
}

/** Hashes as one text, which jest compares many times faster than arrays. */
const hex = (hashes: readonly Uint8Array[]) => Buffer.concat(hashes).toString('hex')

function corrupt(bytes: Uint8Array, at: number): Uint8Array {
  return bytes.map((byte, i) => (i === at ? byte ^ 1 : byte))
}

const large = oracleOf(someLeaves(65_537))

describe('the vectors', () => {
  const [, , third] = entries
  const leaf = leafHash(nodeHasher, third ?? new Uint8Array(0))
  const [, , root3 = sha256(), , root5 = sha256()] = roots
  const five = oracleOf(entries.map((entry) => leafHash(nodeHasher, entry)))

  it('are the proofs we make', async () => {
    expect(await proveInclusion(nodeHasher, five.reader(5), { index: 2, size: 5 })).toEqual(
      inclusion2of5,
    )
    expect(await proveConsistency(nodeHasher, five.reader(5), { from: 3, to: 5 })).toEqual(
      consistency3to5,
    )
    expect(await rootFromTiles(nodeHasher, five.reader(5), 5)).toEqual(root5)
  })

  it('are proofs we accept', () => {
    const tree = { size: 5, root: root5 }
    checkInclusion(nodeHasher, { leaf, index: 2, tree, proof: inclusion2of5 })
    const from = { size: 3, root: root3 }
    checkConsistency(nodeHasher, { from, to: tree, proof: consistency3to5 })
  })
})

describe('proofs from tiles', () => {
  it('are those of RFC 6962 for every entry of every tree up to 100', async () => {
    for (let size = 1; size <= 100; size++) {
      const reader = oracle.reader(size)
      for (let index = 0; index < size; index++) {
        const claim = inclusionAt(index, size)
        const made = await proveInclusion(nodeHasher, reader, { index, size })
        expect(hex(made)).toBe(hex(claim.proof))
        checkInclusion(nodeHasher, claim)
      }
    }
  })

  it('are those of RFC 6962 between every two trees up to 100', async () => {
    for (let to = 0; to <= 100; to++) {
      const reader = oracle.reader(to)
      for (let from = 0; from <= to; from++) {
        const claim = consistencyAt(from, to)
        const made = await proveConsistency(nodeHasher, reader, { from, to })
        expect(hex(made)).toBe(hex(claim.proof))
        checkConsistency(nodeHasher, claim)
      }
    }
  })

  it('are those of RFC 6962 at the turning points of every tree up to 1,100', async () => {
    for (let size = 101; size <= sizeMax; size += 17) {
      const reader = oracle.reader(size)
      expect(await rootFromTiles(nodeHasher, reader, size)).toEqual(oracle.root(0, size))
      for (const point of turningPoints(size)) {
        const inclusion = inclusionAt(point, size)
        const made = await proveInclusion(nodeHasher, reader, { index: point, size })
        expect(hex(made)).toBe(hex(inclusion.proof))
        checkInclusion(nodeHasher, inclusion)
        const consistency = consistencyAt(point, size)
        const range = { from: point, to: size }
        const madeFrom = await proveConsistency(nodeHasher, reader, range)
        expect(hex(madeFrom)).toBe(hex(consistency.proof))
        checkConsistency(nodeHasher, consistency)
      }
    }
  })

  it.each([255, 256, 257, 65_535, 65_536, 65_537])(
    'are those of RFC 6962 around full tiles, at size %i',
    async (size) => {
      const reader = large.reader(size)
      const tree = { size, root: large.root(0, size) }
      expect(await rootFromTiles(nodeHasher, reader, size)).toEqual(tree.root)
      for (const point of turningPoints(size)) {
        const proof = await proveInclusion(nodeHasher, reader, { index: point, size })
        expect(proof).toEqual(large.path(point, size).map(({ hash }) => hash))
        const leaf = large.root(point, point + 1)
        checkInclusion(nodeHasher, { leaf, index: point, tree, proof })
        if (point === 0) continue
        const consistency = await proveConsistency(nodeHasher, reader, { from: point, to: size })
        expect(consistency).toEqual(large.proof(point, size))
        const from = { size: point, root: large.root(0, point) }
        checkConsistency(nodeHasher, { from, to: tree, proof: consistency })
      }
    },
  )

  it('read each tile once, and of the last one only what the tree fills', async () => {
    const reader = oracle.reader(1_000)
    await proveInclusion(nodeHasher, reader, { index: 700, size: 1_000 })
    expect(reader.asked.toSorted()).toEqual(['0/2/256', '0/3/232', '1/0/3'])
  })

  it('need no tile for the empty tree', async () => {
    const reader = oracle.reader(0)
    expect(await rootFromTiles(nodeHasher, reader, 0)).toEqual(emptyRoot(nodeHasher))
    expect(await proveConsistency(nodeHasher, reader, { from: 0, to: 0 })).toEqual([])
    expect(reader.asked).toEqual([])
  })

  it('are refused for entries and trees that are not there', async () => {
    const reader = oracle.reader(5)
    for (const [index, size] of [
      [5, 5],
      [-1, 5],
      [0.5, 5],
      [0, 0],
      [0, -1],
      [0, 2 ** 53],
    ] as const) {
      await expect(proveInclusion(nodeHasher, reader, { index, size })).rejects.toThrow(ProofError)
    }
    for (const [from, to] of [
      [6, 5],
      [-1, 5],
      [1.5, 5],
      [1, 2 ** 53],
      [Number.NaN, 5],
    ] as const) {
      await expect(proveConsistency(nodeHasher, reader, { from, to })).rejects.toThrow(ProofError)
    }
    await expect(rootFromTiles(nodeHasher, reader, -1)).rejects.toThrow(ProofError)
    expect(reader.asked).toEqual([])
  })

  it('are refused when a tile has the wrong length', async () => {
    const readTile: TileReader['readTile'] = async (tile) => new Uint8Array(tile.width * 32 + 32)
    const proof = proveInclusion(nodeHasher, { readTile }, { index: 0, size: 5 })
    await expect(proof).rejects.toMatchObject({ code: 'tile' })
  })

  it('pass on the failure to read a tile', async () => {
    const readTile = () => Promise.reject(new Error('no such tile'))
    const proof = proveInclusion(nodeHasher, { readTile }, { index: 0, size: 1_000 })
    await expect(proof).rejects.toThrow('no such tile')
  })

  it('fail their check when a tile was false', async () => {
    const honest = oracle.reader(300)
    const readTile: TileReader['readTile'] = async (tile) =>
      corrupt(await honest.readTile(tile), 40)
    const proof = await proveInclusion(nodeHasher, { readTile }, { index: 0, size: 300 })
    expect(inclusionHolds({ ...inclusionAt(0, 300), proof })).toBe(false)
  })
})

describe('a check of inclusion', () => {
  const claims = fc
    .integer({ min: 1, max: sizeMax })
    .chain((size) => fc.integer({ min: 0, max: size - 1 }).map((index) => inclusionAt(index, size)))

  it('fails when any bit of the proof, the leaf or the root is changed', () => {
    fc.assert(
      fc.property(claims, fc.nat(), fc.nat({ max: 31 }), (claim, pick, at) => {
        const { leaf, tree, proof } = claim
        const i = pick % (proof.length + 2)
        const changed = {
          ...claim,
          proof: proof.map((hash, j) => (i === j ? corrupt(hash, at) : hash)),
          leaf: i === proof.length ? corrupt(leaf, at) : leaf,
          tree: i > proof.length ? { ...tree, root: corrupt(tree.root, at) } : tree,
        }
        expect(inclusionHolds(claim)).toBe(true)
        expect(inclusionHolds(changed)).toBe(false)
      }),
    )
  })

  it('fails for any other index', () => {
    fc.assert(
      fc.property(claims, fc.integer({ min: -2, max: sizeMax + 2 }), (claim, index) => {
        expect(inclusionHolds({ ...claim, index })).toBe(index === claim.index)
      }),
    )
  })

  it('fails for any other size in which the path to the entry turns differently', () => {
    // The root alone does not tell sizes apart; the signature on the checkpoint binds the two
    // together.
    const turns = (index: number, size: number) =>
      index < size ? oracle.path(index, size).map(({ side }) => side) : undefined
    fc.assert(
      fc.property(claims, fc.integer({ min: 0, max: sizeMax }), (claim, size) => {
        const { index, tree } = claim
        const sameTurns = String(turns(index, size)) === String(turns(index, tree.size))
        const accepted = inclusionHolds({ ...claim, tree: { size, root: tree.root } })
        expect(accepted).toBe(sameTurns && index < size)
      }),
    )
  })

  it('fails when a hash is left out, added or moved', () => {
    fc.assert(
      fc.property(claims, fc.nat(), (claim, pick) => {
        const { proof } = claim
        const i = pick % (proof.length + 1)
        const longer = proof.toSpliced(i, 0, sha256('more'))
        expect(inclusionHolds({ ...claim, proof: longer })).toBe(false)
        if (proof.length > 0) {
          expect(inclusionHolds({ ...claim, proof: proof.toSpliced(i, 1).slice(0, -1) })).toBe(
            false,
          )
        }
        if (proof.length > 1) {
          expect(inclusionHolds({ ...claim, proof: proof.toReversed() })).toBe(false)
        }
      }),
    )
  })

  it('takes an empty proof for the only entry of a tree, and for no other', () => {
    expect(inclusionHolds({ leaf: leafAt(0), index: 0, tree: treeAt(1), proof: [] })).toBe(true)
    // A leaf that equals the root is what a verifier without this rule lets through.
    const root = oracle.root(0, 5)
    expect(inclusionHolds({ leaf: root, index: 0, tree: { size: 5, root }, proof: [] })).toBe(false)
    expect(inclusionHolds({ leaf: leafAt(0), index: 0, tree: treeAt(0), proof: [] })).toBe(false)
  })

  it('does not take an inner node for an entry', () => {
    const leaf = oracle.root(0, 2)
    const proof = [oracle.root(2, 4)]
    expect(inclusionHolds({ leaf, index: 0, tree: treeAt(4), proof })).toBe(false)
    const entry = Buffer.concat([leafAt(0), leafAt(1)])
    expect(leafHash(nodeHasher, entry)).not.toEqual(leaf)
  })

  it('fails for hashes that are not 32 bytes', () => {
    const claim = inclusionAt(2, 5)
    const proof = claim.proof.map((hash) => hash.subarray(1))
    expect(inclusionHolds({ ...claim, proof })).toBe(false)
    expect(inclusionHolds({ ...claim, leaf: claim.leaf.subarray(1) })).toBe(false)
  })

  it('fails for an index or size that is no index or size', () => {
    const claim = inclusionAt(0, 1)
    for (const index of [-1, 1, 0.5, Number.NaN, 2 ** 53]) {
      expect(inclusionHolds({ ...claim, index })).toBe(false)
    }
    for (const size of [-1, 0, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
      expect(inclusionHolds({ ...claim, tree: { ...claim.tree, size } })).toBe(false)
    }
  })
})

describe('a check of consistency', () => {
  const claims = fc
    .integer({ min: 1, max: sizeMax })
    .chain((to) => fc.integer({ min: 1, max: to }).map((from) => consistencyAt(from, to)))

  it('fails when any bit of the proof or of a root is changed', () => {
    fc.assert(
      fc.property(claims, fc.nat(), fc.nat({ max: 31 }), (claim, pick, at) => {
        const { from, to, proof } = claim
        const i = pick % (proof.length + 2)
        const changed = {
          proof: proof.map((hash, j) => (i === j ? corrupt(hash, at) : hash)),
          from: i === proof.length ? { ...from, root: corrupt(from.root, at) } : from,
          to: i > proof.length ? { ...to, root: corrupt(to.root, at) } : to,
        }
        expect(consistencyHolds(claim)).toBe(true)
        expect(consistencyHolds(changed)).toBe(false)
      }),
    )
  })

  it('fails when a hash is left out or added', () => {
    fc.assert(
      fc.property(claims, (claim) => {
        const { proof } = claim
        expect(consistencyHolds({ ...claim, proof: [...proof, sha256('more')] })).toBe(false)
        expect(consistencyHolds({ ...claim, proof: [sha256('more'), ...proof] })).toBe(false)
        if (proof.length > 0) {
          expect(consistencyHolds({ ...claim, proof: proof.slice(1) })).toBe(false)
          expect(consistencyHolds({ ...claim, proof: proof.slice(0, -1) })).toBe(false)
        }
      }),
    )
  })

  it('fails for any other earlier size', () => {
    fc.assert(
      fc.property(claims, fc.integer({ min: 0, max: sizeMax }), (claim, size) => {
        const { from } = claim
        const accepted = consistencyHolds({ ...claim, from: { size, root: from.root } })
        expect(accepted).toBe(size === from.size)
      }),
    )
  })

  it('fails between a tree and the same tree with one entry rewritten', () => {
    const rewritten = oracleOf(leaves.with(2, sha256('rewritten')))
    const to = { size: 8, root: rewritten.root(0, 8) }
    const proof = rewritten.proof(5, 8)
    expect(consistencyHolds({ from: treeAt(5), to, proof })).toBe(false)
    expect(consistencyHolds({ from: treeAt(5), to, proof: oracle.proof(5, 8) })).toBe(false)
  })

  it('fails for two roots of one size', () => {
    const other = { size: 5, root: sha256('other') }
    expect(consistencyHolds({ from: treeAt(5), to: treeAt(5), proof: [] })).toBe(true)
    expect(consistencyHolds({ from: treeAt(5), to: other, proof: [] })).toBe(false)
  })

  it('fails from a larger tree to a smaller one', () => {
    expect(consistencyHolds({ from: treeAt(5), to: treeAt(4), proof: [] })).toBe(false)
  })

  it('lets every tree extend the empty one, with the empty root and an empty proof', () => {
    expect(consistencyHolds({ from: treeAt(0), to: treeAt(5), proof: [] })).toBe(true)
    expect(consistencyHolds({ from: treeAt(0), to: treeAt(0), proof: [] })).toBe(true)
    const notEmpty = { size: 0, root: sha256('other') }
    expect(consistencyHolds({ from: notEmpty, to: treeAt(5), proof: [] })).toBe(false)
    expect(consistencyHolds({ from: notEmpty, to: notEmpty, proof: [] })).toBe(false)
    expect(consistencyHolds({ from: treeAt(0), to: notEmpty, proof: [] })).toBe(false)
    expect(consistencyHolds({ from: treeAt(0), to: treeAt(5), proof: [leafAt(0)] })).toBe(false)
  })

  it('takes the roots of inner nodes for nothing but themselves', () => {
    const [a = sha256(), b = sha256()] = leaves
    const from = { size: 1, root: nodeHash(nodeHasher, a, b) }
    expect(consistencyHolds({ from, to: treeAt(2), proof: [b] })).toBe(false)
  })
})
