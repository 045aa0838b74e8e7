import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { createDelivery, showDelivery } from '../../src/broker/deliver.ts'
import { revokeConsent } from '../../src/broker/revoke_consent.ts'
import { findConsent } from '../../src/storage/consents.ts'
import { loginIndexOf } from '../../src/storage/links.ts'
import {
  backFrom,
  bank,
  connect as connectIn,
  look as lookIn,
  pageApp,
  type PageApp,
  type Pushed,
} from '../support/page_app.ts'
import type { Visit } from '../support/page_browser.ts'
import { replayLedger } from '../support/test_broker.ts'

const cookie = '__Host-countersign'

let app: PageApp
beforeAll(async () => {
  app = await pageApp()
})
afterAll(async () => {
  await replayLedger(app.broker, bank)
  await app.close()
})

const connect = (customer: string, change?: Parameters<PageApp['push']>[0]) =>
  connectIn(app, customer, change)
const look = (customer: string) => lookIn(app, customer)

const consentOf = async ({ consentId }: Pushed) =>
  (await findConsent(app.broker.db, bank, consentId))?.consent

const timesIn = (page: Visit) =>
  [...page.text.matchAll(/<time datetime="([^"]*)"/g)].map(([, at]) => Date.parse(at ?? ''))

describe('the connections page', () => {
  it.each([
    '/Connections',
    '/connections/',
    '/connections/a.b/Entries',
    '/connections/a.b/entries/',
    '/oauth/Authorize',
    '/oauth/authorize/',
    '/Policy',
    '/D/a.b',
    '/Banks/citi/callback',
    '/web/Verifier/verify.html',
  ])(
    'is, as every page, under no other spelling, which would count against another limit: %s',
    async (path) => {
      expect((await app.browser().get(path)).status).toBe(404)
    },
  )

  it('asks for the bank first, and the bank for nothing but who it is', async () => {
    const browser = app.browser()
    const picker = await browser.get('/connections')
    expect(picker.text).toContain('Choose your bank')
    await browser.press(picker, `bank-${bank}`)
    expect(app.banks.logins.at(-1)).toEqual({ nonce: expect.stringMatching(/^[\w-]{43}$/) })
  })

  it('shows the connections of this login with masked accounts, and nobody else’s', async () => {
    await connect('ana')
    await connect('ben')
    const { list } = await look('ana')
    expect(list.text.match(/class="state">Active/g)).toHaveLength(1)
    expect(list.text).toContain('Everyday Checking ••••4242')
    expect(list.text).toContain('Rainy days ••••0007')
    expect(list.text).not.toContain('00012345')
    expect((await look('nobody')).list.text).toContain('Nobody has access to your accounts')
  })

  it('shows when data last passed', async () => {
    const pushed = await connect('ida', { delivery: 'link_out' })
    expect((await look('ida')).list.text).toContain('None yet')
    const interaction = '00000000-0000-4000-8000-000000000000'
    const { pointer } = await createDelivery(
      app.broker,
      { bank, consentId: pushed.consentId, client: 'messenger' },
      { clusters: ['BALANCES'], hours: 1 },
    )
    const loginIndex = loginIndexOf(app.broker.vault, { bank, bankSubject: 'ida' })
    const { released } = await showDelivery(app.broker, { pointer, loginIndex, interaction })
    expect((await look('ida')).list.text).toContain(`<time datetime="${released.at}">`)
  })

  it('goes back to the choice of bank when the login is broken off, or the customer leaves', async () => {
    const browser = app.browser()
    const sent = await browser.press(await browser.get('/connections'), `bank-${bank}`)
    await browser.get(backFrom(sent, { error: 'access_denied' }))
    expect((await browser.get('/connections')).text).toContain('Choose your bank')

    const { browser: other, list } = await look('ana')
    expect((await other.press(list, 'leave')).location).toBe('/connections')
    expect((await other.get('/connections')).text).toContain('Choose your bank')
  })

  it('refuses a bank that is not there', async () => {
    const browser = app.browser()
    const page = await browser.get('/connections')
    const refused = await browser.press(page, `bank-${bank}`, { fields: { bank: 'no-bank' } })
    expect([refused.status, refused.location]).toEqual([400, ''])
  })
})

