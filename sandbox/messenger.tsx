import { once } from 'node:events'
import express from 'express'
import { renderToString } from 'preact-render-to-string'
import type { Cluster } from '../src/consent/cluster.ts'
import type { Delivery } from '../src/consent/terms.ts'
import { bankDirectory } from './banks/directory.ts'
import { MessengerPage, type Message } from './messenger_page.tsx'
import type { Asked, Linked, Recipient } from './recipient.ts'

/** A consent as the simulated Messenger knows it. */
interface Connection extends Linked {
  readonly bank: string
  readonly delivery: Delivery
}

const clusters: readonly Cluster[] = ['ACCOUNT_BASIC', 'BALANCES', 'TRANSACTIONS']
const purpose = 'https://w3id.org/dpv#RequestedServiceProvision'
const profile = { page_id: 'demo-page', psid: 'demo-person', display_name: 'Dana Demo' }

/** A thread that one person has with one bank page: enough of Messenger to link, ask, and say STOP. */
export async function startMessenger(recipient: Recipient, { port }: { port: number }) {
  const asked = new Map<string, { asked: Asked; bank: string; delivery: Delivery }>()
  const connections = new Map<string, Connection>()
  const thread: Message[] = []
  const say = (from: Message['from'], text: string, link?: string) =>
    thread.push({ from, text, ...(link === undefined ? {} : { link }) })

  const act =
    (work: (body: Record<string, string>) => Promise<string | undefined>): express.RequestHandler =>
    async (req, res) => {
      try {
        res.redirect(303, (await work({ ...(req.body as Record<string, string>) })) ?? '/')
      } catch (error) {
        say('page', `That did not work: ${error instanceof Error ? error.message : String(error)}`)
        res.redirect(303, '/')
      }
    }

  const held = (id: string | undefined): Connection => {
    const found = connections.get(id ?? '')
    if (found === undefined) throw new Error('there is no such connection')
    return found
  }

  const app = express()
    .disable('x-powered-by')
    .use(express.urlencoded({ extended: false }))
  app.get('/', (_req, res) => {
    const page = (
      <MessengerPage
        banks={bankDirectory}
        connections={[...connections.values()]}
        thread={thread}
      />
    )
    res.type('html').send(`<!doctype html>${renderToString(page)}`)
  })
  app.post(
    '/link',
    act(async ({ bank = '', delivery }) => {
      const wish = {
        bank,
        clusters,
        purpose,
        delivery: delivery === 'in_thread' ? 'in_thread' : 'link_out',
        profile,
      } as const
      const pending = await recipient.ask(wish)
      asked.set(pending.state, { asked: pending, bank, delivery: wish.delivery })
      return pending.url.href
    }),
  )
  app.get('/callback', async (req, res) => {
    const answer = new URL(req.originalUrl, recipient.redirectUri)
    const pending = asked.get(answer.searchParams.get('state') ?? '')
    asked.delete(pending?.asked.state ?? '')
    if (pending === undefined) say('page', 'That link was used already.')
    else if (answer.searchParams.has('code')) {
      const linked = await recipient.redeem(answer, pending.asked)
      connections.set(linked.consentId, {
        ...linked,
        bank: pending.bank,
        delivery: pending.delivery,
      })
      say('page', `Linked to ${pending.bank} (${pending.delivery}).`)
    } else say('page', `Not linked: ${answer.searchParams.get('error') ?? 'no answer'}.`)
    res.redirect(303, '/')
  })
  app.post(
    '/show',
    act(async ({ consent }) => {
      const connection = await fresh(held(consent))
      await (connection.delivery === 'link_out' ? point(connection) : tell(connection))
      return undefined
    }),
  )
  app.post(
    '/stop',
    act(async ({ consent }) => {
      const { consentId } = held(consent)
      const { status } = await recipient.endGrant(consentId)
      connections.delete(consentId)
      say('you', 'STOP')
      say(
        'page',
        status === 204 ? 'Stopped. Nothing more can be read.' : `The broker answered ${status}.`,
      )
      return undefined
    }),
  )

  const fresh = async (connection: Connection): Promise<Connection> => {
    const renewed = { ...connection, ...(await recipient.refresh(connection)) }
    connections.set(renewed.consentId, renewed)
    return renewed
  }

  const tell = async ({ accessToken, bank }: Connection): Promise<void> => {
    const response = await recipient.call(accessToken, '/fdx/v6/accounts')
    const answer = (await response.json()) as {
      accounts?: Record<string, unknown>[]
      detail?: string
    }
    if (answer.accounts === undefined)
      return void say('page', `Refused: ${answer.detail ?? response.status}`)
    for (const account of answer.accounts)
      say(
        'page',
        `${bank}: ${String(account['productName'])} ${String(account['accountNumberDisplay'])}: ${String(account['currentBalance'])}`,
      )
    say('page', `Recorded as ledger entry ${response.headers.get('countersign-entry') ?? '?'}`)
  }

  const point = async ({ accessToken }: Connection): Promise<void> => {
    const response = await recipient.call(accessToken, '/deliveries', 'POST', { clusters })
    const answer = (await response.json()) as { pointer_url?: string; detail?: string }
    if (answer.pointer_url === undefined)
      return void say('page', `Refused: ${answer.detail ?? response.status}`)
    say('page', 'You have an update. Open it to see it:', answer.pointer_url)
  }

  const server = app.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${port}`,
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}
