import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { formatVkey } from '../../src/merkle/vkey.ts'
import { reportText } from '../../src/verifier/report_text.ts'
import { logKey, witnessKey } from '../merkle/keys.ts'
import { newBankKey, openLedger } from '../support/ledger_builder.ts'
import { checkpointOf, policyOf, writeLedgerFolder } from '../support/ledger_folder.ts'
import { key, newStage, origin, started, thief, type Stage } from './stage.ts'

const witness = witnessKey('witness.example/w1', 0x20)

let stage: Stage
beforeAll(async () => {
  stage = await newStage()
})
afterAll(() => stage.remove())

describe('a sound ledger', () => {
  it('is verified, and what it amounts to is reported', async () => {
    const { ledger, consent } = started()
    ledger.revoke(consent)
    await writeLedgerFolder(stage.folder, ledger.entries, key)
    const report = await stage.verify()
    expect(report.findings).toEqual([])
    expect(report).toMatchObject({
      verified: true,
      ledger: { origin, size: 301, cosigners: [] },
      counts: {
        first: '2026-01-01T00:00:00.000Z',
        last: '2026-01-01T00:05:00.000Z',
        vkeys: [formatVkey(key.vkey)],
        releases: { data_subject: 0, messaging_platform: 149, advertising: 0, third_party: 0 },
        refusals: { data_subject: 0, messaging_platform: 0, advertising: 148, third_party: 0 },
        refusals_by_reason: { class_denied: 148 },
        consents: { granted: 1, replaced: 0, revoked: 1, expired: 0, active: 0 },
        statements: { statements: 0 },
        recipients: [
          { recipient: 'messenger.example', class: 'messaging_platform', suspended: false },
        ],
      },
      checks: {
        checkpoint: 'passed',
        freshness: 'not_done',
        files: 'passed',
        tree: 'passed',
        rules: 'passed',
        identity: 'passed',
        history: 'not_done',
      },
    })
  })

  it.each([1, 2, 255, 256, 257, 300])('is verified at %i entries', async (size) => {
    expect(await stage.foundIn(started().ledger.entries.slice(0, size))).toEqual([])
  })

  it('may have been seen before, smaller or of this size', async () => {
    const { entries } = started().ledger
    for (const size of [0, 1, 255, 256, 299, 300])
      expect(
        await stage.foundIn(entries, { earlier: checkpointOf(entries.slice(0, size), key) }),
      ).toEqual([])
    expect((await stage.verify({ earlier: checkpointOf(entries, key) })).checks.history).toBe(
      'passed',
    )
  })

  it('may be cosigned by the witnesses that the policy asks for', async () => {
    const policy = `log ${formatVkey(key.vkey)}\nwitness w1 ${formatVkey(witness.vkey)}\nquorum w1\n`
    const { entries } = started().ledger
    await writeLedgerFolder(stage.folder, entries, key, { cosigners: [witness.signer] })
    expect(await stage.verify({ policy })).toMatchObject({
      verified: true,
      ledger: { cosigners: [{ name: 'w1', time: 1_700_000_000 }] },
    })
    await writeLedgerFolder(stage.folder, entries, key)
    expect((await stage.verify({ policy })).findings).toEqual([
      { check: 'checkpoint', detail: 'too few witnesses cosigned' },
    ])
  })
})

describe('a checkpoint cosigned long ago', () => {
  const cosigned_s = 1_700_000_000
  const others = [witnessKey('witness.example/w2', 0x50, cosigned_s - 3_600)]
  const policy = (quorum: string) =>
    [
      `log ${formatVkey(key.vkey)}`,
      `witness w1 ${formatVkey(witness.vkey)}`,
      ...others.map(({ vkey }) => `witness w2 ${formatVkey(vkey)}`),
      'group both all w1 w2',
      `quorum ${quorum}\n`,
    ].join('\n')
  const ageAt = (seconds_later: number, max_age_s: number) => ({
    freshness: { max_age_s, now: (cosigned_s + seconds_later) * 1_000 },
  })
  beforeAll(() =>
    writeLedgerFolder(stage.folder, started().ledger.entries, key, {
      cosigners: [witness.signer, ...others.map(({ signer }) => signer)],
    }),
  )

  it.each([
    ['of the age that is allowed', 'w1', 600, 600, true],
    ['a second older', 'w1', 601, 600, false],
    ['by one of two that are needed', 'both', 600, 600, false],
    ['by both within a longer time', 'both', 600, 4_200, true],
    ['by a clock that is a little ahead', 'w1', -300, 600, true],
    ['by a clock that is far ahead', 'w1', -301, 600, false],
  ])('is fresh or is not: %s', async (_name, quorum, later, max_age_s, fresh) => {
    const report = await stage.verify({ policy: policy(quorum), ...ageAt(later, max_age_s) })
    expect(report.findings).toEqual(
      fresh
        ? []
        : [{ check: 'freshness', detail: expect.stringContaining(`in the last ${max_age_s} s`) }],
    )
    expect(report.checks.freshness).toBe(fresh ? 'passed' : 'failed')
  })

  it('is reported with who cosigned it, and how old that is', async () => {
    const text = reportText(await stage.verify({ policy: policy('both'), ...ageAt(90, 60) }))
    expect(text).toContain('Cosigned by     w1 at 2023-11-14T22:13:20.000Z, 90 s ago\n')
    expect(text).toContain('Cosigned by     w2 at 2023-11-14T21:13:20.000Z, 3,690 s ago\n')
    expect(text).toContain('✗ freshness: too few witnesses cosigned it in the last 60 s')
  })
})

