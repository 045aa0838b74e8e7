import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import type { Browser, BrowserContext, Page, Route } from 'playwright-core'
import { chromiumPath, launchChromium } from '../support/chromium.ts'
import { bank, consoleApp, type ConsoleApp } from '../support/console_app.ts'
import { noFaults, pageFaults } from '../support/page_faults.ts'

let app: ConsoleApp
let browser: Browser

/** A browser of its own, and all that must not be: errors, blocked loads, requests that leave. */
async function open(options: Parameters<Browser['newContext']>[0] = {}) {
  const context = await browser.newContext(options)
  const page = await context.newPage()
  page.setDefaultTimeout(30_000)
  const complaints: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('request', (request) => {
    const { origin } = new URL(request.url())
    if (!visited.has(origin) && request.resourceType() !== 'document')
      complaints.push(`left: ${request.url()}`)
  })
  await page.addInitScript(`addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) =>
    console.error('blocked', violatedDirective, blockedURI))`)
  return { context, page, complaints }
}

const visited = new Set<string>()

/** What the browser of an auditor keeps who has logged in and pinned the served policy, having compared it. */
let kept: Awaited<ReturnType<BrowserContext['storageState']>>

async function keep(): Promise<void> {
  const { page, context } = await open()
  await app.open(page, '/trust')
  await page.check('#compared')
  await page.click('#pin-served')
  await page.waitForSelector('#pinned-title')
  kept = await context.storageState()
  await context.close()
}

/** A place of the console, as that auditor sees it. */
async function pinned(place: string, options?: Parameters<Browser['newContext']>[0]) {
  const opened = await open({ ...options, storageState: kept })
  await opened.page.goto(`${app.issuer}/console/${bank}${place}`)
  return opened
}

const outcome = (page: Page, of = '#verdict') => page.waitForSelector(`${of}[data-outcome]`)
const verified = (page: Page) => page.waitForSelector('#verdict[data-outcome=verified]')

/** Changes what the server answers to the page. */
const tamper = (page: Page, path: string, change: (text: string) => string) =>
  page.route(path, async (route: Route) => {
    // Browsers say where a request was made; what is sent on from here would not.
    const headers = { ...(await route.request().allHeaders()), 'sec-fetch-site': 'same-origin' }
    const response = await route.fetch({ headers })
    await route.fulfill({ response, body: change(await response.text()) })
  })

/** The console's script, gzipped. */
const script_bytes_max = 150 * 1024

const inBrowser = chromiumPath === undefined ? describe.skip : describe

