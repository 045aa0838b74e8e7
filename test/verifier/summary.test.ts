import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { readEntry } from '../../src/ledger/entry.ts'
import type { SumProof, Summary } from '../../src/ledger/summary.ts'
import { countsOf, totalNames } from '../../src/ledger/totals.ts'
import { encodeBase64 } from '../../src/merkle/encoding.ts'
import { parsePolicy } from '../../src/merkle/policy.ts'
import { proveInclusion } from '../../src/merkle/proof.ts'
import { proveSum, proveSumRange, type ReadSumTile } from '../../src/merkle/sum_proof.ts'
import { sumLeaf } from '../../src/merkle/sum_tree.ts'
import { formatTlogProof, parseTlogProof } from '../../src/merkle/tlog_proof.ts'
import { leafHash } from '../../src/merkle/tree.ts'
import { nodeHasher, verifyEd25519 } from '../../src/storage/node_crypto.ts'
import { checkSumProof } from '../../src/verifier/sum.ts'
import { checkSummary } from '../../src/verifier/summary.ts'
import type { Verdict } from '../../src/verifier/verdict.ts'
import { oracleOf } from '../merkle/oracle.ts'
import { decodeEntry, encodeEntry, type LedgerBuilder } from '../support/ledger_builder.ts'
import { checkpointOf, policyOf } from '../support/ledger_folder.ts'
import { key, origin, started, thief } from './stage.ts'

const crypto = { hasher: nodeHasher, verifyEd25519 }
const trust = { policy: parsePolicy(nodeHasher, policyOf(key)), crypto }

/** 40 entries with epochs among them, one second after another. */
function ledgerWithEpochs(): LedgerBuilder {
  const { ledger, consent } = started({ size: 10 })
  for (let i = 0; i < 3; i++) {
    ledger.epoch()
    for (let j = 0; j < 9; j++)
      if (j % 2 === 0) ledger.release(consent)
      else ledger.refuse({ count: 3 })
  }
  return ledger
}

const { entries } = ledgerWithEpochs()
const at = (n: number) => readEntry(entries[n] ?? Buffer.of()).at

/** The tlog-proof of an entry that carries it, of a ledger of these entries. */
async function proofOf(all: readonly Uint8Array[], index: number, by = key): Promise<string> {
  const hashes = all.map((entry) => leafHash(nodeHasher, entry))
  const reader = oracleOf(hashes).reader(all.length)
  const proof = await proveInclusion(nodeHasher, reader, { index, size: all.length })
  const extra = all[index] ?? Buffer.of()
  return formatTlogProof({ extra, index, proof, checkpoint: checkpointOf(all, by, { origin }) })
}

/** A summary as an honest broker makes it, of whatever entries. */
async function summaryOf(
  all: readonly Uint8Array[],
  { from, to, time }: { from: number; to: number; time?: { from: string; to: string } },
): Promise<Summary> {
  const totals = (n: number) => readEntry(all[n] ?? Buffer.of()).totals
  const prove = async (name: string, wanted: boolean, n: number) =>
    wanted ? { [name]: await proofOf(all, n) } : {}
  return {
    ...{ origin, basis: 'entries', from_index: from, to_index: to, ...time },
    open_end: time !== undefined && to === all.length,
    totals: Object.fromEntries(
      totalNames.map((name) => [
        name,
        from === to
          ? 0
          : (totals(to - 1)[name] ?? 0) - (from === 0 ? 0 : (totals(from - 1)[name] ?? 0)),
      ]),
    ),
    proofs: {
      ...(await prove('before', from > 0, from - 1)),
      ...(await prove('first', time !== undefined && from < to, from)),
      ...(await prove('last', from < to, to - 1)),
      ...(await prove('after', time !== undefined && to < all.length, to)),
    },
  }
}

