import { createServer, type Server } from 'node:http'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import type { Browser } from 'playwright-core'
import { grantAudit } from '../../src/broker/grant_audit.ts'
import { recordRefusal } from '../../src/broker/record_refusal.ts'
import { NoReport, reportRange } from '../../src/broker/report_range.ts'
import { revokeConsent } from '../../src/broker/revoke_consent.ts'
import { verifyCommand } from '../../src/cli/verify.ts'
import type { RangeReport } from '../../src/ledger/range_report.ts'
import { apiApp, bank, otherBank, recipient, type ApiApp } from '../support/api_app.ts'
import { chromiumPath, launchChromium } from '../support/chromium.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { holdTable } from '../support/hold_table.ts'
import { listening } from '../support/listening.ts'
import { noFaults, pageFaults } from '../support/page_faults.ts'

const path = `/audit/${bank}/report`
const purpose = 'https://w3id.org/dpv#RequestedServiceProvision'

let database: TestDatabase
let api: ApiApp
let token: string
let time: { from: string; to: string }

beforeAll(async () => {
  database = await testDatabase()
  api = await apiApp(database.serviceUrl)
  token = api.clientToken('auditor', 'audit:read', bank)
  await grantAudit(api.broker, bank, {
    ...{ kind: 'client', auditor: 'auditor', grantedBy: 'the compliance desk' },
    until: new Date(Date.now() + 3_600_000).toISOString(),
  })
  const consent = await api.consent()
  for (let i = 0; i < 3; i++)
    await api.call('get', '/fdx/v6/accounts', api.consentToken(consent)).expect(200)
  for (let i = 0; i < 2; i++)
    await recordRefusal(api.broker, {
      ...{ bank, client: 'ads', class: 'advertising', reason: 'class_denied' },
    })
  await revokeConsent(api.broker, {
    ...{ bank, consentId: consent.id, by: 'customer', reason: 'USER_ACTION' },
  })
  const entries = await api.entries(bank)
  time = {
    from: '2020-01-01T00:00:00.000Z',
    to: new Date(Date.parse(entries.at(-1)?.at ?? '') + 1).toISOString(),
  }
})

afterAll(async () => {
  await api.close()
  await database.drop()
})

const query = (change: object = {}) => new URLSearchParams({ ...time, ...change }).toString()
const ask = async (change: object = {}): Promise<RangeReport> =>
  (await api.call('get', `${path}?${query(change)}`, token).expect(200)).body

describe('a report', () => {
  it('says what happened in a time, and its summary proves the totals', async () => {
    const before = (await api.entries(bank)).length
    const report = await ask()
    expect(report).toMatchObject({
      ...{ report: 1, bank, auditor: 'auditor', access: before },
      summary: { basis: 'entries', from_index: 0, to_index: before, open_end: false },
      releases: [{ recipient, class: 'messaging_platform', what: purpose, count: 3 }],
      refusals: [{ recipient: 'ads', class: 'advertising', what: 'class_denied', count: 1 }],
      reconciliation: { statements: 0, unknown: 0, missing: 0 },
      entries: { erasure: 0, access: 0, restore: 0 },
    })
    expect(report.summary.totals).toMatchObject({
      ...{ releases_messaging_platform: 3, releases_advertising: 0, releases_third_party: 0 },
      ...{ grants: 1, revocations: 1 },
    })
    expect(report.approvals[0]).toMatchObject({ recipient, purposes: [purpose], index: 1 })
    expect(report.unproven.length).toBeGreaterThan(5)
    expect(JSON.stringify(report)).not.toContain('delivered')
  })

  it('is entered before it is given, and counted by the next', async () => {
    const asked = (await api.entries(bank)).length
    const [last] = (await api.entries(bank)).slice(-1)
    expect(last).toMatchObject({ kind: 'access', body: { actor: 'auditor', what: 'report' } })
    const report = await ask({ to: new Date(Date.parse(last?.at ?? '') + 1).toISOString() })
    expect(report.access).toBe(asked)
    expect(report.entries.access).toBe(1)
  })

  it('is of its time alone', async () => {
    const report = await ask({ to: '2021-01-01T00:00:00Z' })
    expect(report).toMatchObject({ releases: [], refusals: [], approvals: [] })
    expect(report.summary).toMatchObject({ from_index: 0, to_index: 0 })
  })

  it('is for an auditor of the bank, while a grant stands', async () => {
    await api.call('get', `${path}?${query()}`).expect(401)
    for (const other of [
      api.clientToken('auditor', 'audit:read', otherBank),
      api.clientToken('auditor', 'ledger:read', bank),
      api.clientToken('back-end', 'audit:read', bank),
    ])
      await api.call('get', `${path}?${query()}`, other).expect(403)
  })

  it.each(['', 'from=2026-01-01T00:00:00Z', 'from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z'])(
    'is of a time: not of "%s"',
    async (asked) => {
      await api.call('get', `${path}?${asked}`, token).expect(400)
    },
  )

  it('reads so many refusals and no more', async () => {
    const of = (read_max: number) =>
      reportRange(api.broker, bank, { time, auditor: 'auditor', read_max })
    expect((await of(1))?.refusals).toHaveLength(1)
    await expect(of(0)).rejects.toThrow(NoReport)
  })
})

