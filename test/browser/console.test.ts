import { createServer, type Server } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { exportJWK, generateKeyPair } from 'jose'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { acr } from '../../sandbox/banks/authorization_server.ts'
import { startBank, type DemoBank } from '../../sandbox/banks/bank.ts'
import { auditorRole } from '../../sandbox/banks/staff.ts'
import { openGateway, type Gateway } from '../../src/banks/egress.ts'
import { openBankPort } from '../../src/banks/port.ts'
import { chromiumPath, launchChromium } from '../support/chromium.ts'
import { listening } from '../support/listening.ts'
import { bank as id, pageApp, type PageApp } from '../support/page_app.ts'
import { noFaults, pageFaults } from '../support/page_faults.ts'

let app: PageApp
let server: Server
let demo: DemoBank
let gateway: Gateway
let browser: Browser
let issuer = ''

/** The console, and a demo bank on whose own pages the staff log in: oidc-provider, which nobody here wrote. */
async function serveAll() {
  server = createServer((req, res) => app.app(req, res))
  issuer = `http://127.0.0.1:${await listening(server)}`
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
  const jwk = { ...(await exportJWK(privateKey)), kid: 'broker' }
  const clientId = `${issuer}/console`
  demo = await startBank({
    id,
    legalName: 'First Bank',
    customers: [{ customerId: 'c', username: 'alice', password: 'alice-demo', accounts: [] }],
    brokerClient: {
      clientId: issuer,
      jwks: { keys: [{ ...(await exportJWK(publicKey)), kid: 'broker', alg: 'ES256' }] },
      redirectUri: `${issuer}/banks/${id}/callback`,
      staff: {
        clientId,
        redirectUri: `${issuer}/console/callback/${id}`,
        loggedOutUri: `${issuer}/console`,
      },
    },
  })
  const provider = {
    ...{ issuer: demo.issuer, clientId, claim: 'roles', scopes: [] },
    ...{ auditor: [auditorRole], acr: [acr] },
  }
  gateway = openGateway({
    allowedHosts: [`127.0.0.1:${demo.port}`],
    ...{ sandbox: true, timeout_ms: 5_000, body_bytes_max: 1_000_000 },
  })
  const { staff: port } = openBankPort({
    banks: new Map([
      [
        id,
        {
          ...{ id, legalName: 'First Bank', lei: '7H6GLXDRUGQFU57RNE97', key: {} },
          ...{ issuer: demo.issuer, fdxBaseUrl: demo.fdxBaseUrl, staff: provider, hosts: [] },
        },
      ],
    ]),
    gateway,
    client: {
      ...{ clientId: issuer, jwk, dpopJwk: jwk },
      redirectUriOf: (bank) => `${issuer}/banks/${bank}/callback`,
      staffRedirectUriOf: (bank) => `${issuer}/console/callback/${bank}`,
    },
  })
  app = await pageApp({ issuer, staff: { provider, port } })
}

/** A browser of its own, and all that it complained of on our pages: blocked loads, blocked forms, scripts that failed. */
async function open(options: Parameters<Browser['newContext']>[0] = {}) {
  const context = await browser.newContext(options)
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('console', (message) => {
    if (message.type() !== 'error' || !message.location().url.startsWith(issuer)) return
    // Here are the pages alone, without what the console asks for once it is open.
    const { pathname } = new URL(message.location().url)
    if (!/^\/(?:audit|ledger)\//.test(pathname)) complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(error.message))
  return { context, page, complaints }
}

async function logIn(page: Page, username: string): Promise<void> {
  await page.click(`#bank-${id}`)
  await page.fill('#username', username)
  await page.fill('#password', `${username}-demo`)
  await page.click('#login')
}

const inBrowser = chromiumPath === undefined ? describe.skip : describe

inBrowser('the console in a browser', () => {
  beforeAll(async () => {
    await serveAll()
    browser = await launchChromium()
  })
  afterAll(async () => {
    await browser.close()
    server.close()
    gateway.close()
    await demo.close()
    await app.close()
  })

  it('is reached through the bank’s own pages, at the address asked for, and left through them', async () => {
    const { context, page, complaints } = await open()
    const address = `${issuer}/console/${id}/entries?kind=release`
    await page.goto(address)
    expect(await page.textContent('h1')).toBe('Auditor console')
    await page.click(`#bank-${id}`)
    expect(new URL(page.url()).origin).toBe(demo.issuer)
    expect(await page.textContent('h1')).toBe('Log in as a member of staff')
    await page.fill('#username', 'auditor')
    await page.fill('#password', 'auditor-demo')
    await page.click('#login')
    await page.waitForURL(address)
    expect(await page.textContent('#who')).toBe('Ada Auditor')
    await page.waitForSelector('#console h1')

    await page.click('#logout')
    expect(new URL(page.url()).origin).toBe(demo.issuer)
    await page.click('#log-out')
    await page.waitForURL(`${issuer}/console`)
    await page.goto(address)
    expect(await page.textContent('h1')).toBe('Auditor console')
    expect(complaints).toEqual([])
    await context.close()
  })

  it('lets in neither a clerk nor a customer, who is not known where the staff log in', async () => {
    const { context, page } = await open()
    await page.goto(`${issuer}/console`)
    await logIn(page, 'alice')
    expect(await page.textContent('[role=alert]')).toContain('Wrong username or password')
    await page.goto(`${issuer}/console`)
    await logIn(page, 'clerk')
    expect(await page.textContent('h1')).toBe('This login may not audit')
    await page.goto(`${issuer}/console/${id}`)
    expect(await page.textContent('h1')).toBe('Auditor console')
    await page.goto(`${issuer}/console`)
    await page.click(`#bank-${id}`)
    await page.click('#deny')
    expect(await page.textContent('h1')).toBe('Auditor console')
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
      await page.goto(`${issuer}/console`)
      expect(await pageFaults(page)).toEqual(noFaults)
      await logIn(page, 'auditor')
      await page.waitForSelector('#console h1')
      expect(await pageFaults(page)).toEqual(noFaults)
      await page.goto(`${issuer}/console/no-bank`)
      expect(await pageFaults(page)).toEqual(noFaults)
    })
  })
})
