import { createServer, type RequestListener, type Server } from 'node:http'
import type { Page } from 'playwright-core'
import { withClient } from '../../sandbox/postgres_database.ts'
import { indexLedger } from '../../src/broker/index_ledger.ts'
import { apiApp, bank, type ApiApp } from './api_app.ts'
import { activeConsent, releaseOf } from './consents.ts'
import { testDatabase } from './database.ts'
import { closed, listening } from './listening.ts'

/** The whole server at an address of its own, for browsers, with a ledger of some days in which much was released and refused. */
export interface ConsoleApp {
  readonly api: ApiApp
  readonly issuer: string
  /** Signs and indexes what was entered. */
  settle(): Promise<void>
  /** Opens a place of the console, and logs an auditor in on the way. */
  open(page: Page, place?: string): Promise<void>
  close(): Promise<void>
}

export { bank }

export async function consoleApp({ days }: { days: number }): Promise<ConsoleApp> {
  const database = await testDatabase()
  await putClock(database.ownerUrl)
  const setClock = (hoursAgo: number) => setBack(database.ownerUrl, hoursAgo)
  await setClock(days * 24 + 1)
  const servers: Server[] = []
  const serve = async (listener: RequestListener) => {
    const server = createServer(listener)
    servers.push(server)
    return `http://127.0.0.1:${await listening(server)}`
  }
  let api: ApiApp | undefined
  const issuer = await serve((req, res) => api?.app(req, res))
  const loginUrl = await serve((req, res) => {
    const asked = new URL(req.url ?? '', 'http://bank').searchParams
    const query = new URLSearchParams({ state: asked.get('state') ?? '', code: 'Ada Reyes' })
    res
      .writeHead(302, { location: `${issuer}/console/callback/${asked.get('bank')}?${query}` })
      .end()
  })
  const whole = (api = await apiApp(database.serviceUrl, {
    ...{ issuer, loginUrl },
    opened: Date.now() - (days * 24 + 1) * 3_600_000,
  }))
  const settle = async () => {
    await whole.broker.signer.sign(bank)
    await indexLedger(whole.broker, bank)
  }
  await live(whole, { days, setClock })
  await settle()
  const signing = setInterval(() => void settle(), 300)
  return {
    ...{ api: whole, issuer, settle },
    open: (page, place = '') => open(page, { issuer, place }),
    async close() {
      clearInterval(signing)
      await settle()
      await Promise.all(servers.map(closed))
      await whole.close()
      await database.drop()
    },
  }
}

/** A clock that a test sets back stands before the real one on the path on which the database finds functions. */
async function putClock(ownerUrl: string): Promise<void> {
  const name = new URL(ownerUrl).pathname.slice(1)
  await withClient(ownerUrl, (client) =>
    client.query(`
      create schema set_back;
      grant usage on schema set_back to public;
      create table set_back.clock as select interval '0' as ago;
      grant select on set_back.clock to public;
      create function set_back.clock_timestamp() returns timestamptz language sql volatile
        as 'select pg_catalog.clock_timestamp() - ago from set_back.clock';
      alter database "${name}" set search_path = set_back, public, pg_catalog;`),
  )
}

const setBack = (ownerUrl: string, hours: number) =>
  withClient(ownerUrl, (client) =>
    client.query('update set_back.clock set ago = make_interval(hours => $1)', [hours]),
  )

/** So many days up to now: consents, releases, and refusals of those who may never receive. */
async function live(
  { broker }: ApiApp,
  { days, setClock }: { days: number; setClock: (hoursAgo: number) => Promise<unknown> },
): Promise<void> {
  await broker.signer.sign(bank)
  for (let day = days; day >= 0; day--) {
    await setClock(day * 24)
    const thread = await activeConsent(broker, bank)
    const busy = 3 + ((day * 7) % 5) + (day % 7 < 2 ? 0 : 4)
    await Promise.all([
      ...Array.from({ length: busy }, () => releaseOf(broker, bank, thread)),
      refuse(broker, 'ad-network', 'advertising', 1 + ((day * 3) % 4)),
      ...(day % 3 === 0 ? [refuse(broker, 'data-trader', 'third_party', 2)] : []),
    ])
    await broker.signer.sign(bank)
  }
}

const refuse = (
  broker: ApiApp['broker'],
  client: string,
  ofClass: 'advertising' | 'third_party',
  count: number,
) =>
  broker.door.append(bank, {
    names: {},
    decide: () => ({
      entry: {
        kind: 'refusal',
        body: { class: ofClass, client, count, reason: 'class_denied', salt: 'A'.repeat(22) },
      },
    }),
  })

async function open(
  page: Page,
  { issuer, place }: { issuer: string; place: string },
): Promise<void> {
  await page.goto(`${issuer}/console/${bank}${place}`)
  if ((await page.$(`#bank-${bank}`)) === null) return
  await page.click(`#bank-${bank}`)
  await page.waitForSelector('#console[data-told]')
}
