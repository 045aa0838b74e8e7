import { afterAll, beforeAll, expect, it } from '@jest/globals'
import supertest from 'supertest'
import { indexLedger } from '../../src/broker/index_ledger.ts'
import { readEntry } from '../../src/ledger/entry.ts'
import { listGrants, revokeGrant } from '../../src/storage/audit_grants.ts'
import { readLeaves } from '../../src/storage/ledgers.ts'
import { apiApp, bank, otherBank, type ApiApp } from '../support/api_app.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { openPageBrowser } from '../support/page_browser.ts'

// The audit API as the console's own page calls it: by the cookie of a login at the bank.

let database: TestDatabase
let api: ApiApp
beforeAll(async () => {
  database = await testDatabase()
  api = await apiApp(database.serviceUrl)
  await api.broker.signer.sign(bank)
  await indexLedger(api.broker, bank)
})
afterAll(async () => {
  await api.close()
  await database.drop()
})

/** The cookie of an auditor's browser after a login, the id that the ledger has of them, and the page's token. */
async function loggedIn(who: string) {
  const browser = openPageBrowser(api.app, 'https://broker.example')
  const sent = await browser.press(await browser.get('/console'), `bank-${bank}`)
  const state = new URL(sent.location).searchParams.get('state')
  await browser.get(`/console/callback/${bank}?state=${state}&code=${who}`)
  const page = await browser.get(`/console/${bank}`)
  const told = /data-told="([^"]*)"/.exec(page.text)?.[1]?.replaceAll('&quot;', '"')
  const cookie = [...browser.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
  return { cookie, id: String(JSON.parse(told ?? '{}').staff.id) }
}

const ask = (cookie: string, path = `/audit/${bank}/entries`, site = 'same-origin') =>
  supertest(api.app).get(path).set({ cookie, 'sec-fetch-site': site })

it('answers whoever logged in at the bank, and the ledger says so by a random id', async () => {
  const { cookie, id } = await loggedIn('ada')
  const { body } = await ask(cookie).expect(200)
  expect(body.entries.map(({ n }: { n: number }) => n)).toContain(0)
  const [leaf] = await readLeaves(api.broker.db, bank, { from: body.access, to: body.access + 1 })
  expect(leaf && readEntry(leaf)).toMatchObject({ kind: 'access', body: { actor: id } })
  expect(Buffer.from(leaf ?? []).toString()).not.toContain('ada')
  expect((await ask(cookie, `/audit/${bank}/grant`).expect(200)).body).toMatchObject({
    auditor: id,
    kind: 'staff',
  })
})

it.each(['cross-site', 'same-site', 'none', ''])('answers no request made %j', async (site) => {
  const { cookie } = await loggedIn('ada')
  const { body } = await ask(cookie, `/audit/${bank}/entries`, site).expect(403)
  expect(body).toMatchObject({ code: 'not_from_console' })
  await supertest(api.app).get(`/audit/${bank}/entries`).set({ cookie }).expect(403)
})

it('shares nothing with pages of other sites', async () => {
  const { cookie } = await loggedIn('ada')
  const { headers } = await ask(cookie).set('origin', 'https://evil.example')
  expect(headers).not.toHaveProperty('access-control-allow-origin')
  expect(headers['cache-control']).toBe('no-store')
})

it('is of one bank', async () => {
  const { cookie } = await loggedIn('ada')
  await ask(cookie, `/audit/${otherBank}/entries`).expect(403)
})

it('is closed to a customer, whatever the cookie is called', async () => {
  const browser = openPageBrowser(api.app, 'https://broker.example')
  const sent = await browser.press(await browser.get('/connections'), `bank-${bank}`)
  const state = new URL(sent.location).searchParams.get('state')
  await browser.get(`/banks/${bank}/callback?state=${state}&code=ada`)
  const value = browser.cookies.get('__Host-countersign')
  for (const name of ['__Host-countersign', '__Host-countersign-staff'])
    await ask(`${name}=${value}`).expect(401)
})

it('closes at once when the grant is revoked, and for the token of an open page too', async () => {
  const { cookie, id } = await loggedIn('eve')
  await ask(cookie).expect(200)
  const grant = (await listGrants(api.broker.db, bank)).find(({ auditor }) => auditor === id)
  await revokeGrant(api.broker.db, bank, grant?.id ?? '')
  await ask(cookie).expect(401)
})

it('opens nothing but the audit API', async () => {
  const { cookie } = await loggedIn('ada')
  for (const path of [
    '/consents?state=active',
    `/ledger/${bank}/tile/entries/000.p/1`,
    '/registry/recipients',
  ])
    await ask(cookie, path).expect(401)
})
