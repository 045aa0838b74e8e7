import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { randomUUID } from 'node:crypto'
import { revokeConsent } from '../../src/broker/revoke_consent.ts'
import { repeats_max } from '../../src/storage/authorization_events.ts'
import { purgeBank } from '../../src/storage/purge.ts'
import { authorizationApp, type AuthorizationApp } from '../support/authorization_app.ts'
import {
  backFrom,
  bank,
  disclosed,
  pageApp,
  type PageApp,
  type Pushed,
} from '../support/page_app.ts'

type Rows = Record<string, unknown>[]

const stepsIn = async (
  of: { rows(sql: string): Promise<Rows> },
  consentId: string,
): Promise<{ event: unknown; interaction: unknown; by: unknown }[]> => {
  const rows = await of.rows(
    `select event, interaction_id, by from authorization_events where consent_id = '${consentId}' order by at`,
  )
  return rows.map(({ event, interaction_id, by }) => ({ event, interaction: interaction_id, by }))
}

describe('the steps of a customer', () => {
  let app: PageApp
  beforeAll(async () => {
    app = await pageApp()
  })
  afterAll(() => app.close())

  const steps = (consentId: string) => stepsIn(app, consentId)
  const names = async ({ consentId }: Pushed) => (await steps(consentId)).map(({ event }) => event)
  const toDisclosure = ['arrived', 'bank_login_begun', 'bank_login_returned', 'accounts_picked']

  it('are kept as they are taken, up to the approval, under one interaction id that the bank sees too', async () => {
    const pushed = await app.push()
    const { browser, page } = await disclosed(app, { pushed })
    expect(await names(pushed)).toEqual(toDisclosure)
    await browser.press(page, 'approve')
    await browser.press(page, 'approve')
    expect(await names(pushed)).toEqual([...toDisclosure, 'approved'])
    const ids = new Set((await steps(pushed.consentId)).map(({ interaction }) => interaction))
    expect([...ids]).toEqual([app.banks.interactions.at(-1)])
  })

  it('end with a decline, a cancellation before the login or at it, or what a rule refuses', async () => {
    const declined = await app.push()
    const { browser, page } = await disclosed(app, { pushed: declined })
    await browser.press(page, 'decline')
    expect(await names(declined)).toEqual([...toDisclosure, 'declined'])

    const early = await app.push()
    const visitor = app.browser()
    await visitor.press(await visitor.get(early.address), 'cancel')
    expect(await names(early)).toEqual(['arrived', 'cancelled'])

    const atBank = await app.push()
    const another = app.browser()
    const sent = await another.press(await another.get(atBank.address), 'continue')
    await another.get(backFrom(sent, { error: 'access_denied' }))
    expect(await names(atBank)).toEqual([...toDisclosure.slice(0, 3), 'cancelled'])

    const refused = await app.push({ recipient: 'unapproved' })
    const third = await disclosed(app, { pushed: refused })
    await third.browser.press(third.page, 'approve')
    expect(await names(refused)).toEqual([...toDisclosure, 'refused'])
  })

  it('say that a login failed, and that it was begun again', async () => {
    const pushed = await app.push()
    const browser = app.browser()
    const arrived = await browser.get(pushed.address)
    await browser.get(backFrom(await browser.press(arrived, 'continue'), {}))
    const failed = ['arrived', 'bank_login_begun', 'bank_login_returned', 'bank_login_failed']
    expect(await names(pushed)).toEqual(failed)
    const again = await browser.get(pushed.address)
    await browser.press(again, 'continue')
    expect(await names(pushed)).toEqual([...failed, 'arrived', 'bank_login_begun'])
  })

  it('are kept so often and no more, of a browser that goes on and on', async () => {
    const pushed = await app.push()
    const browser = app.browser()
    for (let visit = 0; visit <= repeats_max; visit++) await browser.get(pushed.address)
    expect(repeats_max).toBe(20)
    expect(await names(pushed)).toEqual(Array.from({ length: 20 }, () => 'arrived'))
    await browser.press(await browser.get(pushed.address), 'cancel')
    expect((await names(pushed)).at(-1)).toBe('cancelled')
  })

  it('go to the consent whose terms they renewed', async () => {
    const first = await app.push({ psid: 'renewer' })
    const one = await disclosed(app, { pushed: first, customer: 'renewer' })
    await one.browser.press(one.page, 'approve')
    const second = await app.push({ psid: 'renewer' })
    const two = await disclosed(app, { pushed: second, customer: 'renewer' })
    await two.browser.press(two.page, 'approve')
    expect(await names(second)).toEqual([])
    const approved = [...toDisclosure, 'approved']
    expect(await names(first)).toEqual([...approved, ...approved])
  })

  it('are withdrawn by whoever ends a request that nobody approved yet', async () => {
    const { consentId } = await app.push()
    const wish = { bank, consentId, by: 'bank', reason: 'BUSINESS_RULE' } as const
    await revokeConsent(app.broker, wish)
    await revokeConsent(app.broker, wish)
    expect(await steps(consentId)).toEqual([{ event: 'withdrawn', interaction: null, by: 'bank' }])
  })

  it('are no one’s to change, and go with their consent alone', async () => {
    const kept = await app.push()
    const gone = await app.push()
    for (const { address } of [kept, gone]) await app.browser().get(address)
    for (const sql of [
      `update authorization_events set event = 'approved'`,
      'delete from authorization_events',
      'truncate authorization_events',
    ])
      await expect(app.rows(sql)).rejects.toThrow('permission denied')
    await app.rows(
      `update consents set created_at = created_at - interval '25 hours' where id = '${gone.consentId}'`,
    )
    await purgeBank(app.broker.db, bank)
    expect(await names(gone)).toEqual([])
    expect(await names(kept)).toEqual(['arrived'])
  })
})

describe('the steps of a recipient', () => {
  let oauth: AuthorizationApp
  beforeAll(async () => {
    oauth = await authorizationApp()
  })
  afterAll(() => oauth.close())

  it('carry the interaction ids of their requests, which the answers repeat', async () => {
    const client = await oauth.client()
    const [asked, redeemed] = [randomUUID(), randomUUID()]
    const named = (id: string) => ({ 'x-fapi-interaction-id': id.toUpperCase() })
    const code = await client.code({ headers: named(asked) })
    const answer = await client.redeem(code, {}, { DPoP: client.proof(), ...named(redeemed) })
    expect(answer.headers['x-fapi-interaction-id']).toBe(redeemed.toUpperCase())
    await client.redeem(code).expect(400)
    expect(await stepsIn(oauth, answer.body.grant_id)).toEqual([
      { event: 'requested', interaction: asked, by: null },
      { event: 'approved', interaction: null, by: null },
      { event: 'code_redeemed', interaction: redeemed, by: null },
    ])
  })

  it('are given an id where none came, or none that is a UUID; errors answer with it too', async () => {
    const client = await oauth.client()
    for (const headers of [{}, { 'x-fapi-interaction-id': 'not a UUID' }])
      for (const sent of [client.push({}, headers), client.push({ response_type: 'x' }, headers)])
        expect((await sent).headers['x-fapi-interaction-id']).toMatch(/^[\da-f-]{36}$/)
  })
})
