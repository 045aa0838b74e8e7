import { createServer, type RequestListener, type Server } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { createDelivery } from '../../src/broker/deliver.ts'
import { indexLedger } from '../../src/broker/index_ledger.ts'
import { findConsent } from '../../src/storage/consents.ts'
import { chromiumPath, launchChromium } from '../support/chromium.ts'
import { bank, pageApp, type PageApp } from '../support/page_app.ts'
import { noFaults, pageFaults } from '../support/page_faults.ts'

if (chromiumPath === undefined)
  process.stderr.write(
    'No browser tests: no chromium at /usr/bin/chromium, nor at CHROMIUM_PATH.\n',
  )

/** The app and the sites around it, each at an origin of its own: a bank whose login lives elsewhere, a recipient, Messenger. */
let app: PageApp
let browser: Browser
const servers: Server[] = []

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  servers.push(server)
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready))
  const address = server.address()
  return `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`
}

const goingOn =
  (location: (path: string) => string): RequestListener =>
  (req, res) => {
    res.writeHead(302, { location: location(req.url ?? '') }).end()
  }

let issuer = ''

async function serveAll() {
  issuer = await serve((req, res) => app.app(req, res))
  const login = await serve((req, res) => {
    const asked = new URL(req.url ?? '', 'http://bank').searchParams
    const back = (answer: string) =>
      `${issuer}/banks/${asked.get('bank')}/callback?state=${asked.get('state')}&${answer}`
    res
      .writeHead(200, { 'content-type': 'text/html' })
      .end(
        `<a id="login" href="${back('code=ana')}">Log in</a> <a id="deny" href="${back('error=access_denied')}">Cancel</a>`,
      )
  })
  const bankSite = await serve(goingOn((path) => login + path))
  const messenger = await serve((_req, res) => res.end('Back in Messenger'))
  const recipient = await serve(goingOn((path) => messenger + path))
  app = await pageApp({
    issuer,
    loginUrl: `${bankSite}/authorize`,
    redirectUri: `${recipient}/callback`,
  })
  return messenger
}

let messenger = ''

/** A browser of its own, and all that it complained of: blocked loads, blocked forms. */
async function open(options: Parameters<Browser['newContext']>[0] = {}) {
  const context = await browser.newContext(options)
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text())
  })
  return { context, page, complaints }
}

async function approve(page: Page, address: string): Promise<void> {
  await page.goto(issuer + address)
  await page.click('#continue')
  await page.click('#login')
  await page.click('#approve')
  await page.waitForURL(`${messenger}/**`)
}

const inBrowser = chromiumPath === undefined ? describe.skip : describe

