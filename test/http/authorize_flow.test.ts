import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { createLocalJWKSet, jwtVerify } from 'jose'
import supertest from 'supertest'
import { DoorUnavailable } from '../../src/broker/append.ts'
import { revokeConsent } from '../../src/broker/revoke_consent.ts'
import { commitment } from '../../src/broker/commitment.ts'
import { workOutbox } from '../../src/broker/work_outbox.ts'
import { canonical } from '../../src/ledger/canonical.ts'
import { disclosureText } from '../../src/consent/disclosure.ts'
import { findConsent } from '../../src/storage/consents.ts'
import { hashOf } from '../../src/storage/ids.ts'
import { loginIndexOf } from '../../src/storage/links.ts'
import {
  backFrom,
  bank,
  disclosed,
  pageApp,
  type PageApp,
  type Pushed,
} from '../support/page_app.ts'
import type { Change, Visit } from '../support/page_browser.ts'
import { replayLedger } from '../support/test_broker.ts'

const cookie = '__Host-countersign'

let app: PageApp
beforeAll(async () => {
  app = await pageApp()
})
afterAll(async () => {
  // Whatever a test did, the ledger keeps every rule.
  await replayLedger(app.broker, bank)
  await app.close()
})

const stateOf = async ({ consentId }: Pushed) =>
  (await findConsent(app.broker.db, bank, consentId))?.consent.state

const codesOf = async ({ consentId }: Pushed) =>
  (await app.rows(`select 1 from authorization_codes where consent_id = '${consentId}'`)).length

/** Where a page sent the browser, apart. */
function answerOf(visit: Visit) {
  expect(visit.status).toBe(303)
  const { origin, pathname, searchParams } = new URL(visit.location)
  return { to: origin + pathname, ...Object.fromEntries(searchParams) }
}

const answered = { to: 'https://recipient.example/callback', page: '1', state: 'its state' }
const denied = { ...answered, iss: 'https://broker.example', error: 'access_denied' }

describe('a customer who approves', () => {
  it('comes back to the recipient with a code, after the bank’s login, and the consent is active', async () => {
    const pushed = await app.push({ profile: 'Ana <Ortiz>' })
    const browser = app.browser()
    const arrived = await browser.get(pushed.address)
    expect(arrived.status).toBe(200)
    expect(arrived.text).toContain('Harbor Messaging, Inc.')
    expect(arrived.text).toContain('“Ana &lt;Ortiz>”')

    const sent = await browser.press(arrived, 'continue')
    expect(sent.status).toBe(303)
    expect(sent.location).toMatch(/^https:\/\/bank\.example\/authorize\?/)

    const back = await browser.get(backFrom(sent, { code: 'ana' }))
    expect([back.status, back.location]).toEqual([303, '/oauth/authorize/disclosure'])
    const page = await browser.get(back.location)
    expect(page.text).toContain('Everyday Checking ••••4242')
    expect(page.text).not.toContain('000123454242')

    const done = await browser.press(page, 'approve')
    expect(answerOf(done)).toEqual({
      ...answered,
      iss: 'https://broker.example',
      code: expect.stringMatching(/^first-bank\./),
    })
    expect(await stateOf(pushed)).toBe('active')
    expect(await codesOf(pushed)).toBe(1)
  })

  it('is bound by the bank’s answer to the terms: the login’s nonce commits to them, and the grant to the nonce', async () => {
    const pushed = await app.push()
    const { browser, page } = await disclosed(app, { pushed })
    await browser.press(page, 'approve')
    const login = app.banks.logins.at(-1)
    const [grant] = await app.entries(pushed.consentId)
    expect(grant?.body).toMatchObject({ terms: login?.nonce })

    const record = await findConsent(app.broker.db, bank, pushed.consentId)
    const [row] = await app.rows(
      `select c.evidence_sealed, c.link_id, k.sealed from consents c join link_keys k on k.link_id = c.link_id
       where c.id = '${pushed.consentId}'`,
    )
    const linkId = String(row?.['link_id'])
    const key = app.broker.vault.linkKey(row?.['sealed'] as Buffer, linkId)
    const evidence = key.open(row?.['evidence_sealed'] as Buffer, `evidence ${linkId}`)
    const { terms_salt } = evidence as { terms_salt: string }
    expect(Buffer.from(terms_salt, 'base64url').length).toBeGreaterThanOrEqual(16)
    expect(
      commitment(Buffer.from(terms_salt, 'base64url'), canonical({ ...record?.requested })),
    ).toBe(login?.nonce)
  })

  it('approves exactly the text that was shown: its hash is in the ledger', async () => {
    const pushed = await app.push()
    const { browser, page } = await disclosed(app, { pushed })
    const record = await findConsent(app.broker.db, bank, pushed.consentId)
    await browser.press(page, 'approve')
    if (record === undefined) throw new Error('no consent')
    const { text, version, language } = disclosureText({
      requested: record.requested,
      recipient: 'Harbor Messaging, Inc.',
      bank: 'first-bank National Association',
      connectionsUrl: 'https://broker.example/connections',
      at: app.broker.now(),
    })
    const [grant] = await app.entries(pushed.consentId)
    expect(grant?.body).toMatchObject({
      disclosure: { version, language, sha256: hashOf(text).toString('base64url') },
    })
  })

  it('shares the accounts that stay ticked and no others', async () => {
    const pushed = await app.push()
    const { browser, page } = await disclosed(app, { pushed })
    await browser.press(page, 'approve', { fields: { account: '1' } })
    const [grant] = await app.entries(pushed.consentId)
    expect(grant?.body).toMatchObject({ accounts: [expect.any(String)] })
  })

  it.each([
    ['none', undefined],
    ['one that was never offered', '2'],
    ['one by the bank’s own id', 'bank-account-1'],
  ])('is asked again when %s is ticked, and nothing is granted', async (_, account) => {
    const pushed = await app.push()
    const { browser, page } = await disclosed(app, { pushed })
    const again = await browser.press(page, 'approve', { fields: { account } })
    expect(again.status).toBe(422)
    expect(again.text).toContain('Tick at least one account')
    expect(again.text).not.toContain(' checked')
    expect(await stateOf(pushed)).toBe('requested')
    expect((await browser.press(page, 'approve')).status).toBe(303)
  })

  it('is asked again when the text has changed since it was shown, and nothing is granted', async () => {
    const pushed = await app.push()
    const { browser, page } = await disclosed(app, { pushed })
    const again = await browser.press(page, 'approve', { fields: { disclosure: 'd'.repeat(43) } })
    expect(again.status).toBe(422)
    expect(again.text).toContain('has changed since you opened it')
    expect(await stateOf(pushed)).toBe('requested')
  })

  it('has this browser remembered when figures come by link, and only then', async () => {
    const cookiesAfter = async (delivery: 'link_out' | 'in_thread') => {
      const pushed = await app.push({ delivery })
      const { browser, page } = await disclosed(app, { pushed })
      await browser.press(page, 'approve')
      return [...browser.cookies.keys()]
    }
    expect(await cookiesAfter('in_thread')).toEqual([cookie])
    expect(await cookiesAfter('link_out')).toEqual([cookie, '__Host-countersign-device-first-bank'])
  })
})

