import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { reportText } from '../../src/verifier/report_text.ts'
import { writeLedgerFolder } from '../support/ledger_folder.ts'
import { key, newStage, started, type Stage } from './stage.ts'

let stage: Stage
beforeAll(async () => {
  stage = await newStage()
})
afterAll(() => stage.remove())

const hour = 3_600_000
const at = (ms: number) => new Date(ms).toISOString()

/** What a report says of the bank's statements. */
async function reported(entries: readonly Uint8Array[]) {
  await writeLedgerFolder(stage.folder, entries, key)
  const report = await stage.verify()
  expect(report.findings).toEqual([])
  return { counts: report.counts?.statements, text: reportText(report) }
}

describe('a report', () => {
  it('says that the bank stated nothing', async () => {
    const { counts, text } = await reported(started().ledger.entries)
    expect(counts).toMatchObject({ statements: 0, served: 0, uncovered_ms: 299_000 })
    expect(text).toContain('None: nobody but the broker says that the releases are all.')
  })

  it('counts what the bank stated, and the time that no statement covers', async () => {
    const { ledger } = started()
    const begin = Date.parse('2026-01-01T00:00:00.000Z')
    ledger.statement({ count: 3, from: at(begin + 60_000), to: at(begin + 240_000) })
    ledger.reconcile({ released: 1, refused: 1, dropped: 1 })
    ledger.wait(5 * hour)
    ledger.statement({ count: 9, from: at(begin + hour), to: at(begin + 2 * hour) })
    const { counts, text } = await reported(ledger.entries)
    const last = begin + 302_000 + 5 * hour
    expect(counts).toEqual({
      ...{ statements: 2, waiting: 1, served: 12, upto: 300 },
      ...{ released: 1, refused: 1, dropped: 1, offered: 0, unknown: 0, missing: 0 },
      uncovered_ms: 60_000 + (hour - 240_000) + (last - begin - 2 * hour),
    })
    expect(text).toContain('agree, as far as they are compared')
    expect(text).toMatch(/No statement covers 4 h \d+ min of the time/)
  })

  it('has a line for a mismatch', async () => {
    const { ledger } = started()
    ledger.statement({ count: 2 })
    ledger.reconcile({ released: 1, unknown: 1, missing: 1 })
    const { counts, text } = await reported(ledger.entries)
    expect(counts).toMatchObject({ unknown: 1, missing: 1 })
    expect(text).toContain('\nVERIFIED, WITH A MISMATCH. ')
    expect(text).toContain('MISMATCH. 2 requests are in one of the two records only.')
  })
})
