import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, watch } from 'node:fs'
import { cp, mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { formatVkey } from '../../src/merkle/vkey.ts'
import type { Report } from '../../src/verifier/report.ts'
import { logKey } from '../merkle/keys.ts'
import { decodeEntry, encodeEntry, openLedger } from '../support/ledger_builder.ts'
import { checkpointOf, policyOf, writeLedgerFolder } from '../support/ledger_folder.ts'
import { origin, key } from '../verifier/stage.ts'

const program = resolve(import.meta.dirname, '../../dist/verify.mjs')

let folder: string
let entries: readonly Uint8Array[]
const at = (name: string) => join(folder, name)

/** Enough for threads to be worth while, and for the verification to be kept on the way. */
const size = 12_000

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'countersign-offline-'))
  // As on the machine of an auditor: the file, and nothing else.
  await cp(program, at('verify.mjs'))
  await writeFile(at('policy'), policyOf(key))
  const ledger = openLedger({ origin, vkey: formatVkey(key.vkey) })
  ledger.approve()
  const consents = Array.from({ length: 40 }, () => ledger.grant())
  for (let i = 0; ledger.entries.length < size; i++)
    if (i % 50 === 0) ledger.refuse()
    else ledger.release(consents[i % consents.length] ?? '')
  entries = ledger.entries
  await writeLedgerFolder(at('large'), entries, key)
  await writeLedgerFolder(at('small'), entries.slice(0, 300), key)
})
afterAll(() => rm(folder, { recursive: true }))

function start(...argv: readonly string[]): ChildProcess {
  return spawn(process.execPath, [at('verify.mjs'), ...argv], { cwd: folder })
}

async function outcomeOf(child: ChildProcess) {
  const said = { out: '', err: '' }
  child.stdout?.on('data', (data: Buffer) => (said.out += data.toString()))
  child.stderr?.on('data', (data: Buffer) => (said.err += data.toString()))
  await once(child, 'close')
  return { ...said, code: child.exitCode, signal: child.signalCode }
}

const run = (...argv: readonly string[]) => outcomeOf(start(...argv))

/** The report on a folder, as JSON. */
async function reportOn(name: string, ...more: readonly string[]): Promise<Report> {
  const { out, err, code } = await run(name, '--policy', 'policy', '--json', ...more)
  expect(err).toBe('')
  const report = JSON.parse(out) as Report
  expect(code).toBe(report.verified ? 0 : 1)
  return report
}