inBrowser('the console, in a browser', () => {
  beforeAll(async () => {
    app = await consoleApp({ days: 10 })
    visited.add(app.issuer)
    browser = await launchChromium()
    await keep()
  })
  afterAll(async () => {
    await browser.close()
    await app.close()
  })

  it('by keys alone: an auditor searches, opens an entry, and sees it verified here', async () => {
    const { page, context, complaints } = await pinned('')
    await page.waitForSelector('#zero-lines article')
    await page.keyboard.press('/')
    await page.waitForSelector('#q:focus')
    await page.keyboard.type('class_denied third_party')
    expect(await page.textContent('#q-is')).toContain('third_party: class')
    await page.keyboard.press('Enter')
    await page.waitForSelector('#results:focus')
    // Until the answer is there, the list from before the search is.
    await page.waitForSelector('td:has-text("data-trader")')
    await page.waitForSelector('#rows-verdict[data-outcome=verified]')
    expect(new URL(page.url()).search).toBe('?class=third_party&reason=class_denied')
    expect(await page.textContent('#announcer')).toMatch(/entries on this page/)
    for (let i = 0; i < 8; i++) {
      await page.keyboard.press('Tab')
      if (await page.evaluate(`document.activeElement.closest('td') !== null`)) break
    }
    await page.keyboard.press('Enter')
    await verified(page)
    expect(await page.evaluate('document.activeElement.tagName')).toBe('H1')
    expect(await page.textContent('#sentence')).toContain('data-trader')
    expect(await page.title()).toMatch(/^Entry \d+ – /)
    expect(complaints).toEqual([])
    await context.close()
  })

  it('every view is a link that can be reloaded, and gone back to', async () => {
    const { page, context } = await pinned('/entries?kind=release')
    await page.waitForSelector('.entries tbody tr')
    const addresses = [page.url()]
    await page.click('#next-page')
    await page.waitForSelector('#first-page')
    addresses.push(page.url())
    const shown = await page.getAttribute('.entries tbody tr', 'data-n')
    await page.click('.entries tbody a')
    await verified(page)
    await page.goBack()
    await page.waitForSelector('.entries tbody tr')
    expect(page.url()).toBe(addresses[1])
    await page.reload()
    await page.waitForSelector('.entries tbody tr')
    expect(await page.getAttribute('.entries tbody tr', 'data-n')).toBe(shown)
    await page.goBack()
    expect(page.url()).toBe(addresses[0])
    await context.close()
  })

  it('without a policy, nothing is said to be verified; with one that nobody compared, that is said', async () => {
    const { page, context } = await open()
    await app.open(page, '/entries/3')
    await page.waitForSelector('#unpinned')
    expect(await page.$('#verdict')).toBeNull()
    await page.click('#unpinned a')
    await page.click('#pin-served')
    await page.goBack()
    await verified(page)
    expect(await page.textContent('#uncompared')).toContain('have not compared')
    await context.close()
  })

  describe('tampering is red, and said in words', () => {
    it('a byte of an entry', async () => {
      const { page, context } = await pinned('')
      await tamper(page, '**/audit/*/entries/5', (text) => {
        const answer = JSON.parse(text) as { bytes: string }
        const bytes = Buffer.from(answer.bytes, 'base64').toString().replace('"n":5', '"n":6')
        return JSON.stringify({ ...answer, bytes: Buffer.from(bytes).toString('base64') })
      })
      await page.goto(`${app.issuer}/console/${bank}/entries/5`)
      await page.waitForSelector('#verdict[data-outcome=failed]')
      expect(await page.textContent('#verdict h2')).toContain('Not verified')
      expect(await page.textContent('#verdict-detail')).toContain('its number is 6, not 5')
      await context.close()
    })

    it('a hash of a proof, and the colour of it', async () => {
      const { page, context } = await pinned('')
      await tamper(page, '**/audit/*/entries/5', (text) => {
        const answer = JSON.parse(text) as { proof: string }
        const lines = answer.proof.split('\n')
        lines[3] = Buffer.alloc(32, 1).toString('base64')
        return JSON.stringify({ ...answer, proof: lines.join('\n') })
      })
      await page.goto(`${app.issuer}/console/${bank}/entries/5`)
      await page.waitForSelector('#verdict[data-outcome=failed]')
      expect(await page.textContent('#verdict-detail')).toContain('not entry 5 of the tree')
      expect(await page.$$eval('#verdict li[data-status=failed]', (items) => items.length)).toBe(1)
      const red = await page.evaluate(
        `getComputedStyle(document.querySelector('#verdict h2')).color`,
      )
      expect(red).toBe('rgb(155, 28, 28)')
      await context.close()
    })

    it('a figure in a list', async () => {
      const { page, context } = await pinned('')
      await tamper(page, '**/audit/*/entries?*', (text) =>
        text.replace('"releases_advertising":0', '"releases_advertising":1'),
      )
      await page.goto(`${app.issuer}/console/${bank}/entries`)
      await outcome(page, '#rows-verdict')
      expect(await page.textContent('#rows-verdict')).toContain('1 of 50 are not')
      expect(await page.$$eval('tr[data-status=failed]', (rows) => rows.length)).toBe(1)
      await context.close()
    })

    it('a fork: another tree than this browser has seen', async () => {
      const { page, context } = await pinned('/entries/4')
      await verified(page)
      await page.evaluate(`(() => {
        const key = 'countersign.seen.${bank}'
        const seen = JSON.parse(localStorage.getItem(key))
        localStorage.setItem(key, JSON.stringify({ ...seen, root: btoa('x'.repeat(32)) }))
      })()`)
      await page.reload()
      await page.waitForSelector('#verdict[data-outcome=failed]')
      expect(await page.textContent('#verdict-detail')).toContain('fork')
      expect(await page.$$eval('pre[aria-label="Seen before"]', (all) => all.length)).toBe(1)
      await context.close()
    })

    it('a policy that is served anew', async () => {
      const { page, context } = await pinned('')
      await tamper(page, `**/ledger/${bank}/policy`, () => 'quorum none\n')
      await page.reload()
      expect(await page.textContent('#policy-changed')).toContain('another policy')
      await context.close()
    })
  })

  it('shows nothing before the login, and its script is small', async () => {
    const page = await (await fetch(`${app.issuer}/console/${bank}`)).text()
    expect(page).not.toContain('console.js') // nothing before the login
    const script = gzipSync(await readFile('dist/web/console.js'))
    expect(script.length).toBeLessThanOrEqual(script_bytes_max)
  })

  it('says in words what is not there, and what to do', async () => {
    const { page, context } = await pinned('/entries/999999')
    expect(await page.textContent('[role=alert]')).toContain('No entry')
    await page.goto(`${app.issuer}/console/${bank}/entries?consent=x`)
    expect(await page.textContent('[role=alert]')).toContain('Change what you asked for')
    await page.goto(`${app.issuer}/console/${bank}/entries?recipient=nobody`)
    expect(await page.textContent('#result-count')).toContain('No entry matches')
    await page.fill('#q', 'what? is this')
    await page.keyboard.press('Enter')
    expect(await page.textContent('#unrecognised')).toContain('what?')
    await page.goto(`${app.issuer}/console/${bank}/nowhere`)
    expect(await page.textContent('h1')).toBe('There is nothing here')
    await context.close()
  })

  it('hands out an export that the offline verifier finds good, and bad with a byte changed', async () => {
    const { page, context, complaints } = await pinned('/export?kind=refusal')
    const folder = await mkdtemp(join(tmpdir(), 'console-export-'))
    const policy = join(folder, 'policy')
    await writeFile(policy, await (await fetch(`${app.issuer}/ledger/${bank}/policy`)).text())
    await page.click('#export-ndjson')
    const saved: string[] = []
    for (const id of ['#get-entries', '#get-manifest', '#get-proof']) {
      const [download] = await Promise.all([page.waitForEvent('download'), page.click(id)])
      const path = join(folder, 'export', download.suggestedFilename())
      await download.saveAs(path)
      saved.push(path)
    }
    const verify = () =>
      promisify(execFile)(process.execPath, [
        ...['dist/verify.mjs', join(folder, 'export'), '--policy', policy],
      ]).then(
        ({ stdout }) => ({ code: 0, stdout }),
        (error: { code: number; stdout: string }) => error,
      )
    expect(await verify()).toMatchObject({ code: 0 })
    const [entries = ''] = saved
    await writeFile(
      entries,
      (await readFile(entries, 'utf8')).replace('data-trader', 'data-tradEr'),
    )
    expect(await verify()).toMatchObject({ code: 1 })
    expect(complaints).toEqual([])
    await rm(folder, { recursive: true })
    await context.close()
  })

  it('draws the counts, tells them in words and in a table, and hides a series on demand', async () => {
    const { page, context, complaints } = await pinned('')
    await page.waitForSelector('#releases canvas')
    expect(await page.textContent('#releases-words')).toMatch(
      /^[\d,]+ releases: Messaging platform/,
    )
    expect(await page.textContent('#refusals-words')).toContain('Advertising')
    await page.click('#refusals summary')
    expect(await page.$$eval('#refusals table tbody tr', (rows) => rows.length)).toBeGreaterThan(8)
    await page.click('nav[aria-label="Split the charts by"] >> text=Recipient')
    await page.waitForSelector('#refusals-words:has-text("data-trader")')
    await page.click('#refusals .legend input >> nth=0')
    expect(complaints).toEqual([])
    await context.close()
  })

  describe.each([
    [320, 'dark'],
    [1280, 'light'],
  ] as const)('%s pixels wide, %s', (width, colorScheme) => {
    it('no view is hard to read, to hear or to operate, and none is too wide', async () => {
      // axe is a script, which the pages' own policy would not let in.
      const { page, context } = await pinned('', {
        ...{ bypassCSP: true, colorScheme },
        viewport: { width, height: 640 },
      })
      const places: readonly (readonly [string, string])[] = [
        ['', '#refusals canvas'],
        ['/entries?kind=refusal', '#rows-verdict[data-outcome=verified]'],
        ['/entries/7', '#verdict[data-outcome=verified]'],
        ['/export?kind=refusal', '#export-csv'],
        ['/report', '#report-html'],
        ['/trust', '#pinned-title'],
      ]
      for (const [place, ready] of places) {
        await page.goto(`${app.issuer}/console/${bank}${place}`)
        await page.waitForSelector(ready)
        for (const summary of await page.$$('main summary')) await summary.click()
        expect([place, await pageFaults(page)]).toEqual([place, noFaults])
      }
      await context.close()
    })
  })
})