inBrowser('in a browser', () => {
  beforeAll(async () => {
    messenger = await serveAll()
    browser = await launchChromium()
  })
  afterAll(async () => {
    await browser.close()
    for (const server of servers) server.close()
    await app.close()
  })

  it('without scripts, a customer approves, sees figures, narrows and ends: nothing is blocked on the way', async () => {
    const { context, page, complaints } = await open({ javaScriptEnabled: false })
    const pushed = await app.push({ delivery: 'link_out' })
    await approve(page, pushed.address)
    expect(page.url()).toMatch(new RegExp(`^${messenger}/callback\\?code=`))

    const { pointer } = await createDelivery(
      app.broker,
      { bank, consentId: pushed.consentId, client: 'messenger' },
      { clusters: ['BALANCES'], hours: 1 },
    )
    await page.goto(`${issuer}/d/${pointer}`)
    await page.click('#show')
    expect(await page.textContent('main')).toContain('1,234.50 USD')

    await page.goto(`${issuer}/connections`)
    await page.click(`#bank-${bank}`)
    await page.click('#login')
    await page.click('summary')
    await page.uncheck('#keep-0-1')
    await page.click('#narrow-0')
    await page.click('#back')
    await page.click('#revoke-0')
    expect(await page.textContent('h1')).toBe('Access is ended')
    const record = await findConsent(app.broker.db, bank, pushed.consentId)
    expect(record?.consent).toMatchObject({ state: 'revoked', terms: { accounts: [{}] } })
    expect(complaints).toEqual([])
    await context.close()
  })

  it('a double click on “Approve” ends at the recipient with one grant', async () => {
    const { context, page } = await open()
    const pushed = await app.push()
    await page.goto(issuer + pushed.address)
    await page.dblclick('#continue')
    await page.click('#login')
    await page.dblclick('#approve', { noWaitAfter: true })
    await page.waitForURL(`${messenger}/**`)
    expect(page.url()).toMatch(/code=/)
    expect((await app.entries(pushed.consentId)).map(({ kind }) => kind)).toEqual(['consent.grant'])
    await context.close()
  })

  it('the Enter key in the form asks again instead of approving', async () => {
    const { context, page } = await open()
    const pushed = await app.push()
    await page.goto(issuer + pushed.address)
    await page.click('#continue')
    await page.click('#login')
    await page.focus('#account-0')
    await page.keyboard.press('Enter')
    expect(await page.textContent('#problem')).toContain('choose “Approve” or “Decline”')
    expect(await app.entries(pushed.consentId)).toEqual([])
    await context.close()
  })

  it('the back button after the decision finds the request decided', async () => {
    const { context, page } = await open()
    await approve(page, (await app.push()).address)
    await page.goBack()
    expect(await page.textContent('h1')).toBe('You have already answered this request')
    await context.close()
  })

  it('every control is reached by the Tab key, in the order it is read', async () => {
    const { context, page } = await open()
    await page.goto(issuer + (await app.push()).address)
    await page.click('#continue')
    await page.click('#login')
    const reached: string[] = []
    for (let i = 0; i < 6; i++) {
      await page.keyboard.press('Tab')
      reached.push(
        String(
          await page.evaluate('document.activeElement.id || document.activeElement.className'),
        ),
      )
    }
    expect(reached.slice(0, 5)).toEqual(['skip', 'account-0', 'account-1', 'approve', 'decline'])
    await context.close()
  })

  describe.each([
    [320, 'dark'],
    [1280, 'light'],
  ] as const)('%s pixels wide, %s', (width, colorScheme) => {
    let context: BrowserContext
    let page: Page
    beforeAll(async () => {
      // axe is a script, which the pages' own policy would not let in.
      ;({ context, page } = await open({
        ...{ bypassCSP: true, colorScheme },
        viewport: { width, height: 640 },
      }))
    })
    afterAll(() => context.close())

    it('no page is hard to read, to hear or to operate, and none is too wide', async () => {
      const pushed = await app.push({
        ...{ delivery: 'link_out', psid: String(width) },
        profile: 'A-Name-Without-A-Single-Space-That-Goes-On-And-On-And-On',
      })
      await page.goto(issuer + pushed.address)
      expect(await pageFaults(page)).toEqual(noFaults)
      await page.click('#continue')
      await page.click('#login')
      expect(await pageFaults(page)).toEqual(noFaults)
      await page.uncheck('#account-0')
      await page.uncheck('#account-1')
      await page.click('#approve')
      expect(await page.textContent('#problem')).toContain('Tick at least one')
      expect(await pageFaults(page)).toEqual(noFaults)
      await page.check('#account-0')
      await page.check('#account-1')
      await page.click('#approve')
      await page.waitForURL(`${messenger}/**`)

      const change = await app.push({
        ...{ clusters: ['BALANCES'], psid: String(width), replaces: pushed.consentId },
      })
      await page.goto(issuer + change.address)
      await page.click('#continue')
      await page.click('#login')
      expect(await page.textContent('#disclosure')).toContain('This changes a permission')
      expect(await page.textContent('#shared-before')).toContain('Rainy days')
      expect(await pageFaults(page)).toEqual(noFaults)
      await page.click('#decline')
      await page.waitForURL(`${messenger}/**`)

      await page.goto(`${issuer}/connections`)
      expect(await pageFaults(page)).toEqual(noFaults)
      await page.click(`#bank-${bank}`)
      await page.click('#login')
      await page.click('summary')
      expect(await pageFaults(page)).toEqual(noFaults)

      const { pointer } = await createDelivery(
        app.broker,
        { bank, consentId: pushed.consentId, client: 'messenger' },
        { clusters: ['ACCOUNT_BASIC', 'BALANCES', 'TRANSACTIONS'], hours: 1 },
      )
      await page.goto(`${issuer}/d/${pointer}`)
      expect(await pageFaults(page)).toEqual(noFaults)
      await page.click('#show')
      expect(await page.textContent('main')).toContain('1,234.50 USD')
      expect(await pageFaults(page)).toEqual(noFaults)

      await page.goto(`${issuer}/connections`)
      await app.broker.signer.sign(bank)
      await indexLedger(app.broker, bank)
      await page.click('#connection-0 a')
      expect(await page.textContent('main')).toContain('You were allowed to see')
      expect(await pageFaults(page)).toEqual(noFaults)

      await page.goto(`${issuer}/connections`)
      await page.click('#revoke-all')
      expect(await pageFaults(page)).toEqual(noFaults)
      await page.click('#back')
      expect(await pageFaults(page)).toEqual(noFaults)
      await page.goto(`${issuer}/oauth/authorize`)
      expect(await pageFaults(page)).toEqual(noFaults)
    })
  })
})