describe('ending a connection', () => {
  it('takes one step, is in effect at once, and names the instant after which nothing can arrive', async () => {
    const pushed = await connect('cleo')
    const { browser, list } = await look('cleo')
    const done = await browser.press(list, 'revoke-0')
    expect(done.status).toBe(200)
    const consent = await consentOf(pushed)
    expect(consent).toMatchObject({ state: 'revoked', ended: { by: 'customer' } })
    const at = consent?.state === 'revoked' ? Date.parse(consent.ended.at) : 0
    expect(timesIn(done)).toEqual([at, at + 2_000])

    const after = await browser.get('/connections')
    expect(after.text).not.toContain('id="revoke-')
    expect(after.text).toContain(', by you')
  })

  it('twice gives the same answer, with one entry', async () => {
    const pushed = await connect('dora')
    const { browser, list } = await look('dora')
    const [first, second] = await Promise.all([
      browser.press(list, 'revoke-0'),
      browser.press(list, 'revoke-0'),
    ])
    expect(second.text).toBe(first.text)
    expect((await app.entries(pushed.consentId)).map(({ kind }) => kind)).toEqual([
      'consent.grant',
      'consent.revoke',
    ])
  })

  it('that the bank ended meanwhile says when that was', async () => {
    const pushed = await connect('eve')
    const { browser, list } = await look('eve')
    const { at } = await revokeConsent(app.broker, {
      ...{ bank, consentId: pushed.consentId },
      by: 'bank',
      reason: 'BUSINESS_RULE',
    })
    const done = await browser.press(list, 'revoke-0')
    expect(timesIn(done)[0]).toBe(Date.parse(at))
    expect((await browser.get('/connections')).text).toContain(', by your bank')
  })

  it('of all ends every active one of this login', async () => {
    const mine = [await connect('finn'), await connect('finn', { delivery: 'link_out' })]
    const other = await connect('gus')
    const { browser, list } = await look('finn')
    const done = await browser.press(list, 'revoke-all')
    expect(done.text.match(/id="ended-\d"/g)).toHaveLength(2)
    for (const one of mine) expect((await consentOf(one))?.state).toBe('revoked')
    expect((await consentOf(other))?.state).toBe('active')
  })

  it('of another login’s is refused, and changes nothing', async () => {
    const theirs = await connect('hal')
    await connect('mallory')
    const { browser, list } = await look('mallory')
    for (const button of ['revoke-0', 'narrow-0']) {
      const refused = await browser.press(list, button, { fields: { consent: theirs.consentId } })
      expect(refused.status).toBe(404)
    }
    expect((await consentOf(theirs))?.state).toBe('active')
  })

  it('ends the right of browsers to show figures, with the last connection', async () => {
    await connect('jo', { delivery: 'link_out' })
    const devices = async () => (await app.rows('select 1 from devices')).length
    const before = await devices()
    const { browser, list } = await look('jo')
    await browser.press(list, 'revoke-0')
    expect(await devices()).toBe(before - 1)
  })
})

describe('sharing fewer accounts', () => {
  it('keeps the ticked ones, ends the others, and leaves the connection active', async () => {
    const pushed = await connect('kay')
    const { browser, list } = await look('kay')
    const [keep] = [...list.text.matchAll(/id="keep-0-1" name="account" value="([^"]*)"/g)]
    const done = await browser.press(list, 'narrow-0', { fields: { account: keep?.[1] } })
    expect(done.text).toContain('Rainy days ••••0007')
    expect(done.text).not.toContain('Everyday Checking')
    expect(await consentOf(pushed)).toMatchObject({
      state: 'active',
      terms: { accounts: [keep?.[1]] },
    })
    const after = await browser.get('/connections')
    expect(after.text).not.toContain('Everyday Checking')
    expect(after.text).not.toContain('id="narrow-0"')
  })

  it('asks again when none stays ticked, and changes nothing', async () => {
    const pushed = await connect('lou')
    const { browser, list } = await look('lou')
    const again = await browser.press(list, 'narrow-0', { fields: { account: undefined } })
    expect(again.status).toBe(422)
    expect(again.text).toContain('Tick at least one account to keep')
    expect((await app.entries(pushed.consentId)).map(({ kind }) => kind)).toEqual(['consent.grant'])
  })

  it('refuses accounts that are not shared', async () => {
    const pushed = await connect('meg')
    const { browser, list } = await look('meg')
    const refused = await browser.press(list, 'narrow-0', { fields: { account: 'a'.repeat(22) } })
    expect(refused.status).toBe(403)
    expect((await app.entries(pushed.consentId)).map(({ kind }) => kind)).toEqual(['consent.grant'])
  })
})

describe('a connections session', () => {
  it('has a cookie that only the login gave: the one from before shows nothing', async () => {
    await connect('nia')
    const browser = app.browser()
    const sent = await browser.press(await browser.get('/connections'), `bank-${bank}`)
    const before = browser.cookies.get(cookie) ?? ''
    await browser.get(backFrom(sent, { code: 'nia' }))
    const thief = app.browser()
    thief.cookies.set(cookie, before)
    expect((await thief.get('/connections')).text).toContain('Choose your bank')
  })

  it('is over after 15 minutes: nothing can be ended with it, and it says how to go on', async () => {
    const pushed = await connect('oz')
    const { browser, list } = await look('oz')
    app.clock.ahead_ms += 16 * 60_000
    const refused = await browser.press(list, 'revoke-0')
    expect(refused.status).toBe(403)
    expect(refused.text).toContain('Please log in again')
    expect((await consentOf(pushed))?.state).toBe('active')
  })

  it('takes no form from another site, and none without its token', async () => {
    const pushed = await connect('pat')
    const { browser, list } = await look('pat')
    for (const change of [
      { fields: { csrf: undefined } },
      { headers: { 'sec-fetch-site': 'cross-site' } },
      { headers: { origin: 'https://evil.example' } },
    ])
      for (const button of ['revoke-0', 'revoke-all', 'narrow-0', 'leave'])
        expect((await browser.press(list, button, change)).status).toBe(403)
    expect((await consentOf(pushed))?.state).toBe('active')
  })
})