const epochsOf = async (from: number, to: number, time: { from: string; to: string }) => ({
  ...(await summaryOf(entries, { from, to })),
  ...{ basis: 'epochs' as const, ...time },
})

const time = { from: at(12), to: at(25) }
const exact = await summaryOf(entries, { from: 12, to: 25, time })

const found = (file: unknown): readonly string[] => checkSummary(file, trust).findings

describe('a summary', () => {
  it('proves what it says of a time, in words', () => {
    const verdict = checkSummary(exact, trust)
    expect(verdict).toMatchObject({
      ...{ verified: true, findings: [], range: { from_index: 12, to_index: 25, ...time } },
      ledger: { origin, size: entries.length, cosigners: [] },
    })
    expect(verdict.proven).toEqual([
      'The ledger says of 13 entries, 12 to 24: 6 releases authorised: 0 to data subjects, 6 to the messaging platform, ' +
        '0 to advertising, 0 to third parties. 18 attempts refused, 18 of them by advertising and 0 by third parties.',
      `These are exactly the entries from ${time.from} until before ${time.to}: the entries on both sides of each end show it.`,
    ])
    expect(verdict.unproven.join('\n')).toContain('refuted by anyone who holds one entry')
    expect([...verdict.proven, ...verdict.unproven].join()).not.toContain('delivered')
  })

  it('is proven for any range, and for no other', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(40), fc.nat(40), async (one, other) => {
        const [from = 0, to = 0] = [one, other]
          .map((n) => Math.min(n, entries.length))
          .toSorted((a, b) => a - b)
        fc.pre(to > 0)
        const summary = await summaryOf(entries, { from, to })
        expect(found(summary)).toEqual([])
        for (const moved of [{ from_index: from + 1 }, { to_index: to + 1 }, { to_index: to - 1 }])
          expect(found({ ...summary, ...moved })).toHaveLength(1)
      }),
      { numRuns: 25 },
    )
  })

  it.each(totalNames)('with another total %s proves nothing', (name) => {
    for (const by of [1, -1, 0.5]) {
      const totals = { ...exact.totals, [name]: (exact.totals[name] ?? 0) + by }
      const verdict = checkSummary({ ...exact, totals }, trust)
      expect(verdict).toMatchObject({ verified: false, proven: [] })
    }
    const { [name]: _, ...rest } = exact.totals
    expect(found({ ...exact, totals: rest })).toHaveLength(1)
    expect(found({ ...exact, totals: { ...exact.totals, [`${name}_too`]: 0 } })).toHaveLength(1)
  })

  it.each(['before', 'first', 'last', 'after'] as const)(
    'of a time without the entry %s proves nothing',
    (name) => {
      const { [name]: _, ...proofs } = exact.proofs
      expect(found({ ...exact, proofs })).toHaveLength(1)
    },
  )

  it('of a time leaves out no entry of it, at either end', async () => {
    for (const [from, to] of [
      [13, 25],
      [12, 24],
      [11, 25],
      [12, 26],
    ] as const)
      expect(found(await summaryOf(entries, { from, to, time }))).toHaveLength(1)
    expect(found({ ...exact, from: at(13) })).toHaveLength(1)
    expect(found({ ...exact, to: at(26) })).toHaveLength(1)
    expect(found({ ...exact, open_end: true })).toHaveLength(1)
    const { after: __, ...noAfter } = exact.proofs
    expect(found({ ...exact, open_end: true, proofs: noAfter })).toEqual([
      'the entry after it is another',
    ])
    const { to: _, ...oneEnd } = exact
    expect(found(oneEnd)).toHaveLength(1)
    expect(found({ ...exact, from: '0' })).toHaveLength(1)
  })

  it('from epochs reaches around the time, or says that it does not', async () => {
    // Epochs are at 10, 20 and 30.
    expect(found(await epochsOf(11, 31, { from: at(11), to: at(30) }))).toEqual([])
    expect(found(await epochsOf(11, 31, { from: at(10), to: at(30) }))).toHaveLength(1)
    expect(found(await epochsOf(11, 31, { from: at(11), to: at(31) }))).toHaveLength(1)
    const open = { ...(await epochsOf(11, 31, { from: at(11), to: at(31) })), open_end: true }
    expect(found(open)).toEqual([])
    expect(found(await epochsOf(11, 30, { from: at(11), to: at(29) }))).toHaveLength(1)
    expect(found(await epochsOf(12, 31, { from: at(12), to: at(30) }))).toHaveLength(1)
  })

  it('holds under the policy alone', async () => {
    const other = { ...trust, policy: parsePolicy(nodeHasher, policyOf(thief)) }
    expect(checkSummary(exact, other).findings).toHaveLength(1)
    expect(found({ ...exact, origin: 'broker.example/ledger/citi' })).toHaveLength(1)
    const forged = { ...exact.proofs, last: await proofOf(entries, 24, thief) }
    expect(found({ ...exact, proofs: forged })).toHaveLength(1)
  })

  it('is of one ledger: its proofs are under one checkpoint', async () => {
    const before = await proofOf(entries.slice(0, 30), 11)
    expect(found({ ...exact, proofs: { ...exact.proofs, before } })).toEqual([
      'its proofs are under different checkpoints',
    ])
  })

  it('is not of what a proof carries, but of what the ledger holds', () => {
    const last = parseTlogProof(exact.proofs.last ?? '')
    const entry = decodeEntry(last.extra ?? Buffer.of())
    entry.totals['releases_messaging_platform'] = 0
    for (const extra of [encodeEntry(entry), undefined, Buffer.from('{}')]) {
      const { extra: _, ...rest } = last
      const proof = formatTlogProof(extra === undefined ? rest : { ...rest, extra })
      expect(found({ ...exact, proofs: { ...exact.proofs, last: proof } })).toHaveLength(1)
    }
  })

  it('shows a ledger that takes a total back, or whose neighbours contradict each other', async () => {
    const lie = (n: number, change: (totals: Record<string, number>) => void) => {
      const entry = decodeEntry(entries[n] ?? Buffer.of())
      change(entry.totals)
      return entries.with(n, encodeEntry(entry))
    }
    const lower = lie(24, (totals) => (totals['releases_messaging_platform'] = 1))
    const [finding = ''] = found(await summaryOf(lower, { from: 12, to: 25 }).then(clamped))
    expect(finding).toContain('took releases_messaging_platform back')
    const gap = lie(12, (totals) => (totals['grants'] = 7))
    expect(found(await summaryOf(gap, { from: 12, to: 25, time }))[0]).toContain('contradict')
  })

  it.each([null, [], 'text', {}, { ...exact, proofs: [] }, { ...exact, basis: 'hearsay' }])(
    'that is none is said to be none: %#',
    (file) => {
      expect(found(file)).toHaveLength(1)
    },
  )
})

