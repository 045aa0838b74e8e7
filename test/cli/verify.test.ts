import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { UsageError } from '../../src/cli/arguments.ts'
import { verifyCommand } from '../../src/cli/verify.ts'
import { formatVkey } from '../../src/merkle/vkey.ts'
import type { Report } from '../../src/verifier/report.ts'
import { logKey, witnessKey } from '../merkle/keys.ts'
import { openLedger } from '../support/ledger_builder.ts'
import { checkpointOf, writeLedgerFolder } from '../support/ledger_folder.ts'

const origin = 'broker.example/ledger/us-bank'
const key = logKey(origin, 0x00)

let folder: string
let sound: string
let broken: string
let fork: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'countersign-command-'))
  sound = join(folder, 'sound')
  broken = join(folder, 'broken')
  fork = join(folder, 'fork')
  const ledger = openLedger({ origin, vkey: formatVkey(key.vkey) })
  ledger.approve()
  const consent = ledger.grant()
  ledger.refuse({ count: 2000 })
  ledger.revoke(consent)
  await writeLedgerFolder(sound, ledger.entries, key)
  await writeFile(fork, checkpointOf([...ledger.entries.slice(0, -1), Buffer.from('other')], key))
  const { vkey } = witnessKey('witness.example/w1', 0x20)
  await writeFile(
    join(folder, 'witnessed'),
    `log ${formatVkey(key.vkey)}\nwitness w1 ${formatVkey(vkey)}\nquorum w1\n`,
  )
  ledger.release(consent)
  await writeLedgerFolder(broken, ledger.entries, key)
})
afterAll(() => rm(folder, { recursive: true }))

async function run(...argv: string[]): Promise<{ code: number; output: string }> {
  const written: string[] = []
  const out = new Writable({
    write(chunk: Buffer, _, done) {
      written.push(chunk.toString())
      done()
    },
  })
  const code = await verifyCommand(argv, { out })
  return { code, output: written.join('') }
}

const policy = () => join(sound, 'policy')

describe('countersign verify', () => {
  it('says in words that a sound ledger is, what it amounts to and what that does not prove', async () => {
    const { code, output } = await run(sound, '--policy', policy())
    expect(code).toBe(0)
    for (const line of [
      'VERIFIED. Nothing was found wrong with this ledger.',
      `Ledger          ${origin}`,
      'Size            5 entries',
      'Cosigned by     no witness. Others may have been told otherwise.',
      'Entries from    2026-01-01T00:00:00.000Z to 2026-01-01T00:00:04.000Z',
      '  No data was released to advertising.',
      '  No data was released to third parties.',
      '  for: class denied                                 2,000',
      '  messenger.example (messaging platform)',
      'What this does not prove',
      '  - What a recipient does with data after a lawful release.',
    ])
      expect(output.split('\n')).toContain(line)
  })

  it('fails where the cosignatures that the policy asks for are older than is asked', async () => {
    const { entries } = openLedger({ origin, vkey: formatVkey(key.vkey) })
    const old = join(folder, 'old')
    const { signer } = witnessKey('witness.example/w1', 0x20)
    await writeLedgerFolder(old, entries, key, { cosigners: [signer] })
    const argv = [old, '--policy', join(folder, 'witnessed')]
    expect((await run(...argv)).code).toBe(0)
    expect((await run(...argv, '--max-age', '999999d')).code).toBe(0)
    const { code, output } = await run(...argv, '--max-age', '1h')
    expect(code).toBe(1)
    expect(output).toContain('✗ freshness: too few witnesses cosigned it in the last 3600 s')
  })

  it('names the entry and the rule, and says the rule in words, where one is broken', async () => {
    const { code, output } = await run(broken, '--policy', policy())
    expect(code).toBe(1)
    expect(output).toContain('NOT VERIFIED. 1 thing found wrong with this ledger.')
    expect(output).toContain('✗ entry 5 breaks the rule "release": consent revoked.')
    expect(output).toContain('A release is covered, at its time, by an active consent')
    expect(output).toContain('are not counted: the entries are not sound')
    expect(output).not.toContain('No data was released')
  })

  it('says the same as one line of JSON', async () => {
    const { code, output } = await run(broken, '--policy', policy(), '--json')
    expect(code).toBe(1)
    expect(output.trimEnd()).not.toContain('\n')
    expect(JSON.parse(output) as Report).toMatchObject({
      verified: false,
      place: broken,
      ledger: { origin, size: 6 },
      findings: [{ check: 'rules', index: 5, rule: 'release', detail: 'consent revoked' }],
    })
    const { output: good } = await run(sound, '--policy', policy(), '--json')
    expect(JSON.parse(good) as Report).toMatchObject({
      verified: true,
      findings: [],
      counts: { releases: { advertising: 0, third_party: 0 }, refusals: { advertising: 2000 } },
    })
  })

  it('prints both notes of a fork', async () => {
    const { code, output } = await run(sound, '--policy', policy(), '--against', fork)
    expect(code).toBe(1)
    expect(output).toContain('it signed two different ledgers of 5 entries: this is a fork')
    expect(output.match(new RegExp(`— ${origin} `, 'g'))).toHaveLength(2)
  })

  it('reports a place where there is no ledger', async () => {
    const { code, output } = await run(join(folder, 'nowhere'), '--policy', policy())
    expect(code).toBe(1)
    expect(output).toContain('✗ checkpoint: checkpoint: there is no such file.')
  })

  it('shows control characters instead of sending them to the terminal', async () => {
    const { output } = await run(join(folder, 'now\u001b[31mhere\u202e'), '--policy', policy())
    expect(output).toContain('now\\u{1b}[31mhere\\u{202e}')
    expect(output).not.toContain('\u001b')
  })

  it.each([
    [[]],
    [['one']],
    [['one', 'two', '--policy', 'FOLDER/sound/policy']],
    [['one', '--policy', 'FOLDER/no-policy']],
    [['one', '--policy', 'FOLDER/sound/checkpoint']],
    [['one', '--policy', 'FOLDER/sound/policy', '--against', 'FOLDER/none']],
    [
      [
        'one',
        '--policy',
        'FOLDER/sound/policy',
        '--client',
        'auditor',
        '--client-key',
        'FOLDER/none',
      ],
    ],
    [['one', '--policy', 'FOLDER/sound/policy', '--jsonp']],
    [['one', '--policy']],
    [['one', '--policy', 'FOLDER/sound/policy', '--max-age', '10m']],
    [['one', '--policy', 'FOLDER/witnessed', '--max-age', '10']],
    [['one', '--policy', 'FOLDER/witnessed', '--max-age', '0m']],
  ])('is a wrong call as %j', async (argv) => {
    const call = run(...argv.map((word) => word.replace('FOLDER', folder)))
    await expect(call).rejects.toBeInstanceOf(UsageError)
  })
})
