import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import supertest from 'supertest'
import { createDelivery } from '../../src/broker/deliver.ts'
import { revokeConsent } from '../../src/broker/revoke_consent.ts'
import { findConsent } from '../../src/storage/consents.ts'
import { backFrom, bank, disclosed, pageApp, type PageApp } from '../support/page_app.ts'
import type { PageBrowser, Visit } from '../support/page_browser.ts'
import { replayLedger } from '../support/test_broker.ts'

let app: PageApp
beforeAll(async () => {
  app = await pageApp()
})
afterAll(async () => {
  await replayLedger(app.broker, bank)
  await app.close()
})

interface Linked {
  readonly consentId: string
  readonly pointer: string
  /** The browser in which the customer approved. */
  readonly browser: PageBrowser
}

/** A customer with a `link_out` connection, and a pointer as their thread would carry it. */
async function linked(customer: string): Promise<Linked> {
  const pushed = await app.push({ delivery: 'link_out' })
  const { browser, page } = await disclosed(app, { pushed, customer })
  await browser.press(page, 'approve')
  const { consentId } = pushed
  const { pointer } = await createDelivery(
    app.broker,
    { bank, consentId, client: 'messenger' },
    { clusters: ['ACCOUNT_BASIC', 'BALANCES', 'TRANSACTIONS'], hours: 1 },
  )
  return { consentId, pointer, browser }
}

/** Logs in from the page that asks for it, and comes back to the pointer's page. */
async function logIn(browser: PageBrowser, asked: Visit, customer: string): Promise<Visit> {
  const sent = await browser.press(await browser.get(asked.location), `bank-${bank}`)
  const back = await browser.get(backFrom(sent, { code: customer }))
  return browser.get(back.location)
}