describe('a customer who says no', () => {
  it('at the disclosure comes back with access_denied, and the bank’s tokens are given back', async () => {
    const pushed = await app.push()
    const { browser, page } = await disclosed(app, { pushed, customer: 'dora' })
    const done = await browser.press(page, 'decline')
    expect(answerOf(done)).toEqual({ ...denied, error_description: 'the customer declined' })
    expect(await stateOf(pushed)).toBe('declined')
    expect(app.banks.revoked).toContain('access of dora')
    expect(await app.entries(pushed.consentId)).toEqual([])
  })

  it('before the login comes back with access_denied', async () => {
    const pushed = await app.push()
    const browser = app.browser()
    const done = await browser.press(await browser.get(pushed.address), 'cancel')
    expect(answerOf(done)).toEqual({ ...denied, error_description: 'the customer cancelled' })
    expect(await stateOf(pushed)).toBe('declined')
  })

  it('at the bank comes back with access_denied', async () => {
    const pushed = await app.push()
    const browser = app.browser()
    const sent = await browser.press(await browser.get(pushed.address), 'continue')
    const done = await browser.get(backFrom(sent, { error: 'access_denied' }))
    expect(answerOf(done)).toMatchObject(denied)
    expect(await stateOf(pushed)).toBe('declined')
  })

  it('is answered though the bank is silent', async () => {
    const pushed = await app.push()
    const { browser, page } = await disclosed(app, { pushed })
    app.banks.silent = true
    const done = await browser.press(page, 'decline').finally(() => (app.banks.silent = false))
    expect(answerOf(done)).toMatchObject(denied)
  })
})

describe('a request whose answer is to be signed', () => {
  /** What the one parameter says that the answer has beside those of the redirect URI. */
  async function signed(visit: Visit) {
    expect(visit.status).toBe(303)
    const { searchParams } = new URL(visit.location)
    expect([...searchParams.keys()]).toEqual(['page', 'response'])
    const { keys } = app.authorization.keys.jwks
    const { payload } = await jwtVerify(
      searchParams.get('response') ?? '',
      createLocalJWKSet({ keys: keys.map((key) => ({ kty: 'EC', ...key })) }),
      { issuer: 'https://broker.example', audience: 'messenger' },
    )
    return payload
  }

  it('has its code, and where a customer says no its error, in a JWT and nowhere else', async () => {
    const granted = await disclosed(app, { pushed: await app.push({ responseMode: 'jwt' }) })
    const approved = await signed(await granted.browser.press(granted.page, 'approve'))
    expect(approved).toMatchObject({
      code: expect.stringMatching(/^first-bank\./),
      state: 'its state',
    })

    const declined = await disclosed(app, { pushed: await app.push({ responseMode: 'jwt' }) })
    expect(await signed(await declined.browser.press(declined.page, 'decline'))).toMatchObject({
      error: 'access_denied',
      state: 'its state',
    })

    const browser = app.browser()
    const arrived = await browser.get((await app.push({ responseMode: 'jwt' })).address)
    expect(await signed(await browser.press(arrived, 'cancel'))).toMatchObject({
      error: 'access_denied',
    })
  })
})