/** Negative totals have no form; whoever lies would write 0. */
const clamped = (summary: Summary): Summary => ({
  ...summary,
  totals: Object.fromEntries(
    Object.entries(summary.totals).map(([name, total]) => [name, Math.max(0, total)]),
  ),
})

/** A sum proof as an honest broker makes it, of whatever entries, under the epoch at 30. */
async function sumOf(
  all: readonly Uint8Array[],
  { from, to, single }: { from: number; to: number; single: boolean },
): Promise<SumProof> {
  const size = 30
  const leaves = all.slice(0, size).map((bytes) => {
    const counts = countsOf(totalNames, readEntry(bytes))
    return sumLeaf(nodeHasher, counts, leafHash(nodeHasher, bytes))
  })
  const readTile: ReadSumTile = async ({ level, index, width }) => {
    if (level > 0 || index > 0 || width > size) throw new Error('there is no such tile')
    return leaves.slice(0, width)
  }
  const range = { start: from, end: to }
  const { nodes, sums } = await proveSumRange(nodeHasher, readTile, { range, size })
  const path = await proveSum(nodeHasher, readTile, { index: from, size })
  return {
    ...{ origin, from_index: from, to_index: to, size },
    totals: Object.fromEntries(totalNames.map((name, i) => [name, sums[i] ?? 0])),
    nodes: (single ? path : nodes).map(encodeBase64),
    proofs: {
      genesis: await proofOf(all, 0),
      epoch: await proofOf(all, 30),
      ...(single && { entry: await proofOf(all, from) }),
    },
  }
}

