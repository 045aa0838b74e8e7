import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parsePolicy } from '../../src/merkle/policy.ts'
import { formatVkey } from '../../src/merkle/vkey.ts'
import { verifyJws } from '../../src/storage/jws.ts'
import { nodeHasher, verifyEd25519 } from '../../src/storage/node_crypto.ts'
import { openSource } from '../../src/verifier/source.ts'
import { verifyLedger } from '../../src/verifier/verify.ts'
import { logKey, witnessKey } from '../merkle/keys.ts'
import {
  decodeEntry,
  encodeEntry,
  newBankKey,
  openLedger,
  type LedgerBuilder,
} from '../support/ledger_builder.ts'
import { checkpointOf, policyOf, writeLedgerFolder } from '../support/ledger_folder.ts'

const origin = 'broker.example/ledger/us-bank'
const key = logKey(origin, 0x00)
const thief = logKey(origin, 0x40)
const witness = witnessKey('witness.example/w1', 0x20)
const bankKey = newBankKey()
const crypto = { hasher: nodeHasher, verifyEd25519, verifyJws }

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'countersign-verify-'))
})
afterAll(() => rm(folder, { recursive: true }))

/** 300 entries: more than a tile holds. Every second one is a release under the one consent. */
function started(): { ledger: LedgerBuilder; consent: string } {
  const ledger = openLedger({ origin, vkey: formatVkey(key.vkey), bankKey })
  ledger.approve()
  const consent = ledger.grant()
  while (ledger.entries.length < 300)
    if (ledger.entries.length % 2 === 0) ledger.refuse()
    else ledger.release(consent)
  return { ledger, consent }
}

const verify = ({ policy = policyOf(key), earlier }: { policy?: string; earlier?: string } = {}) =>
  verifyLedger(openSource(folder), { policy: parsePolicy(nodeHasher, policy), earlier, crypto })

/** What is found in a ledger that its operator wrote, hashed and signed so. */
async function foundIn(entries: readonly Uint8Array[], options: Parameters<typeof verify>[0] = {}) {
  await writeLedgerFolder(folder, entries, key)
  return (await verify(options)).findings
}

/** Replaces one entry by what `change` makes of it. */
function altered(
  entries: readonly Uint8Array[],
  index: number,
  change: (entry: ReturnType<typeof decodeEntry>) => void,
): Uint8Array[] {
  const entry = decodeEntry(entries[index] ?? new Uint8Array())
  change(entry)
  return entries.with(index, encodeEntry(entry))
}

function lower(totals: Record<string, number>, name: string, by: number): void {
  totals[name] = (totals[name] ?? 0) - by
}

/** Changes a byte of a file. */
async function spoil(
  path: string,
  at: (bytes: Buffer) => number,
  spoilt = (byte: number) => byte ^ 1,
): Promise<void> {
  const bytes = await readFile(join(folder, path))
  bytes.writeUInt8(spoilt(bytes.readUInt8(at(bytes))), at(bytes))
  await writeFile(join(folder, path), bytes)
}

