import { describe, expect, it } from '@jest/globals'
import {
  append,
  appendTile,
  edgeFromBytes,
  edgeToBytes,
  emptyEdge,
  emptyRoot,
  leafHash,
  nodeHash,
  rootOf,
} from '../../src/merkle/tree.ts'
import type { RightEdge } from '../../src/merkle/tree.ts'
import { nodeHasher } from '../../src/storage/node_crypto.ts'
import { codeOf, oracleOf, sha256, someLeaves } from './oracle.ts'
import { entries, roots } from './vectors.ts'

function treeOf(leaves: readonly Uint8Array[]): RightEdge {
  const edge = emptyEdge()
  for (const leaf of leaves) append(nodeHasher, edge, leaf)
  return edge
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

describe('the vectors', () => {
  it('give the hash of the empty tree', () => {
    const sha256OfNothing = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
    expect(hex(emptyRoot(nodeHasher))).toBe(sha256OfNothing)
    expect(hex(rootOf(nodeHasher, emptyEdge()))).toBe(sha256OfNothing)
  })

  it('give the leaf hashes', () => {
    expect(entries.map((entry) => hex(leafHash(nodeHasher, entry)))).toEqual([
      '022a6979e6dab7aa5ae4c3e5e45f7e977112a7e63593820dbec1ec738a24f93c',
      '69372b398d6cc28945af8d2474c0b7661b6ab4587d2eb59364e914adf655fcee',
      'e0aa59c39192da9adcbda848d2c9aa11e5b249315ded98449ae3fc5ed361a238',
      'd11edf2b22a5e116c89e7242dbfce68bfa304f2e9b9533b5a8ba24a9db30fe28',
      'a44f62f1d5e749e2e342d7c0ed9fbefb4115eaf6429f09559ae131e6252089b0',
    ])
  })

  it('give the root of every size', () => {
    const edge = emptyEdge()
    for (const [i, entry] of entries.entries()) {
      append(nodeHasher, edge, leafHash(nodeHasher, entry))
      expect(rootOf(nodeHasher, edge)).toEqual(roots[i])
    }
  })
})

describe('appendTile', () => {
  it('appends 256 leaves as if each were appended', () => {
    const leaves = someLeaves(1_024)
    const [byLeaf, byTile] = [emptyEdge(), emptyEdge()]
    for (let at = 0; at < leaves.length; at += 256) {
      const tile = leaves.slice(at, at + 256)
      const completed = tile.flatMap((leaf) => [...append(nodeHasher, byLeaf, leaf)])
      expect(appendTile(nodeHasher, byTile, rootOf(nodeHasher, treeOf(tile)))).toEqual(completed)
      expect(byTile).toEqual(byLeaf)
    }
  })

  it('completes two levels at once where 65,536 leaves are full', () => {
    const root = leafHash(nodeHasher, new Uint8Array())
    const edge = emptyEdge()
    for (let tile = 0; tile < 255; tile++) appendTile(nodeHasher, edge, root)
    expect(appendTile(nodeHasher, edge, root)).toMatchObject([
      { level: 1, index: 255, hash: root },
      { level: 2, index: 0, hash: rootOf(nodeHasher, edge) },
    ])
  })

  it('is refused within a tile, and beyond the largest tree', () => {
    const root = leafHash(nodeHasher, new Uint8Array())
    expect(codeOf(() => appendTile(nodeHasher, treeOf([root]), root))).toBe('tree')
    const edge = { size: Number.MAX_SAFE_INTEGER - 255, hashes: [] }
    expect(codeOf(() => appendTile(nodeHasher, edge, root))).toBe('tree')
  })
})

describe('append', () => {
  it('agrees with RFC 6962 at every size up to 1,100, in root and in completed subtrees', () => {
    const leaves = someLeaves(1_100)
    const oracle = oracleOf(leaves)
    const edge = emptyEdge()
    for (const [i, leaf] of leaves.entries()) {
      const completed = append(nodeHasher, edge, leaf)
      const size = i + 1
      expect(edge.size).toBe(size)
      expect(rootOf(nodeHasher, edge)).toEqual(oracle.root(0, size))
      expect(completed).toEqual(
        size % 256 === 0
          ? [{ level: 1, index: size / 256 - 1, hash: oracle.root(size - 256, size) }]
          : [],
      )
    }
  })

  it('agrees with RFC 6962 around 65,536, where two levels of tiles fill at once', () => {
    const leaves = someLeaves(65_537)
    const oracle = oracleOf(leaves)
    const edge = treeOf(leaves.slice(0, 65_535))
    expect(rootOf(nodeHasher, edge)).toEqual(oracle.root(0, 65_535))
    const [last, next] = leaves.slice(65_535)
    expect(append(nodeHasher, edge, last ?? sha256())).toEqual([
      { level: 1, index: 255, hash: oracle.root(65_280, 65_536) },
      { level: 2, index: 0, hash: oracle.root(0, 65_536) },
    ])
    expect(rootOf(nodeHasher, edge)).toEqual(oracle.root(0, 65_536))
    expect(append(nodeHasher, edge, next ?? sha256())).toEqual([])
    expect(rootOf(nodeHasher, edge)).toEqual(oracle.root(0, 65_537))
  })

  it('keeps subtree indices exact beyond 32 bits', () => {
    const size = 2 ** 40 + 255
    const edge: RightEdge = { size, hashes: someLeaves(9) }
    expect(append(nodeHasher, edge, sha256('leaf'))).toMatchObject([{ level: 1, index: 2 ** 32 }])
    expect(edge.hashes).toHaveLength(2)
  })

  it('refuses a leaf hash that is not 32 bytes, a full tree, and an edge that lacks a hash', () => {
    const leaf = sha256('leaf')
    const full: RightEdge = { size: Number.MAX_SAFE_INTEGER, hashes: someLeaves(53) }
    expect(codeOf(() => append(nodeHasher, emptyEdge(), leaf.subarray(1)))).toBe('tree')
    expect(codeOf(() => append(nodeHasher, full, leaf))).toBe('tree')
    expect(codeOf(() => append(nodeHasher, { size: 3, hashes: [leaf] }, leaf))).toBe('tree')
  })
})

describe('the tree', () => {
  it('of A, B, C is not the tree of A, B, C, C', () => {
    const [a, b, c] = ['A', 'B', 'C'].map((entry) => leafHash(nodeHasher, Buffer.from(entry)))
    if (a === undefined || b === undefined || c === undefined) throw new Error('three leaves')
    const three = rootOf(nodeHasher, treeOf([a, b, c]))
    expect(three).not.toEqual(rootOf(nodeHasher, treeOf([a, b, c, c])))
  })

  it('does not take the two children of a node, as an entry, for the node', () => {
    const [left = sha256(), right = sha256()] = someLeaves(2)
    const node = nodeHash(nodeHasher, left, right)
    expect(leafHash(nodeHasher, Buffer.concat([left, right]))).not.toEqual(node)
    expect(leafHash(nodeHasher, Buffer.concat([Uint8Array.of(1), left, right]))).not.toEqual(node)
  })

  it('has no node over hashes that are not 32 bytes', () => {
    const hash = sha256('leaf')
    expect(codeOf(() => nodeHash(nodeHasher, hash, hash.subarray(1)))).toBe('tree')
    expect(codeOf(() => nodeHash(nodeHasher, Buffer.concat([hash, hash]), hash))).toBe('tree')
  })
})

describe('the bytes of a right edge', () => {
  it('bring back the edge, at every size up to 1,100', () => {
    const edge = emptyEdge()
    for (const leaf of someLeaves(1_100)) {
      expect(edgeFromBytes(edge.size, edgeToBytes(edge))).toEqual(edge)
      append(nodeHasher, edge, leaf)
    }
  })

  it('are copied, so that a buffer used again does not change the edge', () => {
    const edge = treeOf(someLeaves(7))
    const bytes = Buffer.from(edgeToBytes(edge))
    const read = edgeFromBytes(7, bytes)
    bytes.fill(0)
    expect(read).toEqual(edge)
  })

  it('are refused for another size than theirs', () => {
    const bytes = edgeToBytes(treeOf(someLeaves(7)))
    expect(codeOf(() => edgeFromBytes(8, bytes))).toBe('tree')
    expect(codeOf(() => edgeFromBytes(7, bytes.subarray(1)))).toBe('tree')
    expect(codeOf(() => edgeFromBytes(0, bytes))).toBe('tree')
    expect(codeOf(() => edgeFromBytes(-1, bytes))).toBe('tree')
    expect(codeOf(() => edgeFromBytes(7.5, bytes))).toBe('tree')
    expect(codeOf(() => edgeFromBytes(2 ** 53, bytes.subarray(0, 32)))).toBe('tree')
  })
})