describe('node verify.mjs', () => {
  it('verifies a folder, alone and without a word on the way', async () => {
    const { out, err, code } = await run('small', '--policy', 'policy')
    expect({ err, code }).toEqual({ err: '', code: 0 })
    expect(out).toContain('VERIFIED. Nothing was found wrong with this ledger.')
  })

  it('imports nothing but what Node.js has', async () => {
    const text = await readFile(program, 'utf8')
    const imported = [...text.matchAll(/^(?:import|\} from) .*?"([^"]+)";$/gm)].map(
      ([, name]) => name,
    )
    expect(imported.length).toBeGreaterThan(5)
    expect(imported.filter((name) => !name?.startsWith('node:'))).toEqual([])
    expect(text).not.toMatch(/\bfetch\(/)
  })

  it('exits 2 where it is called wrongly, and says how it is called', async () => {
    for (const argv of [
      [],
      ['small'],
      ['small', '--policy', 'none'],
      ['small', '--policy', 'policy', '--threads', '0'],
      ['small', '--policy', 'policy', '--threads', '65'],
      ['small', '--policy', 'policy', '--client', 'a'],
    ]) {
      const { err, code, out } = await run(...argv)
      expect({ code, out }).toEqual({ code: 2, out: '' })
      expect(err).toContain('usage: node verify.mjs <folder or file> --policy <file>')
    }
    await writeFile(at('strange'), `${policyOf(key)}telegraph x\n`)
    const { err } = await run('small', '--policy', 'strange')
    expect(err).toContain('the policy is wrong: line 3:')
  })

  it('verifies each ledger of an archive, against every checkpoint that it kept', async () => {
    const other = logKey('broker.example/ledger/citi', 0x60)
    const second = openLedger({ bank: 'citi', vkey: formatVkey(other.vkey) })
    const archived = async (name: string, of: readonly Uint8Array[], by: typeof key) => {
      const place = at(`archive/ledger/${name}`)
      await writeLedgerFolder(place, of, by)
      await mkdir(join(place, 'checkpoints'))
      await rm(join(place, 'policy'))
      await rename(
        join(place, 'checkpoint'),
        join(place, `checkpoints/${String(of.length).padStart(16, '0')}`),
      )
    }
    await archived('us-bank', entries.slice(0, 300), key)
    await archived('citi', second.entries, other)
    await mkdir(at('archive/ledger/.hidden'))
    await writeFile(at('both'), `${policyOf(other).split('\n')[0]}\n${policyOf(key)}`)
    const sound = await run('archive', '--policy', 'both', '--json')
    expect(sound).toMatchObject({ code: 0, err: '' })
    const reports = sound.out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Report)
    expect(reports.map(({ verified, ledger }) => [verified, ledger?.origin])).toEqual([
      [true, 'broker.example/ledger/citi'],
      [true, origin],
    ])
    const path = at('archive/ledger/us-bank/checkpoints/0000000000000200')
    await writeFile(path, checkpointOf(entries.slice(0, 200), key))
    expect(await run('archive', '--policy', 'both')).toMatchObject({ code: 0 })
    await writeFile(path, checkpointOf(entries.slice(1, 201), key))
    const forked = await run('archive', '--policy', 'both')
    expect(forked.code).toBe(1)
    expect(forked.out).toContain(
      'its first 200 entries are not those that it signed earlier: this is a fork',
    )
  })

  it('reads what it is given, and of an export what belongs to it, and not what has its name', async () => {
    for (const name of ['report.html', 'one.ndjson', 'one.csv', 'one.manifest', 'one.proof'])
      await writeFile(at(name), '')
    const proof = { origin: 'x', from_index: 0, to_index: 1, totals: {}, proofs: {} }
    for (const name of ['report.json', 'one.json'])
      await writeFile(at(name), JSON.stringify({ ...proof, basis: 'entries', open_end: false }))
    const placesOf = async (name: string) =>
      [...(await run(name, '--policy', 'policy')).out.matchAll(/^Read from +(.*)$/gm)].map(
        ([, place]) => place,
      )
    expect(await placesOf('report.html')).toEqual(['report.html'])
    expect(await placesOf('report.json')).toEqual(['report.json'])
    expect(await placesOf('one.csv')).toEqual(['one.csv'])
    expect(await placesOf('one.ndjson')).toEqual(['one.ndjson'])
  })

  it('follows no link where a file belongs, waits for no pipe, and reads nothing endless', async () => {
    await cp(at('small'), at('hostile'), { recursive: true })
    const tile = at('hostile/tile/0/000')
    await rename(tile, at('elsewhere'))
    await symlink(at('elsewhere'), tile)
    expect((await reportOn('hostile')).findings).toEqual([
      { check: 'files', detail: 'tile/0/000: it is a link' },
    ])
    await rm(tile)
    await mkdir(tile)
    expect((await reportOn('hostile')).findings).toEqual([
      { check: 'files', detail: 'tile/0/000: it is not a file' },
    ])
    await rm(tile, { recursive: true })
    await outcomeOf(spawn('mkfifo', [tile]))
    expect((await reportOn('hostile')).findings).toEqual([
      { check: 'files', detail: 'tile/0/000: it is not a file' },
    ])
    await rm(tile)
    await writeFile(tile, Buffer.alloc(1 << 20))
    expect((await reportOn('hostile')).findings).toEqual([
      { check: 'files', detail: 'tile/0/000: longer than 8192 bytes' },
    ])
  })

  it('reads a checkpoint with a hundred signatures, and none with more', async () => {
    await cp(at('small'), at('signed'), { recursive: true })
    const note = await readFile(at('signed/checkpoint'), 'utf8')
    const grease = (n: number) =>
      `— grease.example/${n} ${Buffer.alloc(68, n).toString('base64')}\n`
    const signed = (signatures: number) =>
      writeFile(
        at('signed/checkpoint'),
        note + Array.from({ length: signatures - 1 }, (_, n) => grease(n)).join(''),
      )
    await signed(100)
    expect(await reportOn('signed')).toMatchObject({ verified: true })
    await signed(101)
    expect((await reportOn('signed')).findings).toEqual([
      { check: 'checkpoint', detail: 'a note has 1 to 100 signatures' },
    ])
  })

  it('says that it does not know an entry of a kind or a version to come', async () => {
    const changed = (member: 'kind' | 'v', value: unknown) =>
      entries
        .slice(0, 300)
        .with(
          299,
          encodeEntry({ ...decodeEntry(entries[299] ?? new Uint8Array()), [member]: value }),
        )
    await writeLedgerFolder(at('future'), changed('kind', 'telepathy'), key)
    const { findings } = await reportOn('future')
    expect(findings).toMatchObject([
      { index: 299, rule: 'form', detail: expect.stringContaining('unknown kind telepathy') },
    ])
    await writeLedgerFolder(at('future'), changed('v', 2), key)
    expect((await reportOn('future')).findings).toMatchObject([
      { index: 299, rule: 'form', detail: 'format version 2: it takes a newer verifier' },
    ])
  })
})

