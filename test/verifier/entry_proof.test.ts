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

async function proofOf(by = key): Promise<string> {
  const { entries } = ledger
  const reader = oracleOf(entries.map((one) => leafHash(nodeHasher, one))).reader(entries.length)
  const proof = await proveInclusion(nodeHasher, reader, { index, size: entries.length })
  const checkpoint = checkpointOf(entries, by, { origin })
  return formatTlogProof({ extra: entries[index] ?? Buffer.of(), index, proof, checkpoint })
}

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
      ...{ verified: true, what: 'entry', findings: [], ledger: { origin } },
      range: { from_index: index, to_index: index + 1 },
    })
    const text = report && proofText(report)
    expect(text).toContain('VERIFIED. It proves what it says.')
    expect(text).toContain(`Entry ${index} is in the ledger`)
    expect(text).toContain('Under the approval of')
    expect(text).toContain('that it is true, no ledger proves')
  })

  it('proves nothing under another key, at another place, or without the entry', async () => {
    const parsed = parseTlogProof(await proofOf())
    const { extra: _, ...without } = parsed
    for (const file of [
      await proofOf(thief),
      formatTlogProof({ ...parsed, index: index - 1 }),
      formatTlogProof({ ...parsed, proof: parsed.proof.slice(1) }),
      formatTlogProof({ ...parsed, extra: ledger.entries[index - 1] ?? Buffer.of() }),
      formatTlogProof(without),
      'c2sp.org/tlog-proof@v1\n',
    ]) {
      const report = await reportOn(file)
      expect(report).toMatchObject({ verified: false, proven: [], what: 'entry' })
      expect(report?.findings).toHaveLength(1)
    }
  })

  it('is told apart from other files by its first line alone', async () => {
    expect(await reportOn('c2sp.org/tlog-proof@v2\nindex 1\n')).toBeUndefined()
    expect(await reportOn('index 1\n')).toBeUndefined()
  })
})