describe('a request that changes a permission', () => {
  const psid = '5849302718'
  const asked = { psid, clusters: ['BALANCES'], delivery: 'link_out' } as const

  /** A permission of a customer, and the change of it that is shown to whoever logs in. */
  async function permitted(customer: string): Promise<Pushed> {
    const pushed = await app.push({ psid, profile: customer })
    const { browser, page } = await disclosed(app, { pushed, customer })
    expect(page.text).not.toContain('permission that you gave before')
    expect((await browser.press(page, 'approve', { fields: { account: '0' } })).status).toBe(303)
    return pushed
  }

  const termsOf = async ({ consentId }: Pushed) => {
    const consent = (await findConsent(app.broker.db, bank, consentId))?.consent
    return consent && 'terms' in consent ? consent.terms : undefined
  }

  it('says so, with old and new in words, and approving changes it under its id', async () => {
    const before = await permitted('rosa')
    const pushed = await app.push({ ...asked, replaces: before.consentId })
    const { browser, page } = await disclosed(app, { pushed, customer: 'rosa' })
    for (const words of [
      'This changes a permission that you gave before',
      'Data: until now Account name, type and last four digits, Account balances, Transactions of the last 90 days; from now on Account balances',
      'How it reaches you: until now written into your Messenger conversation, where Meta sees it; from now on shown on a page of Countersign',
      'If you decline, that permission goes on as it was.',
    ])
      expect(page.text).toContain(words)
    expect(page.text).toMatch(/End: (?:until now )?\d+ \w+ \d{4}[,;] (?:as before|from now on)/)
    expect(page.text).toMatch(
      /id="shared-before"[^]*Everyday Checking ••••4242[^]*From now on those/,
    )
    expect(page.text.match(/Rainy days/g)).toHaveLength(1) // among those to tick, not among those shared before

    const visits = await Promise.all([1, 2, 3].map(() => browser.press(page, 'approve')))
    expect(new Set(visits.map(({ location }) => location)).size).toBe(1)
    expect(answerOf(visits[0] ?? page)).toMatchObject({ code: expect.any(String) })
    expect((await app.entries(before.consentId)).map(({ kind }) => kind)).toEqual([
      ...['consent.grant', 'consent.replace'],
    ])
    expect(await termsOf(before)).toMatchObject({ clusters: ['BALANCES'], delivery: 'link_out' })
    expect(await stateOf(pushed)).toBeUndefined()
    expect((await app.browser().get(pushed.address)).status).toBe(400)
    expect(await codesOf(before)).toBe(2)
  })

  it('says so too when a second request would renew it, unasked', async () => {
    await permitted('sara')
    const pushed = await app.push({ ...asked, delivery: 'in_thread' })
    const { page } = await disclosed(app, { pushed, customer: 'sara' })
    expect(page.text).toContain('This changes a permission that you gave before')
  })

  it('leaves it as it was when the customer declines', async () => {
    const before = await permitted('tess')
    const terms = await termsOf(before)
    const pushed = await app.push({ ...asked, replaces: before.consentId })
    const { browser, page } = await disclosed(app, { pushed, customer: 'tess' })
    expect(answerOf(await browser.press(page, 'decline'))).toMatchObject(denied)
    expect(await termsOf(before)).toEqual(terms)
    expect(await stateOf(before)).toBe('active')
    expect(await stateOf(pushed)).toBe('declined')
  })

  it.each<[string, { customer?: string; psid?: string }]>([
    ['by another bank login', { customer: 'mallory' }],
    ['for another profile', { psid: '1' }],
  ])('%s shows nothing of it, and changes nothing', async (_, { customer, psid: other = psid }) => {
    const before = await permitted(`uma ${_}`)
    const terms = await termsOf(before)
    const pushed = await app.push({ ...asked, psid: other, replaces: before.consentId })
    const browser = app.browser()
    const sent = await browser.press(await browser.get(pushed.address), 'continue')
    const back = await browser.get(backFrom(sent, { code: customer ?? `uma ${_}` }))
    expect(answerOf(back)).toEqual({
      ...denied,
      error_description: 'the grant to replace is not one of this profile and bank login',
    })
    expect((await browser.get('/oauth/authorize/disclosure')).status).toBe(409)
    expect(await termsOf(before)).toEqual(terms)
    expect(await stateOf(pushed)).toBe('declined')
    expect(app.banks.revoked).toContain(`access of ${customer ?? `uma ${_}`}`)
  })

  it.each(['opens the page again', 'approves'])(
    'that has ended while it was read is refused when the customer %s',
    async (act) => {
      const before = await permitted(`vera ${act}`)
      const pushed = await app.push({ ...asked, replaces: before.consentId })
      const { browser, page } = await disclosed(app, { pushed, customer: `vera ${act}` })
      await revokeConsent(app.broker, {
        ...{ bank, consentId: before.consentId, by: 'customer', reason: 'USER_ACTION' },
      })
      const done =
        act === 'approves'
          ? await browser.press(page, 'approve')
          : await browser.get('/oauth/authorize/disclosure')
      expect(answerOf(done)).toEqual({
        ...denied,
        error_description: 'the grant to replace has ended',
      })
      expect((await app.entries(before.consentId)).map(({ kind }) => kind)).toEqual([
        ...['consent.grant', 'consent.revoke'],
      ])
    },
  )

  it('that has changed while it was read is shown again, as it is now', async () => {
    const before = await permitted('wilma')
    const pushed = await app.push({ ...asked, replaces: before.consentId })
    const reading = await disclosed(app, { pushed, customer: 'wilma' })
    const other = await app.push({ ...asked, lookback_days: 7, replaces: before.consentId })
    const first = await disclosed(app, { pushed: other, customer: 'wilma' })
    expect((await first.browser.press(first.page, 'approve')).status).toBe(303)
    const again = await reading.browser.press(reading.page, 'approve')
    expect(again.status).toBe(422)
    expect(again.text).toContain('has changed since you opened it')
    expect((await reading.browser.press(again, 'approve')).status).toBe(303)
    expect((await app.entries(before.consentId)).map(({ kind }) => kind)).toEqual([
      ...['consent.grant', 'consent.replace', 'consent.replace'],
    ])
  })
})

