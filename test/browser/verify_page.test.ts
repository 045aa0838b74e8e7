import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { verifyCommand } from '../../src/cli/verify.ts'
import { chromiumPath, launchChromium } from '../support/chromium.ts'
import { checkpointOf, writeLedgerFolder } from '../support/ledger_folder.ts'
import { key, started } from '../verifier/stage.ts'
import { noFaults, pageFaults } from '../support/page_faults.ts'

const address = pathToFileURL(resolve(import.meta.dirname, '../../dist/verify.html')).href

const inBrowser = chromiumPath === undefined ? describe.skip : describe

inBrowser('the verifier as one page, opened from the disk', () => {
  let folder: string
  let browser: Browser
  let context: BrowserContext
  let page: Page
  let complaints: string[]
  let requests: string[]

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'countersign-page-'))
    browser = await launchChromium()
    const { ledger, consent } = started()
    await writeLedgerFolder(join(folder, 'sound'), ledger.entries, key)
    await writeFile(join(folder, 'earlier'), checkpointOf(ledger.entries.slice(0, 99), key))
    await writeFile(join(folder, 'fork'), checkpointOf(ledger.entries.toReversed(), key))
    ledger.revoke(consent)
    ledger.release(consent)
    await writeLedgerFolder(join(folder, 'broken'), ledger.entries, key)
  })
  afterAll(async () => {
    await browser.close()
    await rm(folder, { recursive: true })
  })

  async function open(options: Parameters<Browser['newContext']>[0] = {}) {
    context = await browser.newContext(options)
    page = await context.newPage()
    complaints = []
    requests = []
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text())
    })
    page.on('pageerror', (error) => complaints.push(error.message))
    page.on('request', (request) => requests.push(request.url()))
    await page.goto(address)
  }

  /** What Node's verifier says of the folder, below its first lines. */
  async function saidByNode(name: string): Promise<string> {
    let text = ''
    const out = { write: (more: string) => (text += more) } as unknown as NodeJS.WritableStream
    const policy = join(folder, 'sound/policy')
    await verifyCommand([join(folder, name), '--policy', policy], { out })
    return text.replace(`Read from       ${folder}/`, 'Read from       ')
  }

  const choose = async (name: string) => {
    await page.setInputFiles('#folder', join(folder, name))
    await page.setInputFiles('#policy', join(folder, 'sound/policy'))
  }

  const verify = async () => {
    await page.click('#verify')
    await page.waitForSelector('.verdict')
  }

  describe('as it opens', () => {
    beforeEach(() => open())
    afterAll(() => context.close())

    it.each([
      ['sound', 'VERIFIED. Nothing was found wrong with this ledger.', 'good'],
      ['broken', 'NOT VERIFIED. 1 thing found wrong with this ledger.', 'bad'],
    ])(
      'says of a folder that is %s what the command says, in words',
      async (name, verdict, kind) => {
        await choose(name)
        await verify()
        expect(await page.textContent(`.note.${kind} .verdict`)).toContain(verdict)
        const report = (await page.textContent('.report')) ?? ''
        expect(await saidByNode(name)).toContain(report)
        expect(report).toContain(
          name === 'sound' ? 'No data was released to advertising.' : 'entry 301',
        )
        expect(complaints).toEqual([])
        expect(requests.filter((url) => url !== address && !url.startsWith('blob:'))).toEqual([])
      },
    )

    it('takes a folder that is dropped anywhere', async () => {
      const cdp = await context.newCDPSession(page)
      const data = { items: [], files: [join(folder, 'sound')], dragOperationsMask: 1 }
      for (const type of ['dragEnter', 'dragOver', 'drop'] as const)
        await cdp.send('Input.dispatchDragEvent', { type, x: 40, y: 40, data })
      await page.waitForSelector('#chosen:has-text("sound: 7 files")')
      await page.setInputFiles('#policy', join(folder, 'sound/policy'))
      await verify()
      expect(await page.textContent('.verdict')).toContain('VERIFIED. Nothing')
    })

    it('compares with an earlier checkpoint', async () => {
      for (const [earlier, verdict] of [
        ['earlier', 'VERIFIED. Nothing'],
        ['fork', 'NOT VERIFIED. 1 thing'],
      ] as const) {
        await choose('sound')
        await page.click('summary')
        await page.setInputFiles('#earlier', join(folder, earlier))
        await verify()
        expect(await page.textContent('.verdict')).toContain(verdict)
        await page.reload()
      }
    })

    it('says what is missing, and moves there', async () => {
      await page.click('#verify')
      expect(await page.textContent('#problem')).toContain('Choose what to verify')
      await choose('sound')
      await page.setInputFiles('#policy', join(folder, 'sound/checkpoint'))
      await page.click('#verify')
      await page.waitForSelector('#problem:has-text("The policy is wrong")')
      expect(await page.evaluate('document.activeElement.id')).toBe('policy')
      expect(await page.$('.verdict')).toBeNull()
    })

    it('is operated by keys alone, and the result is where they go on from', async () => {
      await choose('sound')
      await page.focus('#folder')
      const reached: unknown[] = []
      for (let i = 0; i < 4; i++) {
        await page.keyboard.press('Tab')
        reached.push(
          await page.evaluate('document.activeElement.id || document.activeElement.localName'),
        )
      }
      expect(reached).toEqual(['files', 'policy', 'summary', 'verify'])
      await page.keyboard.press('Enter')
      await page.waitForSelector('.verdict')
      expect(await page.evaluate('document.activeElement.id')).toBe('results')
    })

    it('runs no other script than its own', async () => {
      const html = await readFile(resolve(import.meta.dirname, '../../dist/verify.html'), 'utf8')
      const spoilt = join(folder, 'spoilt.html')
      await writeFile(
        spoilt,
        html.replace('</main>', '</main><script>document.title = "x"</script>'),
      )
      await page.goto(pathToFileURL(spoilt).href)
      expect(await page.title()).toBe('Verify a ledger · Countersign')
      expect(complaints.join()).toContain('Content Security Policy')
    })
  })

  it.each([
    [320, 'dark', 'broken'],
    [1280, 'light', 'sound'],
  ] as const)(
    'is easy to read, hear and operate at %i pixels, %s',
    async (width, colorScheme, name) => {
      await open({ bypassCSP: true, colorScheme, viewport: { width, height: 640 } })
      expect(await pageFaults(page)).toEqual(noFaults)
      await choose(name)
      await verify()
      expect(await pageFaults(page)).toEqual(noFaults)
      await context.close()
    },
  )
})