describe('a sound ledger', () => {
  it('is verified, and what it amounts to is reported', async () => {
    const { ledger, consent } = started()
    ledger.revoke(consent)
    await writeLedgerFolder(folder, ledger.entries, key)
    const report = await verify()
    expect(report.findings).toEqual([])
    expect(report).toMatchObject({
      verified: true,
      ledger: { origin, size: 301, cosigners: [] },
      counts: {
        first: '2026-01-01T00:00:00.000Z',
        last: '2026-01-01T00:05:00.000Z',
        vkey: formatVkey(key.vkey),
        releases: { data_subject: 0, messaging_platform: 149, advertising: 0, third_party: 0 },
        refusals: { data_subject: 0, messaging_platform: 0, advertising: 148, third_party: 0 },
        refusals_by_reason: { class_denied: 148 },
        consents: { granted: 1, replaced: 0, revoked: 1, expired: 0, active: 0 },
        recipients: [
          { recipient: 'messenger.example', class: 'messaging_platform', suspended: false },
        ],
      },
      checks: {
        checkpoint: 'passed',
        files: 'passed',
        tree: 'passed',
        rules: 'passed',
        identity: 'passed',
        history: 'not_done',
      },
    })
  })

  it.each([1, 2, 255, 256, 257, 300])('is verified at %i entries', async (size) => {
    expect(await foundIn(started().ledger.entries.slice(0, size))).toEqual([])
  })

  it('may have been seen before, smaller or of this size', async () => {
    const { entries } = started().ledger
    for (const size of [0, 1, 255, 256, 299, 300])
      expect(
        await foundIn(entries, { earlier: checkpointOf(entries.slice(0, size), key) }),
      ).toEqual([])
    expect((await verify({ earlier: checkpointOf(entries, key) })).checks.history).toBe('passed')
  })

  it('may be cosigned by the witnesses that the policy asks for', async () => {
    const policy = `log ${formatVkey(key.vkey)}\nwitness w1 ${formatVkey(witness.vkey)}\nquorum w1\n`
    const { entries } = started().ledger
    await writeLedgerFolder(folder, entries, key, { cosigners: [witness.signer] })
    expect(await verify({ policy })).toMatchObject({
      verified: true,
      ledger: { cosigners: [{ name: 'w1', time: 1_700_000_000 }] },
    })
    await writeLedgerFolder(folder, entries, key)
    expect((await verify({ policy })).findings).toEqual([
      { check: 'checkpoint', detail: 'too few witnesses cosigned' },
    ])
  })
})

describe('a flipped byte in an entry', () => {
  it('is found by the tree where the hashes are those of the true entry', async () => {
    const { entries } = started().ledger
    await writeLedgerFolder(folder, entries, key)
    const aPayload = (bytes: Buffer) => bytes.indexOf('payload', 100_000) + 'payload":"'.length
    await spoil('tile/entries/000', aPayload, (byte) => (byte === 0x41 ? 0x42 : 0x41))
    const { findings } = await verify()
    expect(findings).toEqual([
      { check: 'tree', detail: 'the entries do not hash to the root that is signed' },
      { check: 'tree', detail: 'tile/0/000 does not hold the hashes of the entries' },
    ])
  })

  it('is found by the rules where the operator hashed and signed it anew', async () => {
    const { entries } = started().ledger
    const bytes = Uint8Array.from(entries[151] ?? [])
    const grants = new TextDecoder().decode(bytes).indexOf('"grants":') + 9
    bytes[grants] = (bytes[grants] ?? 0) ^ 1
    expect(await foundIn(entries.with(151, bytes))).toMatchObject([
      { check: 'rules', index: 151, rule: 'totals' },
    ])
  })

  it('that no rule speaks of is found by whoever has an earlier checkpoint', async () => {
    const { entries } = started().ledger
    const rewritten = altered(entries, 151, ({ body }) => (body['payload'] = 'A'.repeat(43)))
    expect(await foundIn(rewritten)).toEqual([])
    const earlier = checkpointOf(entries.slice(0, 200), key)
    expect(await foundIn(rewritten, { earlier })).toMatchObject([
      { check: 'history', notes: [earlier, checkpointOf(rewritten, key)] },
    ])
  })
})

describe('an entry that is dropped', () => {
  it('is found by the files where the tree is that of the whole ledger', async () => {
    const { entries } = started().ledger
    await writeLedgerFolder(folder, entries, key)
    const whole = await readFile(join(folder, 'checkpoint'))
    await writeLedgerFolder(folder, entries.toSpliced(100, 1), key)
    await writeFile(join(folder, 'checkpoint'), whole)
    expect((await verify()).findings).toMatchObject([{ check: 'files' }])
  })

  it('is found by the rules where the operator hashed and signed the rest', async () => {
    expect(await foundIn(started().ledger.entries.toSpliced(100, 1))).toMatchObject([
      { check: 'rules', index: 100, rule: 'index' },
    ])
  })

  it('is found by the rules where the rest is numbered and counted anew', async () => {
    const { entries } = started().ledger
    const rest = entries.toSpliced(101, 1).map((bytes, n) => {
      const entry = decodeEntry(bytes)
      entry.n = n
      if (n >= 101) lower(entry.totals, 'releases_messaging_platform', 1)
      return encodeEntry(entry)
    })
    expect(await foundIn(rest)).toMatchObject([{ check: 'rules', index: 102, rule: 'chain' }])
  })
})