const range = await sumOf(entries, { from: 12, to: 25, single: false })
const single = await sumOf(entries, { from: 13, to: 14, single: true })
const check = (file: unknown): Verdict => checkSumProof(file, trust)

describe('a sum proof', () => {
  it('proves what a range adds up to, and that one entry is counted, in words', () => {
    expect(check(range)).toMatchObject({ verified: true, findings: [] })
    expect(check(range).proven.join('\n')).toContain('6 releases authorised')
    expect(check(range).proven.join('\n')).toContain('a floor under its totals')
    expect(check(single)).toMatchObject({ verified: true, findings: [] })
    expect(check(single).proven[0]).toMatch(/^Entry 13 is in the ledger, and the sum tree counts/)
    expect(range.totals['refusals_advertising']).toBe(exact.totals['refusals_advertising'])
  })

  it.each([
    ['another range', { from_index: 11 }],
    ['a larger range', { to_index: 26 }],
    ['another size', { size: 31 }],
    ['another ledger', { origin: 'broker.example/ledger/citi' }],
    ['fewer nodes', { nodes: range.nodes.slice(1) }],
    ['no nodes', { nodes: [] }],
    ['nodes in another order', { nodes: range.nodes.toReversed() }],
    ['too many nodes', { nodes: Array.from({ length: 107 }, () => range.nodes[0]) }],
    ['nodes of fewer sums', { nodes: range.nodes.map(() => encodeBase64(new Uint8Array(40))) }],
    ['other totals', { totals: { ...range.totals, releases_messaging_platform: 7 } }],
    ['a total that is no count', { totals: { ...range.totals, grants: -1 } }],
    ['a total beyond counting', { totals: { ...range.totals, grants: 2 ** 53 } }],
    ['a total too many', { totals: { ...range.totals, zebras: 0 } }],
    ['another first entry', { proofs: { ...range.proofs, genesis: range.proofs.epoch } }],
    ['another epoch', { proofs: { ...range.proofs, epoch: range.proofs.genesis } }],
  ])('with %s proves nothing', (_, change) => {
    expect(check({ ...range, ...change })).toMatchObject({ verified: false, proven: [] })
  })

  it('of one entry is of no other', async () => {
    for (const change of [
      { from_index: 12, to_index: 13 },
      { to_index: 15 },
      { proofs: { ...single.proofs, entry: await proofOf(entries, 12) } },
      { totals: { ...single.totals, refusals_third_party: 3, refusals_advertising: 0 } },
    ])
      expect(check({ ...single, ...change })).toMatchObject({ verified: false, proven: [] })
  })

  it('shows an epoch that commits to other sums than its totals, or to no tree at all', async () => {
    const lying = (change: (entry: ReturnType<typeof decodeEntry>) => void) => {
      const entry = decodeEntry(entries[30] ?? Buffer.of())
      change(entry)
      return entries.with(30, encodeEntry(entry))
    }
    for (const change of [
      (entry: ReturnType<typeof decodeEntry>) => (entry.totals['refusals_advertising'] = 1),
      (entry: ReturnType<typeof decodeEntry>) => (entry.body['sum'] = 'A'.repeat(43)),
    ])
      expect(check(await sumOf(lying(change), { from: 12, to: 25, single: false })).verified).toBe(
        false,
      )
  })
})
