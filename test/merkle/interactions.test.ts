import { describe, expect, it } from '@jest/globals'
import * as fc from 'fast-check'
import { createHash } from 'node:crypto'
import { rootOfInteractions } from '../../src/merkle/interactions.ts'
import { nodeHasher } from '../../src/storage/node_crypto.ts'

const rootOf = (ids: readonly string[]) =>
  Buffer.from(rootOfInteractions(nodeHasher, ids)).toString('base64url')

/** RFC 6962 §2.1, as it is written there. */
function root(leaves: readonly string[]): Buffer {
  const sha256 = (...parts: readonly (string | Buffer)[]) =>
    parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest()
  const [first, second] = leaves
  if (first === undefined) return sha256()
  if (second === undefined) return sha256('\0', first)
  const k = 2 ** Math.ceil(Math.log2(leaves.length) - 1)
  return sha256('\u0001', root(leaves.slice(0, k)), root(leaves.slice(k)))
}

const ids = [
  '00000000-0000-4000-8000-000000000001',
  '8ed49138-a74c-468c-9329-ee1822be0ae7',
  'f81d4fae-7dec-11d0-a765-00a0c91e6bf6',
]

describe('the root of interaction ids', () => {
  it('is that of vectors made without this code', () => {
    expect(rootOf([])).toBe('47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU')
    expect(rootOf(ids.slice(0, 1))).toBe('nhbIavsx_llFi8SpLiDMsczDB09hlJDVtCoso25b2wM')
    expect(rootOf(ids.slice(0, 2))).toBe('8XhcobVvT9I2su_AJ7sniU_IYk7qCGRSkJ3eSLfk4CA')
    expect(rootOf(ids)).toBe('5i81MSzbANZUMczr3KsP6o-UFBNann9d7JwpSvNCMPk')
  })

  it('is that of RFC 6962', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.uuid()), (some) => {
        const ascending = some.toSorted()
        expect(rootOf(ascending)).toBe(root(ascending).toString('base64url'))
      }),
    )
  })

  it('is of one list only: each id once, in order, as a UUID in lower case', () => {
    const [first = '', second = ''] = ids
    expect(() => rootOf([second, first])).toThrow('ascending, each once')
    expect(() => rootOf([first, first])).toThrow('ascending, each once')
    for (const id of [second.toUpperCase(), second.replaceAll('-', ''), ` ${second}`, ''])
      expect(() => rootOf([id])).toThrow('not a UUID in lower case')
  })
})
