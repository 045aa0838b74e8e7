import { beforeAll, describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { readEntry } from '../../../src/ledger/entry.ts'
import { openCheckpoint } from '../../../src/merkle/checkpoint.ts'
import { encodeBase64 } from '../../../src/merkle/encoding.ts'
import { parsePolicy } from '../../../src/merkle/policy.ts'
import { proveConsistency, proveInclusion } from '../../../src/merkle/proof.ts'
import { formatTlogProof } from '../../../src/merkle/tlog_proof.ts'
import { formatVkey } from '../../../src/merkle/vkey.ts'
import type { ListedEntry } from '../../../src/web/browser/api.ts'
import { browserHasher, verifyEd25519 } from '../../../src/web/browser/browser_crypto.ts'
import { compareWithSeen, type Seen, type SignedTree } from '../../../src/web/browser/history.ts'
import { bytesOfListed, verifyListed } from '../../../src/web/browser/listed.ts'
import {
  outcomeOf,
  policyFor,
  verifyEntry,
  type EntryCheck,
} from '../../../src/web/browser/verification.ts'
import { logKey, witnessKey } from '../../merkle/keys.ts'
import { checkpointOf, policyOf, tilesOf } from '../../support/ledger_folder.ts'
import { started } from '../../verifier/stage.ts'

const origin = 'broker.example/ledger/us-bank'
const key = logKey(origin, 0x00)
const thief = logKey(origin, 0x40)
const witness = witnessKey('witness.example/w1', 0x60)
const crypto = { hasher: browserHasher, verifyEd25519 }
const { ledger } = started()
const { entries } = ledger
const tiles = tilesOf(entries)
const index = 123
const bytes = entries[index] ?? new Uint8Array()
const witnessed = `log ${formatVkey(key.vkey)}\nwitness w1 ${formatVkey(witness.vkey)}\nquorum w1\n`

const note = checkpointOf(entries, key)
let tlogProof = ''
beforeAll(async () => {
  tlogProof = await proofUnder(note)
})

async function proofUnder(checkpoint: string, size = entries.length): Promise<string> {
  const proof = await proveInclusion(browserHasher, tiles, { index, size })
  return formatTlogProof({ index, proof, checkpoint })
}

const check = (change: Partial<Parameters<typeof verifyEntry>[1]> = {}, policy = policyOf(key)) =>
  verifyEntry(crypto, {
    ...{ policy: parsePolicy(browserHasher, policy), index, bytes, tlogProof },
    ...change,
  })

/** Which check failed. */
const failed = (found: ReturnType<typeof check>) =>
  (Object.keys(found.steps) as EntryCheck[]).find((step) => found.steps[step] === 'failed')

describe('an entry, checked in the page', () => {
  it('is of the ledger of this bank, whatever other ledgers the policy trusts', () => {
    const both = parsePolicy(browserHasher, policyOf(key))
    expect(failed(check({ policy: policyFor(both, 'us-bank') }))).toBeUndefined()
    for (const bank of ['bank', 'citi'])
      expect(failed(check({ policy: policyFor(both, bank) }))).toBe('signature')
  })

  it('is in the tree that was signed; its history is for whoever remembers one', () => {
    const found = check()
    expect(found.steps).toEqual({
      ...{ entry: 'passed', signature: 'passed', quorum: 'passed', inclusion: 'passed' },
      history: 'not_done',
    })
    expect(outcomeOf(found)).toBe('incomplete')
    expect(outcomeOf({ steps: { ...found.steps, history: 'passed' } })).toBe('verified')
    expect(found.tree?.checkpoint.size).toBe(entries.length)
  })

  it('fails at each byte of the entry that is changed, and says where', () => {
    fc.assert(
      fc.property(fc.nat({ max: bytes.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, by) => {
        const changed = bytes.map((byte, i) => (i === at ? byte ^ by : byte))
        expect(['entry', 'inclusion']).toContain(failed(check({ bytes: changed })))
      }),
    )
  })

  it('fails at each character of the proof that is changed', () => {
    fc.assert(
      fc.property(fc.nat({ max: tlogProof.length - 1 }), (at) => {
        const character = tlogProof[at] === 'B' ? 'C' : 'B'
        const changed = tlogProof.slice(0, at) + character + tlogProof.slice(at + 1)
        expect(outcomeOf(check({ tlogProof: changed }))).toBe('failed')
      }),
    )
  })

  it.each([
    ['the number of another entry', { index: 124 }, 'entry'],
    ['another entry', { bytes: entries[124] ?? bytes }, 'entry'],
    ['no entry', { bytes: new TextEncoder().encode('{}') }, 'entry'],
    ['no proof', { tlogProof: 'proof' }, 'signature'],
  ] as const)('fails for %s', (_, change, step) => {
    const found = check(change)
    expect(failed(found)).toBe(step)
    expect(found.detail).toMatch(/^[A-Z].*\.$/)
  })

  it('fails under a key that is not pinned, and without the witnesses that are', async () => {
    expect(failed(check({ tlogProof: await proofUnder(checkpointOf(entries, thief)) }))).toBe(
      'signature',
    )
    const missing = check({}, witnessed)
    expect([missing.steps.signature, failed(missing)]).toEqual(['passed', 'quorum'])
    const cosigned = checkpointOf(entries, key, { cosigners: [witness.signer] })
    const found = check({ tlogProof: await proofUnder(cosigned) }, witnessed)
    expect(found.tree?.cosigners).toEqual([{ name: 'w1', time: 1_700_000_000 }])
  })
})

describe('entries of a list, checked as they are shown', () => {
  const listed = entries.slice(100, 150).map((leaf): ListedEntry => {
    const { v: _, ...shown } = readEntry(leaf)
    return { ...shown, body: { ...shown.body }, code: '', sentence: '' }
  })
  const tree = openCheckpoint(note, { origin, logKeys: [key.verifier] }).checkpoint
  const verify = (list: readonly ListedEntry[]) =>
    verifyListed(browserHasher, { tree, tiles, entries: list })

  it('have exactly the bytes that are in the ledger', async () => {
    listed.forEach((entry, i) => expect(bytesOfListed(entry)).toEqual(entries[100 + i]))
    expect(new Set((await verify(listed)).values())).toEqual(new Set(['passed']))
  })

  it('fail where the list says something else', async () => {
    const [first, second] = listed
    if (first === undefined || second === undefined) throw new Error('too few entries')
    const lies = [
      { ...first, at: '2027-01-01T00:00:00.000Z' },
      { ...second, totals: { ...second.totals, releases_advertising: 1 } },
    ]
    expect([...(await verify(lies)).values()]).toEqual(['failed', 'failed'])
  })

  it('are not done past the tree, or in no form that is known', async () => {
    const [first] = listed
    if (first === undefined) throw new Error('too few entries')
    const { at: _, ...timeless } = first
    expect([...(await verify([{ ...first, n: 300 }, timeless])).values()]).toEqual([
      'not_done',
      'not_done',
    ])
  })
})

describe('the history that a browser remembers', () => {
  const treeAt = (size: number, of = entries): SignedTree => {
    const signed = checkpointOf(of.slice(0, size), key)
    const opened = openCheckpoint(signed, { origin, logKeys: [key.verifier] })
    return { ...opened.checkpoint, note: signed }
  }
  const seenAt = (size: number): Seen => {
    const { root, note } = treeAt(size)
    return { size, root: encodeBase64(root), note }
  }
  const prove = (from: number, to: number) => proveConsistency(browserHasher, tiles, { from, to })
  const compare = (seen: Seen | undefined, tree: SignedTree, proving = prove) =>
    compareWithSeen(browserHasher, { seen, tree, prove: proving })

  it('begins with the first tree, grows with larger ones, and keeps the largest', async () => {
    expect(await compare(undefined, treeAt(100))).toEqual({ status: 'passed', seen: seenAt(100) })
    expect(await compare(seenAt(100), treeAt(290))).toEqual({ status: 'passed', seen: seenAt(290) })
    expect(await compare(seenAt(290), treeAt(100))).toEqual({ status: 'passed', seen: seenAt(290) })
    expect(await compare(seenAt(290), treeAt(290))).toEqual({ status: 'passed', seen: seenAt(290) })
  })

  it('shows a fork, with both signed notes', async () => {
    const other = started().ledger.entries
    const same = await compare(seenAt(200), treeAt(200, other))
    expect(same).toMatchObject({ status: 'failed', seen: seenAt(200) })
    expect(same.notes).toEqual([seenAt(200).note, treeAt(200, other).note])
    const otherTiles = tilesOf(other)
    const larger = await compare(seenAt(200), treeAt(280, other), (from, to) =>
      proveConsistency(browserHasher, otherTiles, { from, to }),
    )
    expect(larger).toMatchObject({ status: 'failed', seen: seenAt(200) })
  })

  it('does not take silence for a proof', async () => {
    const silent = () => Promise.reject(new Error('no answer'))
    expect(await compare(seenAt(200), treeAt(280), silent)).toMatchObject({
      status: 'not_done',
      detail: expect.stringContaining('no answer'),
      seen: seenAt(200),
    })
  })
})