describe('threads', () => {
  /** What is reported with each number of threads, which must be the same. */
  async function reported(name: string): Promise<Report> {
    const [one, ...others] = await Promise.all(
      ['1', '2', '3'].map((threads) => reportOn(name, '--threads', threads)),
    )
    for (const other of others) expect(other).toEqual(one)
    return one as Report
  }

  it('report what one thread reports', async () => {
    expect(await reported('large')).toMatchObject({ verified: true, ledger: { size } })
  })

  it('report the first violation, and the first tile and file that are wrong', async () => {
    const broken = [...entries]
    for (const n of [11_000, 9_000, 10_000])
      broken[n] = encodeEntry({
        ...decodeEntry(entries[n] ?? new Uint8Array()),
        at: '2020-01-01T00:00:00.000Z',
      })
    await writeLedgerFolder(at('broken'), broken, key)
    for (const tile of ['tile/0/040', 'tile/0/030'])
      await writeFile(join(at('broken'), tile), Buffer.alloc(8192))
    expect((await reported('broken')).findings).toMatchObject([
      { check: 'tree', detail: 'tile/0/030 does not hold the hashes of the entries' },
      { check: 'rules', index: 9_000, rule: 'time' },
    ])
    await rm(join(at('broken'), 'tile/0/040'))
    await writeFile(join(at('broken'), 'tile/entries/038'), 'no bundle')
    expect((await reported('broken')).findings).toEqual([
      { check: 'files', detail: 'a bundle ends within an entry' },
    ])
  })

  it('report an epoch whose sum tree is another, unless an entry before it is wrong', async () => {
    const ledger = openLedger({ origin, vkey: formatVkey(key.vkey) })
    while (ledger.entries.length < size)
      if (ledger.entries.length === 10_000) ledger.epoch({ sum: 'A'.repeat(43) })
      else ledger.refuse()
    await writeLedgerFolder(at('epoch'), ledger.entries, key)
    expect((await reported('epoch')).findings).toMatchObject([{ index: 10_000, rule: 'epoch' }])
    const wrong = (n: number) =>
      ledger.entries.with(
        n,
        encodeEntry({ ...decodeEntry(ledger.entries[n] ?? new Uint8Array()), n: 1 }),
      )
    for (const [n, first] of [
      [10_001, 10_000],
      [11_000, 10_000],
      [9_999, 9_999],
    ] as const) {
      await writeLedgerFolder(at('epoch'), wrong(n), key)
      expect((await reported('epoch')).findings).toMatchObject([{ index: first }])
    }
  })
})