describe('opening a pointer', () => {
  it('shows no figure, no bank and no recipient, and records nothing, however often and by whomever', async () => {
    const { pointer, browser } = await linked('ana')
    const before = await app.entries()
    for (const one of [browser, app.browser(), app.browser()]) {
      const page = await one.get(`/d/${pointer}`)
      expect(page.status).toBe(200)
      const shown = page.text.replaceAll(pointer, '').replaceAll(/csrf" value="[^"]*"/g, '')
      expect(shown).not.toMatch(/first-bank|National Association|Harbor|Checking|4242|1,234/)
    }
    await supertest(app.app).head(`/d/${pointer}`).expect(200)
    expect(await app.entries()).toEqual(before)
  })

  it('says the same of one that never was, and looks nothing up', async () => {
    const { pointer } = await linked('ana')
    const never = 'n'.repeat(pointer.length)
    const shown = async (one: string) =>
      (await app.browser().get(`/d/${one}`)).text
        .replaceAll(one, '')
        .replaceAll(/csrf" value="[^"]*"/g, '')
    expect(await shown(never)).toBe(await shown(pointer))
  })

  it('tells nobody the address, and is kept by no cache and no crawler', async () => {
    const { headers } = await app.browser().get(`/d/${(await linked('ana')).pointer}`)
    expect(headers).toMatchObject({
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-store',
      'x-robots-tag': 'noindex',
    })
    expect(headers['content-security-policy']).toContain("form-action 'self';")
  })

  it('of no form is not found', async () => {
    for (const path of ['/d/x', '/d/first-bank.short', '/d/%2e%2e'])
      expect((await app.browser().get(path)).status).toBe(404)
  })
})

describe('showing the figures', () => {
  it('happens in the browser in which the customer approved, and is a release to the data subject', async () => {
    const { pointer, browser, consentId } = await linked('ben')
    const shown = await browser.press(await browser.get(`/d/${pointer}`), 'show')
    expect(shown.status).toBe(200)
    expect(shown.text).toContain('1,234.50 USD')
    expect(shown.text).toContain('••••4242')
    expect(shown.text).toContain('Corner Grocery')
    expect(shown.text).not.toContain('00012345')
    const last = (await app.entries()).at(-1)
    expect(last).toMatchObject({
      kind: 'release',
      body: { consent: consentId, to: 'data_subject', recipient: 'messenger' },
    })
    expect(shown.headers['countersign-entry']).toMatch(new RegExp(`^${last?.n} [\\w+/]{43}=$`))
    expect(shown.text).toContain(`entry ${last?.n} of the ledger`)
  })

  it('needs a bank login in any other browser, which then is remembered', async () => {
    const { pointer } = await linked('cleo')
    const browser = app.browser()
    const asked = await browser.press(await browser.get(`/d/${pointer}`), 'show')
    expect([asked.status, asked.location]).toEqual([303, `/d/${pointer}/login`])
    const page = await logIn(browser, asked, 'cleo')
    expect(page.text).not.toContain('1,234.50')
    expect((await browser.press(page, 'show')).text).toContain('1,234.50 USD')

    app.clock.ahead_ms += 16 * 60_000
    const later = await browser.press(await browser.get(`/d/${pointer}`), 'show')
    expect(later.text).toContain('1,234.50 USD')
  })

  it('is refused to another customer, by login and by browser, and nothing is recorded', async () => {
    const { pointer } = await linked('dora')
    const other = await linked('mallory')
    const before = await app.entries()
    const byDevice = await other.browser.press(await other.browser.get(`/d/${pointer}`), 'show')
    expect(byDevice.status).toBe(404)

    const browser = app.browser()
    const asked = await browser.press(await browser.get(`/d/${pointer}`), 'show')
    const byLogin = await browser.press(await logIn(browser, asked, 'mallory'), 'show')
    expect(byLogin.status).toBe(404)
    expect(byLogin.text).not.toContain('1,234.50')
    expect(await app.entries()).toEqual(before)
  })

  it('is refused after the connection ended, in a browser that was remembered before', async () => {
    const { pointer, browser, consentId } = await linked('eve')
    await revokeConsent(app.broker, {
      ...{ bank, consentId },
      by: 'customer',
      reason: 'USER_ACTION',
    })
    const refused = await browser.press(await browser.get(`/d/${pointer}`), 'show')
    expect(refused.status).toBe(303)
    expect(refused.location).toBe(`/d/${pointer}/login`)
    const again = await browser.press(await logIn(browser, refused, 'eve'), 'show')
    expect(again.status).toBe(403)
    expect(again.text).not.toContain('1,234.50')
  })

  it('is refused 30 days after the login without a new one', async () => {
    const { pointer, browser } = await linked('finn')
    const days = 31 * 86_400_000
    app.clock.ahead_ms += days
    const asked = await browser
      .press(await browser.get(`/d/${pointer}`), 'show')
      .finally(() => (app.clock.ahead_ms -= days))
    expect(asked.location).toBe(`/d/${pointer}/login`)
  })

  it('takes no form from another site, and none without its token', async () => {
    const { pointer, browser } = await linked('gus')
    const page = await browser.get(`/d/${pointer}`)
    const before = await app.entries()
    for (const change of [
      { fields: { csrf: undefined } },
      { headers: { 'sec-fetch-site': 'cross-site' } },
      { headers: { origin: 'https://evil.example' } },
      { headers: { origin: 'null', 'sec-fetch-site': undefined } },
    ])
      for (const button of ['show', 'stop'])
        expect((await browser.press(page, button, change)).status).toBe(403)
    expect(await app.entries()).toEqual(before)
  })

  it('takes the form that a browser sends from a page without referrers: no origin, from the same site', async () => {
    const { pointer, browser } = await linked('hal')
    const page = await browser.get(`/d/${pointer}`)
    const shown = await browser.press(page, 'show', { headers: { origin: 'null' } })
    expect(shown.text).toContain('1,234.50 USD')
  })

  it('says so when the bank does not answer', async () => {
    const { pointer, browser } = await linked('ida')
    const page = await browser.get(`/d/${pointer}`)
    app.banks.silent = true
    const silent = await browser.press(page, 'show').finally(() => (app.banks.silent = false))
    expect(silent.status).toBe(502)
    expect(silent.text).toContain('Your bank is not answering')
  })
})

describe('stopping by a pointer', () => {
  it('needs no login, ends the connection at once, and names neither bank nor recipient', async () => {
    const { pointer, consentId } = await linked('jo')
    const browser = app.browser()
    const done = await browser.press(await browser.get(`/d/${pointer}`), 'stop')
    expect(done.status).toBe(200)
    const consent = (await findConsent(app.broker.db, bank, consentId))?.consent
    expect(consent).toMatchObject({ state: 'revoked', ended: { by: 'customer' } })
    const at = consent?.state === 'revoked' ? Date.parse(consent.ended.at) : 0
    expect(done.text).toContain(new Date(at + 2_000).toISOString())
    expect(done.text).not.toMatch(/first-bank|National Association|Harbor/)
  })

  it('by one that never was ends nothing and says where else to go', async () => {
    const { pointer } = await linked('kay')
    const browser = app.browser()
    const page = await browser.get(`/d/${'n'.repeat(pointer.length)}`)
    const refused = await browser.press(page, 'stop')
    expect(refused.status).toBe(404)
    expect(refused.text).toContain('open your connections')
  })
})
