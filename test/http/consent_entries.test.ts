import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { indexLedger } from '../../src/broker/index_ledger.ts'
import { recordRefusal } from '../../src/broker/record_refusal.ts'
import { revokeConsent } from '../../src/broker/revoke_consent.ts'
import { writeEpoch } from '../../src/broker/write_epoch.ts'
import { page_entries } from '../../src/http/consent_entries_routes.ts'
import { routeFacts } from '../../src/http/rate_limits.ts'
import { parsePolicy } from '../../src/merkle/policy.ts'
import { restartIndex } from '../../src/storage/audit_index.ts'
import { findLedger } from '../../src/storage/ledgers.ts'
import { nodeHasher, verifyEd25519 } from '../../src/storage/node_crypto.ts'
import { checkEntryProof } from '../../src/verifier/entry_proof.ts'
import { checkSumProof } from '../../src/verifier/sum.ts'
import { bank, connect, look, pageApp, type PageApp } from '../support/page_app.ts'
import type { Visit } from '../support/page_browser.ts'

let app: PageApp
beforeAll(async () => {
  app = await pageApp()
})
afterAll(() => app.close())

/** Signs the ledger, and brings the index up to it. */
async function settle(): Promise<void> {
  await app.broker.signer.sign(bank)
  await indexLedger(app.broker, bank)
}

/** The first refusal of another client in each of so many minutes is an entry of its own. */
async function refuse(consent: string, clients: number): Promise<void> {
  for (let i = 0; i < clients; i++)
    await recordRefusal(app.broker, {
      ...{ bank, client: `nosy-${i}`, class: 'advertising' },
      ...{ reason: 'class_denied', consent },
    })
}

const linesOf = (page: Visit) =>
  [...page.text.matchAll(/<h2 id="entry-(\d+)">/g)].map(([, n]) => Number(n))

const own = ({ consentId }: { consentId: string }) => `/connections/${consentId}/entries`

async function trust() {
  const ledger = await findLedger(app.broker.db, bank)
  const policy = parsePolicy(nodeHasher, `log ${ledger?.vkey}\nquorum none\n`)
  return { policy, crypto: { hasher: nodeHasher, verifyEd25519 } }
}