describe('an address that does not open a request', () => {
  const query = (changes: Record<string, string>) =>
    `/oauth/authorize?${new URLSearchParams(changes)}`

  it.each<[string, () => Promise<string>]>([
    ['no parameters', async () => '/oauth/authorize'],
    ['no client_id', async () => query({ request_uri: (await app.push()).requestUri })],
    ['no request_uri', async () => query({ client_id: 'messenger' })],
    ['client_id twice', async () => `${(await app.push()).address}&client_id=messenger`],
    [
      'request_uri twice',
      async () => {
        const { address, requestUri } = await app.push()
        return `${address}&request_uri=${encodeURIComponent(requestUri)}`
      },
    ],
    [
      'an unknown request_uri',
      async () =>
        query({
          client_id: 'messenger',
          request_uri: `urn:ietf:params:oauth:request_uri:first-bank.${'a'.repeat(43)}`,
        }),
    ],
    ['a request_uri of no form', async () => query({ client_id: 'messenger', request_uri: 'x' })],
    [
      'a request_uri of a bank that is not there',
      async () =>
        query({
          client_id: 'messenger',
          request_uri: `urn:ietf:params:oauth:request_uri:no-bank.${'a'.repeat(43)}`,
        }),
    ],
    [
      'another client’s request_uri',
      async () => query({ client_id: 'unapproved', request_uri: (await app.push()).requestUri }),
    ],
    [
      'an expired request_uri',
      async () => (await app.push({ expires: app.broker.now() - 1 })).address,
    ],
  ])('with %s is a page, leads nowhere and begins no session', async (_, address) => {
    const browser = app.browser()
    const page = await browser.get(await address())
    expect(page.status).toBe(400)
    expect(page.headers['content-type']).toContain('text/html')
    expect(page.location).toBe('')
    expect(browser.cookies.size).toBe(0)
  })

  it.each(['approve', 'decline'])(
    'once its customer did %s: it is decided for good',
    async (answer) => {
      const pushed = await app.push()
      const { browser, page } = await disclosed(app, { pushed })
      await browser.press(page, answer)
      expect((await app.browser().get(pushed.address)).status).toBe(400)
    },
  )

  it('has everything beside the two parameters ignored', async () => {
    const { address } = await app.push()
    const browser = app.browser()
    const evil = '&redirect_uri=https%3A%2F%2Fevil.example&state=other&scope=x&scope=y'
    const done = await browser.press(await browser.get(address + evil), 'cancel')
    expect(answerOf(done)).toMatchObject(denied)
  })

  it('can be opened again before the decision, and by then the first page is out of date', async () => {
    const { address } = await app.push()
    const browser = app.browser()
    const first = await browser.get(address)
    const second = await browser.get(address)
    expect((await browser.press(first, 'continue')).status).toBe(403)
    expect((await browser.press(second, 'continue')).status).toBe(303)
  })
})