describe('--resume', () => {
  /** A verification that goes on also compares with the checkpoint that it began under. */
  const withoutHistory = (report: Report) => ({
    ...report,
    resumed_at: undefined,
    earlier: undefined,
    checks: { ...report.checks, history: 'not_done' },
  })

  it.each(['1', '2'])(
    'goes on after a kill, with %s threads, and reports what it would have from the start',
    async (threads) => {
      const state = at(`state${threads}`)
      const child = start('large', '--policy', 'policy', '--threads', threads, '--resume', state)
      const seen = new Promise<void>((resolve) => {
        const watching = watch(folder, () => {
          if (!existsSync(state)) return
          watching.close()
          resolve()
        })
      })
      await seen
      child.kill('SIGKILL')
      expect((await outcomeOf(child)).signal).toBe('SIGKILL')
      const resumed = await reportOn('large', '--threads', threads, '--resume', state)
      expect(resumed.resumed_at).toBeGreaterThan(0)
      expect(resumed.resumed_at).toBeLessThan(size)
      expect(withoutHistory(resumed)).toEqual(withoutHistory(await reportOn('large')))
    },
  )

  it('goes on where the ledger has grown, and looks at the rest only', async () => {
    await writeLedgerFolder(at('growing'), entries.slice(0, 5_000), key)
    await reportOn('growing', '--resume', 'grown')
    await writeLedgerFolder(at('growing'), entries.slice(0, 9_000), key)
    await rm(at('growing/tile/entries/000'))
    const grown = await reportOn('growing', '--resume', 'grown')
    expect(grown).toMatchObject({
      verified: true,
      resumed_at: 4_864,
      checks: { history: 'passed' },
      earlier: { size: 5_000 },
    })
    await writeLedgerFolder(
      at('growing'),
      entries.slice(0, 9_100).with(8_990, encodeEntry({ any: 1 })),
      key,
    )
    expect((await reportOn('growing', '--resume', 'grown')).findings).toMatchObject([
      { check: 'rules', index: 8_990 },
      { check: 'history', detail: expect.stringContaining('this is a fork') },
    ])
  })

  it('finds what was found before it was interrupted', async () => {
    const broken = entries.slice(0, 9_000).with(700, encodeEntry({ any: 1 }))
    await writeLedgerFolder(at('spoilt'), broken, key)
    await writeFile(at('spoilt/tile/0/003'), Buffer.alloc(8192))
    const first = await reportOn('spoilt', '--resume', 'found')
    const again = await reportOn('spoilt', '--resume', 'found')
    expect(again.resumed_at).toBe(8_960)
    expect(again.findings).toEqual(first.findings)
    expect(first.findings).toMatchObject([{ check: 'tree' }, { index: 700, rule: 'form' }])
  })

  it('is refused with a file that is damaged, changed, of another ledger, or too far on', async () => {
    await reportOn('small', '--resume', 'kept')
    const kept = await readFile(at('kept'), 'utf8')
    const refused = async (place: string, text: string, ...more: readonly string[]) => {
      await writeFile(at('kept'), text)
      const { code, err, out } = await run(place, '--policy', 'policy', '--resume', 'kept', ...more)
      expect({ code, out }).toEqual({ code: 2, out: '' })
      expect(await readFile(at('kept'), 'utf8')).toBe(text)
      return err
    }
    const damaged = 'it is damaged, or was changed since it was written'
    expect(await refused('small', kept.replace('"size":256', '"size":512'))).toContain(damaged)
    expect(await refused('small', kept.slice(0, -2000))).toContain(damaged)
    expect(await refused('small', '')).toContain(damaged)
    const other = logKey('broker.example/ledger/citi', 0x60)
    await writeLedgerFolder(at('other'), entries.slice(0, 300), other)
    await writeFile(at('policy'), policyOf(other))
    expect(await refused('other', kept)).toContain('it is not of broker.example/ledger/citi')
    await writeFile(at('policy'), policyOf(key))
    await writeLedgerFolder(at('shorter'), entries.slice(0, 200), key)
    expect(await refused('shorter', kept)).toContain('entries may have been taken back')
    await writeFile(at('seen'), checkpointOf(entries.slice(0, 99), key))
    expect(await refused('small', kept, '--against', 'seen')).toContain('it has gone by 99 entries')
  })
})