describe('a checkpoint of another key', () => {
  it('is found where the policy does not trust the key', async () => {
    await writeLedgerFolder(stage.folder, started().ledger.entries, thief)
    const report = await stage.verify()
    expect(report.findings).toMatchObject([{ check: 'checkpoint' }])
    expect(report.checks).toMatchObject({ checkpoint: 'failed', files: 'not_done' })
    expect(report.counts).toBeUndefined()
  })

  it('is found where the policy trusts the key, and the entries name another', async () => {
    await writeLedgerFolder(stage.folder, started().ledger.entries, thief)
    expect((await stage.verify({ policy: policyOf(thief) })).findings).toMatchObject([
      { check: 'identity', detail: expect.stringContaining(formatVkey(key.vkey)) },
    ])
  })

  it('is found where a key entry gave the ledger a new key, and the old one signed', async () => {
    const { ledger } = started()
    const [old, next] = [formatVkey(key.vkey), formatVkey(thief.vkey)]
    ledger.key({ of: 'ledger', key: next })
    ledger.key({ of: 'ledger', key: next, use: 'active' })
    ledger.key({ of: 'ledger', key: old, use: 'retired' })
    const policy = `log ${formatVkey(key.vkey)}\n${policyOf(thief)}`
    expect(await stage.foundIn(ledger.entries, { policy })).toMatchObject([{ check: 'identity' }])
    await writeLedgerFolder(stage.folder, ledger.entries, thief)
    expect((await stage.verify({ policy })).findings).toEqual([])
  })

  it('is not found while both keys are active, whichever of them is trusted', async () => {
    const { ledger } = started()
    for (const use of ['next', 'active'] as const)
      ledger.key({ of: 'ledger', key: formatVkey(thief.vkey), use })
    expect(await stage.foundIn(ledger.entries)).toEqual([])
    await writeLedgerFolder(stage.folder, ledger.entries, thief)
    const report = await stage.verify({ policy: policyOf(thief) })
    expect(report.findings).toEqual([])
    expect(report.counts?.vkeys).toEqual([formatVkey(key.vkey), formatVkey(thief.vkey)])
  })

  it("is found where the entries name another bank's key than the bank gave", async () => {
    const { entries, bankKey } = started().ledger
    const given = { ...bankKey.jwk, kid: 'any' }
    expect(await stage.foundIn(entries, { bankKey: given })).toEqual([])
    expect(await stage.foundIn(entries, { bankKey: newBankKey().jwk })).toEqual([
      { check: 'identity', detail: "the first entry names another key than the bank's" },
    ])
  })

  it('is found where the entries open another ledger', async () => {
    const other = openLedger({ origin: 'broker.example/ledger/citi', vkey: formatVkey(key.vkey) })
    expect(await stage.foundIn(other.entries)).toMatchObject([{ check: 'identity' }])
  })
})

describe('a ledger that ended, and the one that follows it', () => {
  const nextKey = logKey(`${origin}-2`, 0x60)
  const both = `log ${formatVkey(key.vkey)}\n${policyOf(nextKey)}`
  /** The ledger that begins with this last word of the other. */
  const following = (checkpoint: string) =>
    openLedger({
      origin: nextKey.vkey.name,
      vkey: formatVkey(nextKey.vkey),
      genesis: {
        predecessor: { checkpoint: Buffer.from(checkpoint).toString('base64url'), reason },
      },
    })
  const reason = 'the database was lost'

  it('is said to be closed', async () => {
    const { ledger, consent } = started()
    expect((await verifyOf(ledger.entries)).counts).toMatchObject({ closed: false })
    ledger.revoke(consent)
    ledger.close()
    expect((await verifyOf(ledger.entries)).counts).toMatchObject({ closed: true })
  })

  it('is shown with what it follows, which is checked where the policy knows it', async () => {
    const checkpoint = checkpointOf(started().ledger.entries, key)
    await writeLedgerFolder(stage.folder, following(checkpoint).entries, nextKey)
    for (const policy of [both, policyOf(nextKey)])
      expect(await stage.verify({ policy })).toMatchObject({
        findings: [],
        counts: { predecessor: { origin, size: 300, reason } },
      })
  })

  it('is found to follow what the other never signed', async () => {
    const forged = checkpointOf(started().ledger.entries, thief)
    await writeLedgerFolder(stage.folder, following(forged).entries, nextKey)
    expect((await stage.verify({ policy: both })).findings).toMatchObject([
      { check: 'identity', detail: expect.stringMatching(/^the ledger that this one follows/) },
    ])
  })

  async function verifyOf(entries: readonly Uint8Array[]) {
    await writeLedgerFolder(stage.folder, entries, key)
    return stage.verify()
  }
})