describe('two entries that are swapped', () => {
  it('are found by the rules', async () => {
    const { entries } = started().ledger
    const [first = new Uint8Array(), second = new Uint8Array()] = entries.slice(100, 102)
    expect(await foundIn(entries.toSpliced(100, 2, second, first))).toMatchObject([
      { check: 'rules', index: 100, rule: 'index' },
    ])
  })

  it('are found by the rules where they are numbered anew', async () => {
    const { entries } = started().ledger
    const [first = new Uint8Array(), second = new Uint8Array()] = entries.slice(100, 102)
    const swapped = [second, first].map((bytes, i) => ({ ...decodeEntry(bytes), n: 100 + i }))
    expect(await foundIn(entries.toSpliced(100, 2, ...swapped.map(encodeEntry)))).toMatchObject([
      { check: 'rules', index: 100, rule: 'totals' },
    ])
  })
})

describe('a wrong total', () => {
  it('is found by the rules, though every later entry goes on from it', async () => {
    const entries = started().ledger.entries.map((bytes, n) => {
      const entry = decodeEntry(bytes)
      if (n >= 150) lower(entry.totals, 'refusals_advertising', 9)
      return encodeEntry(entry)
    })
    expect(await foundIn(entries)).toMatchObject([{ check: 'rules', index: 150, rule: 'totals' }])
  })
})

describe('a release after the revocation', () => {
  it('is found by the rules', async () => {
    const { ledger, consent } = started()
    ledger.revoke(consent)
    ledger.release(consent)
    expect(await foundIn(ledger.entries)).toEqual([
      { check: 'rules', index: 301, rule: 'release', detail: 'consent revoked' },
    ])
  })
})

describe('a release to a class that is denied', () => {
  it('is found by the rules', async () => {
    const { ledger, consent } = started()
    ledger.release(consent, { to: 'advertising' })
    expect(await foundIn(ledger.entries)).toEqual([
      { check: 'rules', index: 300, rule: 'release', detail: 'class denied' },
    ])
  })

  it('is found by the rules where the bank approved an advertiser', async () => {
    const { ledger } = started()
    ledger.approve({ recipient: 'adnetwork.example', class: 'advertising' })
    ledger.release(ledger.grant({ recipient: 'adnetwork.example' }), { to: 'advertising' })
    expect(await foundIn(ledger.entries)).toMatchObject([
      { check: 'rules', index: 300, rule: 'approval' },
    ])
  })
})

describe('a checkpoint of another key', () => {
  it('is found where the policy does not trust the key', async () => {
    await writeLedgerFolder(folder, started().ledger.entries, thief)
    const report = await verify()
    expect(report.findings).toMatchObject([{ check: 'checkpoint' }])
    expect(report.checks).toMatchObject({ checkpoint: 'failed', files: 'not_done' })
    expect(report.counts).toBeUndefined()
  })

  it('is found where the policy trusts the key, and the entries name another', async () => {
    await writeLedgerFolder(folder, started().ledger.entries, thief)
    expect((await verify({ policy: policyOf(thief) })).findings).toMatchObject([
      { check: 'identity', detail: expect.stringContaining(formatVkey(key.vkey)) },
    ])
  })

  it('is found where a key entry gave the ledger a new key, and the old one signed', async () => {
    const { ledger } = started()
    ledger.append('key', { vkey: formatVkey(thief.vkey) })
    const policy = `log ${formatVkey(key.vkey)}\n${policyOf(thief)}`
    expect(await foundIn(ledger.entries, { policy })).toMatchObject([{ check: 'identity' }])
    await writeLedgerFolder(folder, ledger.entries, thief)
    expect((await verify({ policy })).findings).toEqual([])
  })

  it('is found where the entries open another ledger', async () => {
    const other = openLedger({ origin: 'broker.example/ledger/citi', vkey: formatVkey(key.vkey) })
    expect(await foundIn(other.entries)).toMatchObject([{ check: 'identity' }])
  })
})