describe('a second submit', () => {
  it('of five at once has all sent to the same place, with one grant and one code', async () => {
    const pushed = await app.push()
    const { browser, page } = await disclosed(app, { pushed })
    const visits = await Promise.all(
      Array.from({ length: 5 }, () => browser.press(page, 'approve')),
    )
    expect(visits.map(({ status }) => status)).toEqual([303, 303, 303, 303, 303])
    expect(new Set(visits.map(({ location }) => location)).size).toBe(1)
    expect((await app.entries(pushed.consentId)).map(({ kind }) => kind)).toEqual(['consent.grant'])
    expect(await codesOf(pushed)).toBe(1)
  })

  it('with the other answer changes nothing: what was decided first stands', async () => {
    const pushed = await app.push()
    const { browser, page } = await disclosed(app, { pushed })
    const first = await browser.press(page, 'decline')
    const second = await browser.press(page, 'approve')
    expect(second.location).toBe(first.location)
    expect(await stateOf(pushed)).toBe('declined')
  })

  it('a minute later, and the back button, are told that it is decided', async () => {
    const pushed = await app.push()
    const { browser, page } = await disclosed(app, { pushed })
    await browser.press(page, 'approve')
    const back = await browser.get('/oauth/authorize/disclosure')
    expect([back.status, back.location]).toEqual([409, ''])
    app.clock.ahead_ms += 61_000
    const late = await browser.press(page, 'approve')
    expect([late.status, late.location]).toEqual([409, ''])
    expect(await codesOf(pushed)).toBe(1)
  })

  it('of “continue” goes to the login that was kept, whichever answer the browser follows', async () => {
    const browser = app.browser()
    const page = await browser.get((await app.push()).address)
    const atOnce = await Promise.all([1, 2, 3].map(() => browser.press(page, 'continue')))
    const visits = [...atOnce, await browser.press(page, 'continue')]
    expect(new Set(visits.map(({ location }) => location)).size).toBe(1)
    const back = await browser.get(backFrom(visits[0] ?? page, { code: 'ana' }))
    expect(back.location).toBe('/oauth/authorize/disclosure')
  })

  it('of “continue” after the back button begins a login anew', async () => {
    const browser = app.browser()
    const page = await browser.get((await app.push()).address)
    const first = await browser.press(page, 'continue')
    app.clock.ahead_ms += 3_000
    const second = await browser.press(page, 'continue')
    expect(second.location).not.toBe(first.location)
    expect((await browser.get(backFrom(first, { code: 'ana' }))).status).toBe(400)
    expect((await browser.get(backFrom(second, { code: 'ana' }))).status).toBe(303)
  })

  it('in another browser, by whoever else opened the link, gets no code', async () => {
    const pushed = await app.push()
    const victim = await disclosed(app, { pushed, customer: 'victim' })
    const attacker = await disclosed(app, { pushed, customer: 'attacker' })
    await victim.browser.press(victim.page, 'approve')
    const refused = await attacker.browser.press(attacker.page, 'approve')
    expect([refused.status, refused.location]).toEqual([409, ''])
    expect(await codesOf(pushed)).toBe(1)
    expect((await app.entries(pushed.consentId)).map(({ kind }) => kind)).toEqual(['consent.grant'])
  })

  it('after the ledger did not answer is the first that counts', async () => {
    const pushed = await app.push()
    const { browser, page } = await disclosed(app, { pushed })
    const { append } = app.broker.door
    Object.assign(app.broker.door, { append: () => Promise.reject(new DoorUnavailable('test')) })
    const failed = await browser
      .press(page, 'approve')
      .finally(() => Object.assign(app.broker.door, { append }))
    expect(failed.status).toBe(503)
    expect(failed.headers['retry-after']).toBeDefined()
    expect((await browser.press(page, 'approve')).status).toBe(303)
    expect(await stateOf(pushed)).toBe('active')
  })

  it('after the bank has its tokens back sends the customer back to begin again', async () => {
    const pushed = await app.push()
    const { browser, page } = await disclosed(app, { pushed, customer: 'late' })
    const { append } = app.broker.door
    Object.assign(app.broker.door, { append: () => Promise.reject(new DoorUnavailable('test')) })
    await browser.press(page, 'approve').finally(() => Object.assign(app.broker.door, { append }))
    await app.rows(`update outbox set due_at = now() where done_at is null returning id`)
    await workOutbox(app.broker, bank)
    expect(app.banks.revoked).toContain('access of late')
    expect(answerOf(await browser.press(page, 'approve'))).toMatchObject(denied)
    expect(await stateOf(pushed)).toBe('declined')
  })
})

describe('an approval that the bank’s approval of the recipient does not cover', () => {
  it('is refused, and nothing that it stored stays, here or at the bank', async () => {
    const pushed = await app.push({ recipient: 'unapproved', delivery: 'link_out' })
    const { browser, page } = await disclosed(app, { pushed, customer: 'nia' })
    expect(answerOf(await browser.press(page, 'approve'))).toMatchObject(denied)
    await workOutbox(app.broker, bank)
    await workOutbox(app.broker, bank)
    expect(app.banks.revoked).toContain('access of nia')
    const login = loginIndexOf(app.broker.vault, { bank, bankSubject: 'nia' }).toString('hex')
    expect(
      await app.rows(
        `select id from links where login_index = '\\x${login}'
         union all select link_id from link_keys where link_id not in (select id from links)
         union all select link_id from bank_tokens where link_id not in (select id from links)`,
      ),
    ).toEqual([])
  })
})