describe('a ledger that was restored', () => {
  const restored = (change = (note: string) => note) => {
    const { ledger } = started()
    const note = change(checkpointOf(ledger.entries, key))
    ledger.restore({ checkpoint: Buffer.from(note).toString('base64url') })
    ledger.refuse()
    return ledger
  }

  it('says so for ever', async () => {
    const ledger = restored()
    await writeLedgerFolder(stage.folder, ledger.entries, key)
    const { findings, counts } = await stage.verify()
    expect(findings).toEqual([])
    expect(counts?.restores).toMatchObject([{ n: 300 }])
  })

  it('is found to have been restored to something else', async () => {
    const ledger = restored((note) => note.replace(/\n300\n.{43}=/, `\n300\n${'A'.repeat(43)}=`))
    await writeLedgerFolder(stage.folder, ledger.entries, key)
    expect((await stage.verify()).findings).toMatchObject([
      { check: 'tree', detail: expect.stringMatching(/^entry 300 says it was restored/) },
    ])
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
    expect(await stage.foundIn(ledger.entries, { earlier })).toEqual([
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
    expect(await stage.foundIn(entries.slice(0, 299), { earlier })).toMatchObject([
      { check: 'history', detail: expect.stringContaining('taken back') },
    ])
  })

  it('is not made of a checkpoint that the ledger never signed', async () => {
    const { entries } = started().ledger
    for (const earlier of [checkpointOf(entries, thief), 'no checkpoint at all'])
      expect(await stage.foundIn(entries, { earlier })).toMatchObject([{ check: 'history' }])
  })
})

describe('files', () => {
  it.each([
    ['files', 'tile/1/000.p/1'],
    ['files', 'tile/0/001.p/44'],
    ['files', 'tile/entries/000'],
    ['checkpoint', 'checkpoint'],
  ])('that are missing are found by the check of %s: %s', async (check, path) => {
    await writeLedgerFolder(stage.folder, started().ledger.entries, key)
    await rm(join(stage.folder, path))
    expect((await stage.verify()).findings).toEqual([
      { check, detail: `${path}: there is no such file` },
    ])
  })

  it('that do not hold the hashes of the entries are found', async () => {
    for (const path of ['tile/0/000', 'tile/0/001.p/44', 'tile/1/000.p/1']) {
      await writeLedgerFolder(stage.folder, started().ledger.entries, key)
      await stage.spoil(path, () => 7)
      expect((await stage.verify()).findings).toEqual([
        { check: 'tree', detail: `${path} does not hold the hashes of the entries` },
      ])
    }
  })

  it('that are cut short or too long are found', async () => {
    for (const path of ['tile/0/000', 'tile/entries/000', 'tile/1/000.p/1']) {
      await writeLedgerFolder(stage.folder, started().ledger.entries, key)
      const bytes = await readFile(join(stage.folder, path))
      for (const wrong of [bytes.subarray(0, -1), Buffer.concat([bytes, bytes])]) {
        await writeFile(join(stage.folder, path), wrong)
        expect((await stage.verify()).findings).toMatchObject([{ check: 'files' }])
      }
    }
  })

  it('of an empty ledger open nothing', async () => {
    expect(await stage.foundIn([])).toMatchObject([{ check: 'identity' }])
  })

  it('of a ledger that grew meanwhile are read where the full ones took the place of the partial', async () => {
    const { ledger, consent } = started()
    await writeLedgerFolder(stage.folder, ledger.entries, key)
    const kept = ['checkpoint', 'tile/1/000.p/1'].map((path) => join(stage.folder, path))
    const contents = await Promise.all(kept.map((path) => readFile(path)))
    while (ledger.entries.length < 512) ledger.release(consent)
    await writeLedgerFolder(stage.folder, ledger.entries, key)
    await Promise.all(kept.map((path, i) => writeFile(path, contents[i] ?? '')))
    expect(await stage.verify()).toMatchObject({ findings: [], ledger: { size: 300 } })
  })
})
