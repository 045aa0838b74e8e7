import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { signCheckpoint } from '../../src/merkle/checkpoint.ts'
import { encodeUtf8 } from '../../src/merkle/encoding.ts'
import { parsePolicy } from '../../src/merkle/policy.ts'
import { checkTlogProof, formatTlogProof, parseTlogProof } from '../../src/merkle/tlog_proof.ts'
import type { TlogProof } from '../../src/merkle/tlog_proof.ts'
import { leafHash } from '../../src/merkle/tree.ts'
import { nodeHasher, verifyEd25519 } from '../../src/storage/node_crypto.ts'
import { log } from './keys.ts'
import { codeOf, oracleOf, someLeaves } from './oracle.ts'
import { cosigned5, entries, inclusion2of5, vectors } from './vectors.ts'

const file = `c2sp.org/tlog-proof@v1
extra Y2Nj
index 2
0R7fKyKl4RbInnJC2/zmi/owTy6blTO1qLokqdsw/ig=
PqP4QjzxKxOY1um0aBFONo/Oq4a1O8xXrbKaFWTAIm0=
pE9i8dXnSeLjQtfA7Z+++0EV6vZCnwlVmuEx5iUgibA=

${cosigned5}`

const [, , third = new Uint8Array(0)] = entries
const parsed: TlogProof = { extra: third, index: 2, proof: inclusion2of5, checkpoint: cosigned5 }

describe('a tlog-proof', () => {
  it('has the bytes of the vector', () => {
    expect(formatTlogProof(parsed)).toBe(file)
    expect(parseTlogProof(file)).toEqual(parsed)
    expect(parseTlogProof(encodeUtf8(file))).toEqual(parsed)
  })

  it('comes back from its text, with or without extra', () => {
    const hash = fc.uint8Array({ minLength: 32, maxLength: 32 })
    const proofs = fc.record(
      {
        extra: fc.uint8Array(),
        index: fc.maxSafeNat(),
        proof: fc.array(hash, { maxLength: 63 }),
        checkpoint: fc.constant(cosigned5),
      },
      { requiredKeys: ['index', 'proof', 'checkpoint'] },
    )
    fc.assert(
      fc.property(proofs, (proof) => {
        expect(parseTlogProof(formatTlogProof(proof))).toEqual(proof)
      }),
    )
  })

  it('of the only entry has no lines between its index and the blank line', () => {
    const one = { index: 0, proof: [], checkpoint: cosigned5 }
    expect(formatTlogProof(one)).toBe(`c2sp.org/tlog-proof@v1\nindex 0\n\n${cosigned5}`)
  })

  it.each([
    ['nothing', ''],
    ['no header', file.slice(file.indexOf('\n') + 1)],
    ['another version', file.replace('@v1', '@v2')],
    ['a space before the header', ` ${file}`],
    ['no index', file.replace('index 2\n', '')],
    ['the index before extra', file.replace('extra Y2Nj\nindex 2\n', 'index 2\nextra Y2Nj\n')],
    ['extra twice', file.replace('extra Y2Nj\n', 'extra Y2Nj\nextra Y2Nj\n')],
    ['an index with leading zeros', file.replace('index 2', 'index 02')],
    ['a negative index', file.replace('index 2', 'index -2')],
    ['an index of 2^53', file.replace('index 2', 'index 9007199254740992')],
    ['extra without its padding', file.replace('Y2Nj', 'Y2M')],
    ['extra with loose bits', file.replace('Y2Nj', 'Y2N=')],
    ['extra in URL base64', file.replace('Y2Nj', '____')],
    ['a space after extra', file.replace('Y2Nj', 'Y2Nj ')],
    ['a hash of 33 bytes', file.replace('0R7fKyKl4RbI', '0R7fKyKl4RbIAAA=')],
    ['a hash without padding', file.replace('/ig=', '/ig')],
    ['carriage returns', file.replaceAll('\n', '\r\n')],
    ['no blank line', file.replaceAll('\n\n', '\n')],
    ['64 hashes', formatTlogProof({ ...parsed, proof: someLeaves(64) })],
  ])('is refused with %s', (_, text) => {
    expect(codeOf(() => parseTlogProof(text))).toMatch(/^(tlog_proof|encoding)$/)
  })
})

describe('a check of a tlog-proof', () => {
  const crypto = { hasher: nodeHasher, verifyEd25519 }
  const cosigned = `log ${vectors.vkeyL}\nwitness w ${vectors.vkeyW}\nquorum w\n`
  const policy = parsePolicy(nodeHasher, cosigned)
  const leaf = leafHash(nodeHasher, third)
  const codeOfCheck = (change: Partial<Parameters<typeof checkTlogProof>[1]>) =>
    codeOf(() => checkTlogProof(crypto, { policy, tlogProof: parsed, leaf, ...change }))

  it('passes for the entry that was logged, and returns the checkpoint it is under', () => {
    expect(checkTlogProof(crypto, { policy, tlogProof: parsed, leaf })).toMatchObject({
      checkpoint: { origin: vectors.origin, size: 5 },
      cosigners: [{ name: 'w', time: 1_700_000_000 }],
    })
  })

  it('fails for any other entry, whatever extra says', () => {
    const other = leafHash(nodeHasher, encodeUtf8('cccc'))
    expect(codeOfCheck({ leaf: other })).toBe('proof')
    expect(codeOfCheck({ tlogProof: { ...parsed, extra: encodeUtf8('cccc') } })).toBe(
      'nothing thrown',
    )
  })

  it('fails at another index, and with an empty proof', () => {
    expect(codeOfCheck({ tlogProof: { ...parsed, index: 3 } })).toBe('proof')
    expect(codeOfCheck({ tlogProof: { ...parsed, index: 5 } })).toBe('proof')
    expect(codeOfCheck({ tlogProof: { ...parsed, proof: [] } })).toBe('proof')
  })

  it('fails under a checkpoint that no quorum cosigned', () => {
    expect(codeOfCheck({ tlogProof: { ...parsed, checkpoint: vectors.c5 } })).toBe('quorum')
  })

  it('fails under the checkpoint of another size', () => {
    const noQuorum = parsePolicy(nodeHasher, `log ${vectors.vkeyL}\nquorum none\n`)
    const tlogProof = { ...parsed, checkpoint: vectors.c3 }
    expect(codeOfCheck({ policy: noQuorum, tlogProof })).toBe('proof')
  })

  it('holds the right side of a tree of one to an empty proof', () => {
    const one = oracleOf([leaf])
    const checkpoint = signCheckpoint(
      { origin: vectors.origin, size: 1, root: one.root(0, 1) },
      log.signer,
    )
    const noQuorum = parsePolicy(nodeHasher, `log ${vectors.vkeyL}\nquorum none\n`)
    const tlogProof = { index: 0, proof: [], checkpoint }
    expect(codeOfCheck({ policy: noQuorum, tlogProof })).toBe('nothing thrown')
    const longer = { ...tlogProof, proof: inclusion2of5 }
    expect(codeOfCheck({ policy: noQuorum, tlogProof: longer })).toBe('proof')
  })
})