describe('a session', () => {
  it('has a new cookie at arrival and another after the login, and the old ones open nothing', async () => {
    const { address } = await app.push()
    const browser = app.browser()
    const planted = 'p'.repeat(43)
    browser.cookies.set(cookie, planted)
    const arrived = await browser.get(address)
    const first = browser.cookies.get(cookie)
    expect(first).not.toBe(planted)

    const sent = await browser.press(arrived, 'continue')
    await browser.get(backFrom(sent, { code: 'ana' }))
    expect(browser.cookies.get(cookie)).not.toBe(first)

    for (const old of [planted, first ?? '']) {
      const thief = app.browser()
      thief.cookies.set(cookie, old)
      expect((await thief.get('/oauth/authorize/disclosure')).status).toBe(400)
    }
  })

  it('is kept by hash and sealed: the database holds neither its cookie nor what is in it', async () => {
    const pushed = await app.push({ profile: 'A name to look for' })
    const { browser } = await disclosed(app, { pushed, customer: 'customer-to-look-for' })
    const { rows } = await app.broker.db.knex.raw<{ rows: object[] }>(
      `select encode(cookie_hash, 'escape') as hash, encode(sealed, 'escape') as sealed from sessions`,
    )
    const kept = JSON.stringify(rows)
    expect(rows.length).toBeGreaterThan(0)
    for (const secret of [browser.cookies.get(cookie), 'name to look for', 'customer-to-look-for'])
      expect(kept).not.toContain(secret)
  })

  it('has a cookie that scripts cannot read, other sites cannot send, and other hosts cannot set', async () => {
    const response = await supertest(app.app).get((await app.push()).address)
    expect(response.get('Set-Cookie')).toEqual([
      expect.stringMatching(
        /^__Host-countersign=[\w-]{43}; Path=\/; HttpOnly; Secure; SameSite=Lax$/,
      ),
    ])
  })

  it('is over after 15 minutes without a request, and not before', async () => {
    const pushed = await app.push()
    const { browser, page } = await disclosed(app, { pushed })
    app.clock.ahead_ms += 14 * 60_000
    expect((await browser.get('/oauth/authorize/disclosure')).status).not.toBe(400)
    app.clock.ahead_ms += 14 * 60_000
    expect((await browser.get('/oauth/authorize/disclosure')).status).not.toBe(400)
    app.clock.ahead_ms += 16 * 60_000
    expect((await browser.get('/oauth/authorize/disclosure')).status).toBe(400)
    expect((await browser.press(page, 'approve')).status).toBe(409)
    expect(await stateOf(pushed)).toBe('requested')
  })

  it('of which a cookie is sent twice is none: one of the two was planted', async () => {
    const { browser } = await disclosed(app, { pushed: await app.push() })
    const own = browser.cookies.get(cookie) ?? ''
    const planted = await supertest(app.app)
      .get('/oauth/authorize/disclosure')
      .set('cookie', `${cookie}=${own}; ${cookie}=${'p'.repeat(43)}`)
    expect(planted.status).toBe(400)
  })
})

describe('a form that was not sent from its page', () => {
  const forged: [string, Change][] = [
    ['without a token', { fields: { csrf: undefined } }],
    ['with a token of no browser', { fields: { csrf: 'x'.repeat(43) } }],
    ['from another site', { headers: { 'sec-fetch-site': 'cross-site' } }],
    ['from a sibling host', { headers: { 'sec-fetch-site': 'same-site' } }],
    ['with another origin', { headers: { origin: 'https://evil.example' } }],
    [
      'with no origin and nothing to vouch for it',
      { headers: { origin: 'null', 'sec-fetch-site': undefined } },
    ],
  ]

  it.each(forged)('(%s) changes nothing', async (_, change) => {
    const pushed = await app.push()
    const { browser, page } = await disclosed(app, { pushed })
    for (const button of ['approve', 'decline']) {
      const refused = await browser.press(page, button, change)
      expect([refused.status, refused.location]).toEqual([403, ''])
    }
    expect(await stateOf(pushed)).toBe('requested')
  })

  it('carries another browser’s token, and changes nothing', async () => {
    const pushed = await app.push()
    const mine = await disclosed(app, { pushed, customer: 'attacker' })
    const yours = await disclosed(app, { pushed })
    expect((await yours.browser.press(mine.page, 'approve')).status).toBe(403)
    expect(await stateOf(pushed)).toBe('requested')
  })

  it('answers neither way, and changes nothing', async () => {
    const pushed = await app.push()
    const { browser, page } = await disclosed(app, { pushed })
    for (const decision of [undefined, 'neither']) {
      const asked = await browser.press(page, 'approve', { fields: { decision } })
      expect(asked.status).toBe(422)
      expect(asked.text).toContain('Please choose “Approve” or “Decline”')
    }
    expect(await stateOf(pushed)).toBe('requested')
  })

  it('is too long, and is refused as a page', async () => {
    const { browser, page } = await disclosed(app, { pushed: await app.push() })
    const refused = await browser.press(page, 'approve', { fields: { more: 'x'.repeat(20_000) } })
    expect(refused.status).toBe(413)
    expect(refused.text).toContain('too long')
  })
})

