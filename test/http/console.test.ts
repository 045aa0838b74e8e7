import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { backTo } from '../../src/http/console_routes.ts'
import { staff_hours } from '../../src/http/staff_session.ts'
import { listGrants, revokeGrant } from '../../src/storage/audit_grants.ts'
import { listStaff } from '../../src/storage/staff.ts'
import { session_idle_minutes } from '../../src/storage/sessions.ts'
import { backFrom, bank, pageApp, type PageApp } from '../support/page_app.ts'
import type { PageBrowser, Visit } from '../support/page_browser.ts'

let app: PageApp
beforeAll(async () => {
  app = await pageApp()
})
afterEach(() => {
  app.clock.ahead_ms = 0
})
afterAll(() => app.close())

const other = 'other-bank'
const home = `/console/${bank}`
const cookie = '__Host-countersign-staff'

/** Where a bank sends the browser of its staff back to, after the login that `sent` began. */
const staffBack = (sent: Visit, answer: Record<string, string>, at?: string) => {
  const url = new URL(backFrom(sent, answer), 'https://broker.example')
  return `/console/callback/${at ?? url.pathname.split('/')[2]}${url.search}`
}

/** From a page of the console to the bank. */
const toBank = async (browser: PageBrowser, path = '/console', at = bank) =>
  browser.press(await browser.get(path), `bank-${at}`)

/** A browser in which an auditor has logged in, and the page that it was led to. */
async function loggedIn(
  who = 'ada',
  path = '/console',
): Promise<{ browser: PageBrowser; page: Visit }> {
  const browser = app.browser()
  const back = await browser.get(staffBack(await toBank(browser, path), { code: who }))
  expect(back.status).toBe(303)
  return { browser, page: await browser.get(back.location) }
}

const isShell = ({ status, text }: Visit) => status === 200 && text.includes('data-told=')
const isLogin = ({ status, text }: Visit) => status === 200 && text.includes(`id="bank-${bank}"`)

describe('the console', () => {
  it('asks for the bank first, and shows nothing of it', async () => {
    const page = await app.browser().get('/console')
    expect(isLogin(page)).toBe(true)
    expect(page.text).toContain(`id="bank-${other}"`)
    expect(page.text).not.toContain('data-told')
  })

  it('tells its script who is logged in, where, and until when', async () => {
    const { page } = await loggedIn('ada')
    const told = JSON.parse(
      (/data-told="([^"]*)"/.exec(page.text)?.[1] ?? '').replaceAll('&quot;', '"'),
    )
    expect(told).toEqual({
      bank: { id: bank, legalName: expect.any(String) },
      origin: `broker.example/ledger/${bank}`,
      vkey: app.broker.keys.get(bank)?.vkey,
      size: expect.any(Number),
      staff: { id: expect.stringMatching(/^[\w-]{22}$/), name: 'The bank’s ada' },
      until: expect.stringMatching(/Z$/),
      csrf: expect.stringMatching(/^[\w-]{43}$/),
    })
    expect(page.text).not.toContain('signed by the bank')
  })

  it('knows an auditor again by a random id, and keeps who that is sealed', async () => {
    await loggedIn('grace')
    await loggedIn('grace')
    const staff = (await listStaff(app.broker, bank)).filter(({ subject }) => subject === 'grace')
    expect(staff).toHaveLength(1)
    const [row] = await app.rows(`select * from staff where id = '${staff[0]?.id}'`)
    expect(JSON.stringify(row)).not.toContain('grace')
    expect(String(row?.['sealed'])).not.toContain('grace')
  })
})

