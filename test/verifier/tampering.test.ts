import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { decodeEntry, encodeEntry } from '../support/ledger_builder.ts'
import { checkpointOf, writeLedgerFolder } from '../support/ledger_folder.ts'
import { key, newStage, started, type Stage } from './stage.ts'

let stage: Stage
beforeAll(async () => {
  stage = await newStage()
})
afterAll(() => stage.remove())

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

describe('a flipped byte in an entry', () => {
  it('is found by the tree where the hashes are those of the true entry', async () => {
    const { entries } = started().ledger
    await writeLedgerFolder(stage.folder, entries, key)
    const aPayload = (bytes: Buffer) => bytes.indexOf('payload', 100_000) + 'payload":"'.length
    await stage.spoil('tile/entries/000', aPayload, (byte) => (byte === 0x41 ? 0x42 : 0x41))
    const { findings } = await stage.verify()
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
    expect(await stage.foundIn(entries.with(151, bytes))).toMatchObject([
      { check: 'rules', index: 151, rule: 'totals' },
    ])
  })

  it('that no rule speaks of is found by whoever has an earlier checkpoint', async () => {
    const { entries } = started().ledger
    const rewritten = altered(entries, 151, ({ body }) => (body['payload'] = 'A'.repeat(43)))
    expect(await stage.foundIn(rewritten)).toEqual([])
    const earlier = checkpointOf(entries.slice(0, 200), key)
    expect(await stage.foundIn(rewritten, { earlier })).toMatchObject([
      { check: 'history', notes: [earlier, checkpointOf(rewritten, key)] },
    ])
  })
})

describe('an entry that is dropped', () => {
  it('is found by the files where the tree is that of the whole ledger', async () => {
    const { entries } = started().ledger
    await writeLedgerFolder(stage.folder, entries, key)
    const whole = await readFile(join(stage.folder, 'checkpoint'))
    await writeLedgerFolder(stage.folder, entries.toSpliced(100, 1), key)
    await writeFile(join(stage.folder, 'checkpoint'), whole)
    expect((await stage.verify()).findings).toMatchObject([{ check: 'files' }])
  })

  it('is found by the rules where the operator hashed and signed the rest', async () => {
    expect(await stage.foundIn(started().ledger.entries.toSpliced(100, 1))).toMatchObject([
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
    expect(await stage.foundIn(rest)).toMatchObject([{ check: 'rules', index: 102, rule: 'chain' }])
  })
})

describe('two entries that are swapped', () => {
  it('are found by the rules', async () => {
    const { entries } = started().ledger
    const [first = new Uint8Array(), second = new Uint8Array()] = entries.slice(100, 102)
    expect(await stage.foundIn(entries.toSpliced(100, 2, second, first))).toMatchObject([
      { check: 'rules', index: 100, rule: 'index' },
    ])
  })

  it('are found by the rules where they are numbered anew', async () => {
    const { entries } = started().ledger
    const [first = new Uint8Array(), second = new Uint8Array()] = entries.slice(100, 102)
    const swapped = [second, first].map((bytes, i) => ({ ...decodeEntry(bytes), n: 100 + i }))
    expect(
      await stage.foundIn(entries.toSpliced(100, 2, ...swapped.map(encodeEntry))),
    ).toMatchObject([{ check: 'rules', index: 100, rule: 'totals' }])
  })
})

describe('a wrong total', () => {
  it('is found by the rules, though every later entry goes on from it', async () => {
    const entries = started().ledger.entries.map((bytes, n) => {
      const entry = decodeEntry(bytes)
      if (n >= 150) lower(entry.totals, 'refusals_advertising', 9)
      return encodeEntry(entry)
    })
    expect(await stage.foundIn(entries)).toMatchObject([
      { check: 'rules', index: 150, rule: 'totals' },
    ])
  })
})

describe('a release after the revocation', () => {
  it('is found by the rules', async () => {
    const { ledger, consent } = started()
    ledger.revoke(consent)
    ledger.release(consent)
    expect(await stage.foundIn(ledger.entries)).toEqual([
      { check: 'rules', index: 301, rule: 'release', detail: 'consent revoked' },
    ])
  })
})

describe('a release to a class that is denied', () => {
  it('is found by the rules', async () => {
    const { ledger, consent } = started()
    ledger.release(consent, { to: 'advertising' })
    expect(await stage.foundIn(ledger.entries)).toEqual([
      { check: 'rules', index: 300, rule: 'release', detail: 'class denied' },
    ])
  })

  it('is found by the rules where the bank approved an advertiser', async () => {
    const { ledger } = started()
    ledger.approve({ recipient: 'adnetwork.example', class: 'advertising' })
    ledger.release(ledger.grant({ recipient: 'adnetwork.example' }), { to: 'advertising' })
    expect(await stage.foundIn(ledger.entries)).toMatchObject([
      { check: 'rules', index: 300, rule: 'approval' },
    ])
  })
})

describe('an epoch', () => {
  it('that names another sum tree than that of the entries is found, wherever it stands', async () => {
    for (const size of [3, 255, 256, 257]) {
      const { ledger } = started({ size })
      ledger.epoch()
      ledger.epoch()
      expect(await stage.foundIn(ledger.entries)).toEqual([])
      const lie = altered(ledger.entries, size, ({ body }) => (body['sum'] = 'A'.repeat(43)))
      expect(await stage.foundIn(lie)).toMatchObject([
        { check: 'rules', index: size, rule: 'epoch' },
      ])
    }
  })
})