describe('an answer of a bank', () => {
  it('to another login changes nothing: the one under way goes on', async () => {
    const browser = app.browser()
    const sent = await browser.press(await browser.get((await app.push()).address), 'continue')
    for (const address of [
      '/banks/first-bank/callback?code=ana&state=other',
      '/banks/first-bank/callback?code=ana',
      `${backFrom(sent, { code: 'ana' })}&state=other`,
      backFrom(sent, { code: 'ana' }).replace('first-bank', 'other-bank'),
    ])
      expect((await browser.get(address)).status).toBe(400)
    expect((await browser.get(backFrom(sent, { code: 'ana' }))).status).toBe(303)
  })

  it('in a browser that began no login leads nowhere', async () => {
    const page = await app.browser().get('/banks/first-bank/callback?code=ana&state=x')
    expect([page.status, page.location]).toEqual([400, ''])
  })

  it('that does not verify ends the session, so that it is tried once', async () => {
    const browser = app.browser()
    const sent = await browser.press(await browser.get((await app.push()).address), 'continue')
    expect((await browser.get(backFrom(sent, {}))).status).toBe(403)
    expect((await browser.get(backFrom(sent, { code: 'ana' }))).status).toBe(400)
  })

  it('that does not come is a page that says so', async () => {
    const browser = app.browser()
    const arrived = await browser.get((await app.push()).address)
    app.banks.silent = true
    const page = await browser.press(arrived, 'continue').finally(() => (app.banks.silent = false))
    expect(page.status).toBe(502)
    expect(page.text).toContain('Your bank is not answering')
    expect((await browser.press(arrived, 'continue')).status).toBe(303)
  })

  it('without any account is a page that says so', async () => {
    const browser = app.browser()
    const sent = await browser.press(await browser.get((await app.push()).address), 'continue')
    const held = app.banks.accountsHeld
    app.banks.accountsHeld = []
    const page = await browser
      .get(backFrom(sent, { code: 'ana' }))
      .finally(() => (app.banks.accountsHeld = held))
    expect(page.text).toContain('No account was chosen')
  })
})

describe('a recipient that the bank does not approve', () => {
  it('gets access_denied though the customer approves, and the refusal is recorded', async () => {
    const pushed = await app.push({ recipient: 'unapproved' })
    const { browser, page } = await disclosed(app, { pushed })
    const done = await browser.press(page, 'approve')
    expect(answerOf(done)).toEqual({ ...denied, error_description: 'recipient not approved' })
    expect(await stateOf(pushed)).toBe('declined')
    expect((await app.entries(pushed.consentId)).map(({ kind }) => kind)).toEqual(['refusal'])
  })
})