describe('a way back', () => {
  const at = (said: string) => backTo(app.broker, { id: bank } as never, said)

  it.each([`${home}/entries?kind=release&x=%2F%2Fevil`, home, `${home}/a/../b/`])(
    'is kept to a page of the bank’s console: %s',
    (said) => expect(at(said)).toBe(said.replace('a/../', '')),
  )

  it.each([
    '',
    '//evil.example',
    '//evil.example/console/first-bank/',
    'https://evil.example/console/first-bank/',
    'https:evil',
    '/\\evil.example',
    '\\\\evil.example',
    '/%2f/evil.example',
    '/console/first-bank@evil.example/',
    '/console/first-bank.evil/',
    '/console/first-bankx',
    '/console/other-bank/entries',
    '/console/first-bank/../../evil',
    '/console/first-bank/%2e%2e/other-bank',
    '/console/first-bank/..\\other-bank',
    'javascript:alert(1)//console/first-bank/',
    'data:text/html,x',
    'http://broker.example/console/first-bank/',
    '/console/first-bank/\r\nset-cookie: x=y/../../..',
  ])('leads to the first page, and nowhere else, for %j', (said) => expect(at(said)).toBe(home))

  it('may be 2,000 characters long', () => {
    const long = `${home}/`.padEnd(2_000, 'x')
    expect([at(long), at(`${long}x`)]).toEqual([long, home])
  })

  it('goes through the login to the page that was asked for', async () => {
    const path = `${home}/entries/17?class=advertising`
    const { page, browser } = await loggedIn('ada', path)
    expect(isShell(page)).toBe(true)
    expect((await browser.get('/console')).location).toBe(home)
  })

  it('is read from the form too, and leads nowhere else then', async () => {
    const browser = app.browser()
    const page = await browser.get(`${home}/entries`)
    const sent = await browser.press(page, `bank-${bank}`, { fields: { back: '//evil.example/' } })
    expect((await browser.get(staffBack(sent, { code: 'ada' }))).location).toBe(home)
  })
})

describe('a login', () => {
  it('gives the browser a fresh cookie at its start and at its end', async () => {
    const browser = app.browser()
    const page = await browser.get('/console')
    const planted = browser.cookies.get(cookie)
    const sent = await browser.press(page, `bank-${bank}`)
    const pending = browser.cookies.get(cookie)
    await browser.get(staffBack(sent, { code: 'ada' }))
    expect(new Set([planted, pending, browser.cookies.get(cookie)]).size).toBe(3)
    for (const value of [planted, pending]) {
      const thief = app.browser()
      thief.cookies.set(cookie, value ?? '')
      expect(isLogin(await thief.get(home))).toBe(true)
    }
  })

  it('is answered in the browser that began it, and nowhere else', async () => {
    const mallory = app.browser()
    const answer = staffBack(await toBank(mallory), { code: 'mallory' })
    const victim = app.browser()
    await toBank(victim)
    for (const browser of [victim, app.browser()]) {
      expect((await browser.get(answer)).status).toBe(400)
      expect(isLogin(await browser.get(home))).toBe(true)
    }
  })

  it('is answered once', async () => {
    const browser = app.browser()
    const answer = staffBack(await toBank(browser), { code: 'ada' })
    const pending = browser.cookies.get(cookie) ?? ''
    const statuses = await Promise.all(
      [1, 2, 3].map(async () => {
        const same = app.browser()
        same.cookies.set(cookie, pending)
        return (await same.get(answer)).status
      }),
    )
    expect(statuses.toSorted((a, b) => a - b)).toEqual([303, 400, 400])
    expect((await browser.get(answer)).status).toBe(400)
  })

  it('is answered at the bank where it began', async () => {
    const browser = app.browser()
    const sent = await toBank(browser)
    expect((await browser.get(staffBack(sent, { code: 'ada' }, other))).status).toBe(400)
    expect((await browser.get(staffBack(sent, { code: 'ada', state: 'x' }))).status).toBe(400)
    expect((await browser.get(staffBack(sent, { code: 'ada' }))).status).toBe(303)
  })

  it('of somebody who is no auditor is refused, and leaves nobody logged in', async () => {
    const browser = app.browser()
    const back = await browser.get(staffBack(await toBank(browser), { code: 'clerk' }))
    expect([back.status, back.text]).toEqual([403, expect.stringContaining('may not audit')])
    expect(isLogin(await browser.get(home))).toBe(true)
    expect((await listStaff(app.broker, bank)).map(({ subject }) => subject)).not.toContain('clerk')
  })

  it('that is broken off leads back to the login', async () => {
    const browser = app.browser()
    const sent = await toBank(browser, `${home}/entries`)
    const back = await browser.get(staffBack(sent, { error: 'access_denied' }))
    expect([back.status, back.location]).toEqual([303, `${home}/entries`])
    expect(isLogin(await browser.get(back.location))).toBe(true)
  })

  it('while the bank is silent begins and ends nothing', async () => {
    const browser = app.browser()
    const sent = await toBank(browser)
    const page = await browser.get('/console')
    app.banks.silent = true
    const answers = [
      await browser.press(page, `bank-${bank}`),
      await browser.get(staffBack(sent, { code: 'ada' })),
    ]
    app.banks.silent = false
    expect(answers.map(({ status }) => status)).toEqual([502, 502])
    expect(answers[0]?.text).toContain('is not answering')
    expect(isLogin(await browser.get(home))).toBe(true)
  })

  it('is begun by a form of our own page only', async () => {
    const browser = app.browser()
    const page = await browser.get('/console')
    for (const change of [
      { fields: { csrf: undefined } },
      { fields: { csrf: 'x'.repeat(43) } },
      { headers: { 'sec-fetch-site': 'cross-site' } },
      { headers: { origin: 'https://evil.example' } },
    ])
      expect((await browser.press(page, `bank-${bank}`, change)).status).toBe(403)
  })
})