describe('the file of a report', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'countersign-report-'))
    const { text } = await api.call('get', `/ledger/${bank}/policy`).expect(200)
    await writeFile(join(folder, 'policy'), text)
  })
  afterAll(() => rm(folder, { recursive: true }))

  async function verify(name: string, file: object): Promise<{ code: number; output: string }> {
    await writeFile(join(folder, name), JSON.stringify(file, undefined, 2))
    let output = ''
    const out = new Writable({
      write(chunk: Buffer, _, done) {
        output += chunk.toString()
        done()
      },
    })
    const code = await verifyCommand([join(folder, name), '--policy', join(folder, 'policy')], {
      out,
    })
    return { code, output }
  }

  it('is checked offline, as are a summary and a sum proof', async () => {
    const report = await ask()
    const { code, output } = await verify('report.json', report)
    expect(output).toContain('Countersign report verification\n\nVERIFIED')
    expect(output).toContain('3 to the messaging platform, 0 to advertising, 0 to third parties')
    expect(code).toBe(0)
    const summary = await verify('summary.json', report.summary)
    expect(summary).toMatchObject({ code: 0 })
    expect(summary.output).toContain('exactly the entries from')
  })

  it('proves nothing once anything that it proves is changed', async () => {
    const report = await ask()
    const [share] = report.releases
    for (const change of [
      { releases: [{ ...share, count: 2 }] },
      { releases: [{ ...share, class: 'data_subject' }] },
      { refusals: [] },
      { refusals: [...report.refusals, { ...share, class: 'zebras' }] },
      { summary: { ...report.summary, to_index: report.summary.to_index - 1 } },
    ]) {
      const { code, output } = await verify('report.json', { ...report, ...change })
      expect(code).toBe(1)
      expect(output).toContain('NOT VERIFIED')
    }
  })
})

describe('the page of a report', () => {
  it('says the same, in words, and loads nothing but our stylesheet', async () => {
    const { text, headers } = await api
      .call('get', `${path}?${query({ format: 'html' })}`, token)
      .expect(200)
    expect(headers['content-type']).toBe('text/html; charset=utf-8')
    expect(headers['content-security-policy']).toContain("default-src 'none'")
    for (const words of [
      'No release to advertising was authorised.',
      'No release to third parties was authorised.',
      'Releases authorised',
      'class denied',
      'countersign verify report.json --policy policy',
    ])
      expect(text).toContain(words)
    expect(text).not.toMatch(/delivered|<script|style="/)
  })

  const inBrowser = chromiumPath === undefined ? it.skip : it

  inBrowser('can be read at 320 px, in the dark, and printed, by everyone', async () => {
    const { text, headers } = await api
      .call('get', `${path}?${query({ format: 'html' })}`, token)
      .expect(200)
    const server: Server = createServer((req, res) => {
      if (req.url !== '/') return void api.app(req, res)
      const policy = String(headers['content-security-policy'])
      res
        .writeHead(200, { 'content-type': 'text/html', 'content-security-policy': policy })
        .end(text)
    })
    const address = `http://127.0.0.1:${await listening(server)}/`
    const browser: Browser = await launchChromium()
    try {
      for (const [media, options] of [
        ['screen', { viewport: { width: 320, height: 640 } }],
        ['print', { viewport: { width: 800, height: 800 }, colorScheme: 'dark' }],
      ] as const) {
        const context = await browser.newContext({ ...options, bypassCSP: true })
        const page = await context.newPage()
        await page.goto(address)
        await page.emulateMedia({ media })
        expect(await pageFaults(page)).toEqual(noFaults)
        await context.close()
      }
    } finally {
      await browser.close()
      server.close()
    }
  })
})

it('is made for four of one bank at a time', async () => {
  const held = await holdTable(database.ownerUrl, 'audit_progress')
  const asked = Array.from({ length: 5 }, () => api.call('get', `${path}?${query()}`, token))
  const statuses = Promise.all(asked.map(async (sent) => (await sent).status))
  await held.waiting(4)
  await held.release()
  expect((await statuses).toSorted((a, b) => a - b)).toEqual([200, 200, 200, 200, 503])
})