describe('what was recorded of a connection', () => {
  it('is all of it, newest first, in words, for the login that gave the consent', async () => {
    const pushed = await connect(app, 'ana')
    await refuse(pushed.consentId, 1)
    await revokeConsent(app.broker, {
      ...{ bank, consentId: pushed.consentId, by: 'customer', reason: 'USER_ACTION' },
    })
    await settle()
    const { browser, list } = await look(app, 'ana')
    expect(list.text).toContain(`href="${own(pushed)}"`)
    const page = await browser.get(own(pushed))
    const entries = await app.entries(pushed.consentId)
    expect(linesOf(page)).toEqual(entries.map(({ n }) => n).toReversed())
    for (const line of [
      'You let Harbor Messaging, Inc. have account name, type and last four digits; account balances; transactions of 2 accounts, until ',
      'nosy-0 asked and got nothing, 1 time: its class can never receive data.',
      'Access was ended by you.',
    ])
      expect(page.text).toContain(line)
    expect(page.headers['cache-control']).toBe('no-store')
  })

  it('comes in pages, none of which loses or repeats an entry', async () => {
    const pushed = await connect(app, 'pia')
    await refuse(pushed.consentId, page_entries - 1)
    await settle()
    const { browser } = await look(app, 'pia')
    const full = await browser.get(own(pushed))
    expect(linesOf(full)).toHaveLength(page_entries)
    expect(full.text).not.toContain('Older entries')

    await revokeConsent(app.broker, {
      ...{ bank, consentId: pushed.consentId, by: 'bank', reason: 'BUSINESS_RULE' },
    })
    await settle()
    const first = await browser.get(own(pushed))
    const older = /href="([^"]*)">\s*Older entries/.exec(first.text)?.[1] ?? ''
    const second = await browser.get(older)
    expect(linesOf(first)).toHaveLength(page_entries)
    expect([...linesOf(first), ...linesOf(second)]).toEqual(
      (await app.entries(pushed.consentId)).map(({ n }) => n).toReversed(),
    )
    expect(second.text).not.toContain('Older entries')
  })

  it('is nobody else’s, and not for a browser without a login', async () => {
    const ana = await connect(app, 'ada')
    const ben = await connect(app, 'ben')
    await settle()
    const [granted] = await app.entries(ana.consentId)
    const { browser } = await look(app, 'ben')
    for (const below of ['', `/${granted?.n}`, `/${granted?.n}/sum`]) {
      expect((await browser.get(own(ana) + below)).status).toBe(404)
      expect((await app.browser().get(own(ana) + below)).status).toBe(403)
    }
    // Of one's own connection, an entry that is about another one.
    expect((await browser.get(`${own(ben)}/${granted?.n}`)).status).toBe(404)
    expect((await browser.get(`${own(ben)}/${granted?.n}/sum`)).status).toBe(404)
  })

  it('has no entry and no page but its own', async () => {
    const pushed = await connect(app, 'eve')
    const { browser } = await look(app, 'eve')
    const indexes = ['0', '00', '-1', '1e3', '999999999999999', '9999999999999999', 'x', '1%2F2']
    const queries = ['before=x', 'before=', 'before=1&before=2', 'before=-1']
    for (const path of [
      ...indexes.flatMap((index) => [`/${index}`, `/${index}/sum`]),
      ...queries.map((query) => `?${query}`),
    ])
      expect([path, (await browser.get(own(pushed) + path)).status]).toEqual([path, 404])
  })

  it('says from where on it is not known yet, instead of saying that there is nothing', async () => {
    const pushed = await connect(app, 'ina')
    await settle()
    const { browser } = await look(app, 'ina')
    expect((await browser.get(own(pushed))).text).not.toContain('not looked through yet')
    await restartIndex(app.broker.db, bank)
    const unknown = await browser.get(own(pushed))
    expect(linesOf(unknown)).toEqual([])
    expect(unknown.text).toContain('Entries from number 0 on are not looked through yet.')
    await settle()
    expect(linesOf(await browser.get(own(pushed)))).toHaveLength(1)
  })

  it('is counted by itself, and never against the way to end access', () => {
    for (const path of ['/connections/a.b/entries', '/connections/a.b/entries/7/sum'])
      expect(routeFacts('GET', path)).toMatchObject({ group: 'record', surface: 'page' })
    expect(routeFacts('GET', '/connections').group).toBe('revocation')
  })
})

describe('a proof of one’s own entry', () => {
  it('is a file that the verifier believes', async () => {
    const pushed = await connect(app, 'pru')
    await settle()
    const [granted] = await app.entries(pushed.consentId)
    const { browser } = await look(app, 'pru')
    const file = await browser.get(`${own(pushed)}/${granted?.n}`)
    expect(file.headers['content-disposition']).toBe(
      `attachment; filename=${bank}-${granted?.n}.tlog-proof`,
    )
    const verdict = checkEntryProof(file.text, await trust())
    expect(verdict).toMatchObject({
      verified: true,
      range: { from_index: granted?.n, to_index: (granted?.n ?? 0) + 1 },
    })
    expect(verdict.proven.join()).toContain('A customer let messenger have')
  })

  it('that the totals count it is there once an epoch covers it', async () => {
    const pushed = await connect(app, 'sue')
    await settle()
    const [granted] = await app.entries(pushed.consentId)
    const { browser } = await look(app, 'sue')
    const sum = `${own(pushed)}/${granted?.n}/sum`
    expect((await browser.get(own(pushed))).text).not.toContain(sum)
    expect((await browser.get(sum)).status).toBe(404)
    await writeEpoch(app.broker, bank, 0)
    await settle()
    expect((await browser.get(own(pushed))).text).toContain(sum)
    const file = await browser.get(sum)
    expect(file.headers['content-disposition']).toBe(
      `attachment; filename=${bank}-${granted?.n}-sum.json`,
    )
    const verdict = checkSumProof(JSON.parse(file.text), await trust())
    expect(verdict).toMatchObject({ verified: true, totals: { grants: 1 } })
  })
})