describe('a fork', () => {
  it('of equal size is reported with both signed notes', async () => {
    const { ledger, consent } = started()
    ledger.epoch()
    const earlier = checkpointOf(ledger.entries, key)
    ledger.entries.pop()
    ledger.release(consent)
    const newest = checkpointOf(ledger.entries, key)
    expect(await foundIn(ledger.entries, { earlier })).toEqual([
      {
        check: 'history',
        detail: 'it signed two different ledgers of 301 entries: this is a fork',
        notes: [earlier, newest],
      },
    ])
  })

  it('is reported where entries were taken back', async () => {
    const { entries } = started().ledger
    const earlier = checkpointOf(entries, key)
    expect(await foundIn(entries.slice(0, 299), { earlier })).toMatchObject([
      { check: 'history', detail: expect.stringContaining('taken back') },
    ])
  })

  it('is not made of a checkpoint that the ledger never signed', async () => {
    const { entries } = started().ledger
    for (const earlier of [checkpointOf(entries, thief), 'no checkpoint at all'])
      expect(await foundIn(entries, { earlier })).toMatchObject([{ check: 'history' }])
  })
})

describe('files', () => {
  it.each([
    ['files', 'tile/1/000.p/1'],
    ['files', 'tile/0/001.p/44'],
    ['files', 'tile/entries/000'],
    ['checkpoint', 'checkpoint'],
  ])('that are missing are found by the check of %s: %s', async (check, path) => {
    await writeLedgerFolder(folder, started().ledger.entries, key)
    await rm(join(folder, path))
    expect((await verify()).findings).toEqual([{ check, detail: `${path}: there is no such file` }])
  })

  it('that do not hold the hashes of the entries are found', async () => {
    for (const path of ['tile/0/000', 'tile/0/001.p/44', 'tile/1/000.p/1']) {
      await writeLedgerFolder(folder, started().ledger.entries, key)
      await spoil(path, () => 7)
      expect((await verify()).findings).toEqual([
        { check: 'tree', detail: `${path} does not hold the hashes of the entries` },
      ])
    }
  })

  it('that are cut short or too long are found', async () => {
    for (const path of ['tile/0/000', 'tile/entries/000', 'tile/1/000.p/1']) {
      await writeLedgerFolder(folder, started().ledger.entries, key)
      const bytes = await readFile(join(folder, path))
      for (const wrong of [bytes.subarray(0, -1), Buffer.concat([bytes, bytes])]) {
        await writeFile(join(folder, path), wrong)
        expect((await verify()).findings).toMatchObject([{ check: 'files' }])
      }
    }
  })

  it('of an empty ledger open nothing', async () => {
    expect(await foundIn([])).toMatchObject([{ check: 'identity' }])
  })

  it('of a ledger that grew meanwhile are read where the full ones took the place of the partial', async () => {
    const { ledger, consent } = started()
    await writeLedgerFolder(folder, ledger.entries, key)
    const kept = ['checkpoint', 'tile/1/000.p/1'].map((path) => join(folder, path))
    const contents = await Promise.all(kept.map((path) => readFile(path)))
    while (ledger.entries.length < 512) ledger.release(consent)
    await writeLedgerFolder(folder, ledger.entries, key)
    await Promise.all(kept.map((path, i) => writeFile(path, contents[i] ?? '')))
    expect(await verify()).toMatchObject({ findings: [], ledger: { size: 300 } })
  })
})