describe('every page', () => {
  /** Every answer that a browser can get between its arrival and its way back, wanted or not, by what it is. */
  async function answers(): Promise<[string, Visit][]> {
    const pushed = await app.push()
    const browser = app.browser()
    const arrived = await browser.get(pushed.address)
    const forged = await browser.press(arrived, 'continue', { fields: { csrf: undefined } })
    const sent = await browser.press(arrived, 'continue')
    const callback = await browser.get(backFrom(sent, { code: 'ana' }))
    const disclosure = await browser.get('/oauth/authorize/disclosure')
    const again = await browser.press(disclosure, 'approve', { fields: { account: undefined } })
    const done = await browser.press(again, 'decline')
    const late = await browser.get('/oauth/authorize/disclosure')
    const dead = await browser.get(pushed.address)
    const lost = await app.browser().get('/oauth/authorize/disclosure')
    const stray = await app.browser().get('/banks/first-bank/callback?state=x')
    return Object.entries({
      ...{ arrived, forged, sent, callback, disclosure, again, done, late, dead, lost, stray },
    })
  }

  it('and every answer on the way may not be framed, kept, read by other sites, or run anything', async () => {
    const found = await answers()
    expect(found.map(([name, { status }]) => [name, status])).toEqual([
      ...[['arrived', 200] as const, ['forged', 403] as const, ['sent', 303] as const],
      ...[['callback', 303] as const, ['disclosure', 200] as const, ['again', 422] as const],
      ...[['done', 303] as const, ['late', 409] as const, ['dead', 400] as const],
      ...[['lost', 400] as const, ['stray', 400] as const],
    ])
    for (const [name, { headers, text }] of found) {
      const policy = headers['content-security-policy']?.split(';') ?? []
      expect([name, policy]).toEqual([
        name,
        expect.arrayContaining(["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"]),
      ])
      expect([name, policy.join()]).not.toEqual([name, expect.stringMatching(/unsafe|script|\*/)])
      expect([name, headers]).toEqual([
        name,
        expect.objectContaining({ 'x-frame-options': 'DENY', 'cache-control': 'no-store' }),
      ])
      const allowed = Object.keys(headers).filter((header) => header.startsWith('access-control-'))
      expect([name, allowed]).toEqual([name, []])
      expect(text).not.toMatch(/<script|<style|\sstyle=|\son\w+=|javascript:/)
    }
  })

  it('is for this site alone: no other one is allowed to read it, however it asks', async () => {
    const { address } = await app.push()
    const origin = 'https://recipient.example'
    const asked = await supertest(app.app)
      .options(address)
      .set({ Origin: origin, 'Access-Control-Request-Method': 'GET' })
    const read = await supertest(app.app).get(address).set('Origin', origin)
    for (const { headers } of [asked, read])
      expect(Object.keys(headers).filter((one) => one.startsWith('access-control-'))).toEqual([])
  })

  it('that has timed out, or was answered, says so in words and what to do', async () => {
    const said = Object.fromEntries((await answers()).map(([name, { text }]) => [name, text]))
    expect(said).toMatchObject({
      dead: expect.stringMatching(/expired, was already answered.*ask for a new link/s),
      lost: expect.stringMatching(/timed out.*Too much time has passed.*ask for a new link/s),
      late: expect.stringMatching(/already answered.*Go back to Messenger/s),
      forged: expect.stringMatching(/out of date.*begin again/s),
      stray: expect.stringMatching(/no login under way.*begin again/s),
    })
  })

  it('leads nowhere that a browser says: only what was pushed, and the bank', async () => {
    const evil = 'https://evil.example/'
    const fields = { redirect_uri: evil, location: evil, url: evil, next: evil, state: 'evil' }
    const browser = app.browser()
    const { address } = await app.push()
    const query = new URLSearchParams(fields)
    const arrived = await browser.get(`${address}&${query}`)
    const sent = await browser.press(arrived, 'continue', { fields })
    const back = await browser.get(`${backFrom(sent, { code: 'ana' })}&redirect_uri=${evil}`)
    const disclosure = await browser.get(back.location)
    const done = await browser.press(disclosure, 'approve', { fields })
    expect(arrived.text + disclosure.text).not.toContain('evil')
    expect([sent, back, done].map(({ location }) => location.split('?')[0])).toEqual([
      ...['https://bank.example/authorize', '/oauth/authorize/disclosure'],
      'https://recipient.example/callback',
    ])
    expect(answerOf(done)).toMatchObject(answered)
  })

  it('is kept by nobody, framed by nobody, and loads nothing but its own stylesheet and logo', async () => {
    const { headers } = await app.browser().get((await app.push()).address)
    expect(headers).toMatchObject({
      'cache-control': 'no-store',
      'x-robots-tag': 'noindex',
      'x-frame-options': 'DENY',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'same-origin',
      'strict-transport-security': expect.stringContaining('max-age='),
    })
    expect(headers['content-security-policy']?.split(';')).toEqual([
      "default-src 'none'",
      "style-src 'self'",
      "img-src 'self'",
      "form-action 'self' https:",
      "frame-ancestors 'none'",
      "base-uri 'none'",
    ])
    expect(headers['access-control-allow-origin']).toBeUndefined()
  })

  it('finds its stylesheet and logo, and nothing else beside them', async () => {
    const style = await supertest(app.app).get('/web/style.css').expect(200)
    expect(style.headers['content-type']).toContain('text/css')
    const logo = await supertest(app.app).get('/web/logo.svg').expect(200)
    expect(logo.headers['content-type']).toContain('image/svg+xml')
    await supertest(app.app).get('/web/other').expect(404)
  })

  it.each(['verify.mjs', 'verify.html'])(
    'gives %s away, as it was built, and does not open it',
    async (name) => {
      const { headers, body } = await supertest(app.app)
        .get(`/web/verifier/${name}`)
        .buffer(true)
        .parse((answer, done) => {
          const parts: Buffer[] = []
          answer.on('data', (part: Buffer) => parts.push(part))
          answer.on('end', () => done(null, Buffer.concat(parts)))
        })
        .expect(200)
      expect(headers['content-disposition']).toBe(`attachment; filename=${name}`)
      expect(headers['x-content-type-options']).toBe('nosniff')
      expect(body).toEqual(readFileSync(resolve(import.meta.dirname, '../../dist', name)))
      for (const none of ['other.mjs', '..%2fsrc%2fmain.js'])
        await supertest(app.app).get(`/web/verifier/${none}`).expect(404)
    },
  )
})