describe('a session', () => {
  it(`ends after ${session_idle_minutes} minutes without a request, and not before`, async () => {
    const { browser } = await loggedIn()
    app.clock.ahead_ms += session_idle_minutes * 60_000 - 5_000
    expect(isShell(await browser.get(home))).toBe(true)
    app.clock.ahead_ms += session_idle_minutes * 60_000 + 1_000
    expect(isLogin(await browser.get(home))).toBe(true)
  })

  it(`ends ${staff_hours} hours after the login, however much it is used`, async () => {
    const { browser } = await loggedIn()
    const steps = (staff_hours * 60) / 10
    for (let step = 1; step < steps; step++) {
      app.clock.ahead_ms += 600_000
      expect(isShell(await browser.get(home))).toBe(true)
    }
    app.clock.ahead_ms += 600_000
    expect(isLogin(await browser.get(home))).toBe(true)
  })

  it('ends at a logout, which goes on to the bank; the cookie is good for nothing then', async () => {
    const { browser, page } = await loggedIn()
    const left = await browser.press(page, 'logout')
    expect(left.status).toBe(303)
    expect(new URL(left.location).searchParams.get('back')).toBe('https://broker.example/console')
    expect(isLogin(await browser.get(home))).toBe(true)
    expect((await browser.press(page, 'logout')).location).toBe('/console')
  })

  it('is ended by the revocation of its grant, at the next request, and no other’s', async () => {
    const [first, second] = [await loggedIn('eve'), await loggedIn('eve')]
    const [newest, older] = (await listGrants(app.broker.db, bank)).filter(
      ({ kind, revoked }) => kind === 'staff' && revoked === undefined,
    )
    expect(newest).toMatchObject({ grantedBy: 'the bank, by a login of its staff' })
    expect(older?.auditor).toBe(newest?.auditor)
    await revokeGrant(app.broker.db, bank, newest?.id ?? '')
    expect(isLogin(await second.browser.get(home))).toBe(true)
    expect(isShell(await first.browser.get(home))).toBe(true)
    await first.browser.press(first.page, 'logout')
    expect(
      (await listGrants(app.broker.db, bank)).find(({ id }) => id === older?.id),
    ).toHaveProperty('revoked')
  })

  it('is not ended by another site', async () => {
    const { browser, page } = await loggedIn()
    const headers = { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' }
    expect((await browser.press(page, 'logout', { headers })).status).toBe(403)
    expect((await browser.press(page, 'logout', { fields: { csrf: '' } })).status).toBe(403)
    expect(isShell(await browser.get(home))).toBe(true)
  })

  it('is of one bank: another’s console is refused, one that is none is not found', async () => {
    const { browser } = await loggedIn()
    const elsewhere = await browser.get(`/console/${other}/entries`)
    expect([elsewhere.status, elsewhere.text.includes('data-told')]).toEqual([403, false])
    expect((await browser.get('/console/no-bank')).status).toBe(404)
    expect((await app.browser().get('/console/no-bank/entries')).status).toBe(404)
  })

  it('of a customer is none of the staff’s, nor the other way round', async () => {
    const customer = app.browser()
    const sent = await customer.press(await customer.get('/connections'), `bank-${bank}`)
    await customer.get(backFrom(sent, { code: 'ada' }))
    expect((await customer.get('/connections')).text).toContain('Nobody has access')
    const { browser: auditor } = await loggedIn('ada')

    const customers = customer.cookies.get('__Host-countersign') ?? ''
    const staffs = auditor.cookies.get(cookie) ?? ''
    customer.cookies.set(cookie, customers)
    expect(isLogin(await customer.get(home))).toBe(true)
    auditor.cookies.set('__Host-countersign', staffs)
    expect((await auditor.get('/connections')).text).toContain('Choose your bank')
  })

  it('of a customer’s login cannot be answered at the console, nor the other way round', async () => {
    const customer = app.browser()
    const sent = await customer.press(await customer.get('/connections'), `bank-${bank}`)
    customer.cookies.set(cookie, customer.cookies.get('__Host-countersign') ?? '')
    expect((await customer.get(staffBack(sent, { code: 'ada' }))).status).toBe(400)

    const auditor = app.browser()
    const asked = await toBank(auditor)
    auditor.cookies.set('__Host-countersign', auditor.cookies.get(cookie) ?? '')
    expect((await auditor.get(backFrom(asked, { code: 'ada' }))).status).toBe(400)
  })
})

describe('what the console’s pages are sent with', () => {
  it('lets files of ours run and load, and nothing else', async () => {
    const { page } = await loggedIn()
    const policy = page.headers['content-security-policy']?.split(';')
    expect(policy).toEqual(
      expect.arrayContaining([
        "default-src 'none'",
        "script-src 'self'",
        "connect-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "frame-ancestors 'none'",
        "base-uri 'none'",
      ]),
    )
    expect(page.headers).toMatchObject({
      'cache-control': 'no-store',
      'x-frame-options': 'DENY',
      'x-content-type-options': 'nosniff',
    })
    expect(page.headers).not.toHaveProperty('access-control-allow-origin')
    expect(page.text).not.toMatch(/<style|style="|<script(?![^>]* src=)| on\w+="/)
  })

  it('names its script by its content, which may be kept for ever then', async () => {
    const { browser, page } = await loggedIn()
    const [, src = '', integrity = ''] =
      /<script type="module" src="([^"]+)" integrity="([^"]+)"/.exec(page.text) ?? []
    expect(src).toMatch(/^\/console\/assets\/console\.js\?v=[\w-]{16}$/)
    expect(integrity).toMatch(/^sha384-/)
    const named = await browser.get(src)
    expect([named.status, named.headers['cache-control']]).toEqual([
      200,
      'public, max-age=31536000, immutable',
    ])
    expect(named.headers['content-type']).toContain('text/javascript')
    const old = await browser.get('/console/assets/console.js?v=older')
    expect([old.status, old.headers['cache-control']]).toEqual([200, 'no-cache'])
    expect((await browser.get('/console/assets/console.map')).status).toBe(404)
    expect((await browser.get('/console/assets/..%2fpackage.json')).status).toBe(404)
  })
})
