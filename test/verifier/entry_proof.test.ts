import { describe, expect, it } from '@jest/globals'
import { parsePolicy } from '../../src/merkle/policy.ts'
import { proveInclusion } from '../../src/merkle/proof.ts'
import { formatTlogProof, parseTlogProof } from '../../src/merkle/tlog_proof.ts'
import { leafHash } from '../../src/merkle/tree.ts'
import { nodeHasher, verifyEd25519 } from '../../src/storage/node_crypto.ts'
import { proofText, readProofFile } from '../../src/verifier/proof_file.ts'
import { oracleOf } from '../merkle/oracle.ts'
import { checkpointOf, policyOf } from '../support/ledger_folder.ts'
import { key, origin, started, thief } from './stage.ts'

const crypto = { hasher: nodeHasher, verifyEd25519 }
const { ledger, consent } = started({ size: 10 })
const index = ledger.entries.length
ledger.release(consent)
ledger.epoch()

async function proofOf(by = key, n = index): Promise<string> {
  const { entries } = ledger
  const reader = oracleOf(entries.map((one) => leafHash(nodeHasher, one))).reader(entries.length)
  const proof = await proveInclusion(nodeHasher, reader, { index: n, size: entries.length })
  const checkpoint = checkpointOf(entries, by, { origin })
  return formatTlogProof({ extra: entries[n] ?? Buffer.of(), index: n, proof, checkpoint })
}

const parsed = async () => parseTlogProof(await proofOf())

const withExtra = async (extra: Uint8Array | undefined) =>
  formatTlogProof({ ...(await parsed()), extra: extra ?? Buffer.of() })

const text = (entry: Uint8Array | undefined) => Buffer.from(entry ?? []).toString()

/** What the verifier says of a file of these bytes. */
async function reportOn(text: string) {
  const check = await readProofFile(
    { place: 'memory', read: () => Promise.resolve(Buffer.from(text)) },
    'mine.tlog-proof',
  )
  return check?.({ policy: parsePolicy(nodeHasher, policyOf(key)), crypto })
}

describe('a tlog-proof that carries its entry, as a file', () => {
  it('is verified, and says in words what is in the ledger and what is not proven', async () => {
    const report = await reportOn(await proofOf())
    expect(report).toMatchObject({
      ...{ verified: true, what: 'entry proof', findings: [], ledger: { origin } },
      range: { from_index: index, to_index: index + 1 },
    })
    const said = report && proofText(report)
    expect(said).toContain('VERIFIED. It proves what it says.')
    expect(said).toContain(`Entry ${index} is in the ledger`)
    expect(said).toContain('Under the approval of')
    expect(said).toContain('that it is true, no ledger proves')
  })

  it.each([
    ['under another key', () => proofOf(thief), 'no known key signed the note'],
    [
      'at another place',
      async () => formatTlogProof({ ...(await parsed()), index: index - 1 }),
      'the leaf is not in the tree',
    ],
    [
      'with a hash less',
      async () => {
        const found = await parsed()
        return formatTlogProof({ ...found, proof: found.proof.slice(1) })
      },
      'the proof has the wrong length',
    ],
    [
      'with another entry',
      async () => withExtra(ledger.entries[index - 1]),
      'the leaf is not in the tree',
    ],
    [
      'with a letter changed',
      async () => withExtra(Buffer.from(text(ledger.entries[index]).replace('"n":', '"m":'))),
      'the leaf is not in the tree',
    ],
    ['cut off', () => Promise.resolve('c2sp.org/tlog-proof@v1\nextra YQ==\n'), 'not a tlog-proof'],
  ])('proves nothing %s', async (_, file, finding) => {
    const report = await reportOn(await file())
    expect(report).toMatchObject({ verified: false, proven: [], what: 'entry proof' })
    expect(report?.findings).toEqual([finding])
  })

  it('names the entry before it about the same consent, and says which is the first', async () => {
    const granted = ledger.entries.findIndex((one) => text(one).includes('"kind":"consent.grant"'))
    const first = await reportOn(await proofOf(key, granted))
    expect(first?.proven[1]).toBe(
      `It says that it is the first entry about the consent ${consent}.`,
    )
    const second = await reportOn(await proofOf())
    expect(second?.proven[1]).toBe(
      `It says that the entry before it about the consent ${consent} is entry ${index - 1}.`,
    )
    const epoch = await reportOn(await proofOf(key, index + 1))
    expect(epoch?.proven).toHaveLength(1)
    expect(epoch?.unproven).toHaveLength(1)
  })

  it('is told apart from other files by its first lines alone', async () => {
    expect(await reportOn('c2sp.org/tlog-proof@v2\nindex 1\n')).toBeUndefined()
    expect(await reportOn('index 1\n')).toBeUndefined()
    const { extra: _, ...bare } = await parsed()
    expect(await reportOn(formatTlogProof(bare))).toBeUndefined()
  })
})
