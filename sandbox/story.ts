import { revokeConsent } from '../src/broker/revoke_consent.ts'
import { compose } from '../src/compose.ts'
import { random128 } from '../src/storage/ids.ts'
import type { DemoBank } from './banks/bank.ts'
import {
  link,
  logIn,
  readEverything,
  refusedCall,
  refusedWith,
  walkToDisclosure,
  wishOf,
} from './acts.ts'
import { openCustomer } from './customer.ts'
import { withClient } from './postgres_database.ts'
import { openRecipient, type Linked, type Recipient } from './recipient.ts'
import { backEndOf, type RecipientId, type World } from './world.ts'

/** Those who act, and where the story is told. */
export interface Cast {
  readonly world: World
  readonly recipients: Readonly<Record<RecipientId, Recipient>>
  readonly say: (line: string) => void
}

/** Every registered client by name, ready to act. */
export async function castOf(world: World, say: (line: string) => void): Promise<Cast> {
  const ids: RecipientId[] = ['messenger', 'ad-network', 'data-reseller', 'budget-app']
  const opened = await Promise.all(ids.map((id) => clientOf(world, id)))
  const recipients = Object.fromEntries(ids.map((id, i) => [id, opened[i]]))
  return { world, recipients: recipients as Cast['recipients'], say }
}

/** One registered client, as it would run anywhere. */
export function clientOf(
  { config, identities, messengerPort }: World,
  clientId: string,
): Promise<Recipient> {
  const key = identities.clients[clientId]
  if (key === undefined) throw new Error(`the sandbox has no key for ${clientId}`)
  return openRecipient({
    issuer: config.issuer,
    clientId,
    key,
    redirectUri: `http://127.0.0.1:${messengerPort}/callback`,
  })
}

/** The whole story at one bank: links, reads, attempts that are refused, and every way to end a consent. */
export async function playAt(bank: DemoBank, cast: Cast): Promise<void> {
  const { say } = cast
  say(`\n${bank.legalName}`)
  const alice = await linkInThread(bank, cast)
  await attemptsByStrangers(bank, cast)
  await attemptsByMessenger(bank, cast, alice)
  await deliverByLink(bank, cast)
  await endEveryWay(bank, cast, alice)
  await leaveUnredeemed(bank, cast)
}

const customerOf = ({ recipients }: Cast) => openCustomer([recipients.messenger.redirectUri])

async function linkInThread(bank: DemoBank, cast: Cast): Promise<Linked> {
  const { messenger } = cast.recipients
  const wish = wishOf(bank.id, 'Alice', { delivery: 'in_thread' })
  const alice = await link(customerOf(cast), messenger, { wish, username: 'alice' })
  cast.say(`  Alice links her accounts, in the thread: consent ${alice.consentId}`)
  const answers = await readEverything(messenger, alice)
  cast.say(`  Messenger reads everything it may: ${answers} answers, each an entry`)
  return alice
}

/** Clients that no bank approved, or that no bank may. */
async function attemptsByStrangers(bank: DemoBank, { recipients, say }: Cast): Promise<void> {
  for (const id of ['ad-network', 'data-reseller', 'budget-app'] as const) {
    const error = await refusedWith(recipients[id].ask(wishOf(bank.id, 'Alice')))
    say(`  ${id} asks: ${error}`)
  }
}

/** An approved recipient that asks for more than the bank or the customer allowed. */
async function attemptsByMessenger(bank: DemoBank, cast: Cast, alice: Linked): Promise<void> {
  const { messenger } = cast.recipients
  const ask = (others: Parameters<typeof wishOf>[2]) =>
    refusedWith(messenger.ask(wishOf(bank.id, 'Alice', others)))
  const read = async (path: string) => refusedCall(await messenger.call(alice.accessToken, path))
  const start = new Date(Date.now() - 400 * 86_400_000).toISOString()
  const { accounts } = (await (
    await messenger.call(alice.accessToken, '/fdx/v6/accounts')
  ).json()) as {
    accounts: { accountId: string }[]
  }
  const attempts: [string, string][] = [
    ['targeted advertising', await ask({ purpose: 'https://w3id.org/dpv#TargetedAdvertising' })],
    ['selling products', await ask({ purpose: 'https://w3id.org/dpv#SellProducts' })],
    [
      'a purpose the bank did not approve',
      await ask({ purpose: 'https://w3id.org/dpv#LegalCompliance' }),
    ],
    ['fraud alerts, not approved', await ask({ clusters: ['FRAUD_ALERTS'] })],
    ["somebody else's account", await read(`/fdx/v6/accounts/${random128()}`)],
    [
      'figures older than the look-back',
      await read(`/fdx/v6/accounts/${accounts[0]?.accountId}/transactions?startTime=${start}`),
    ],
  ]
  for (const [what, answer] of attempts) cast.say(`  Messenger asks for ${what}: ${answer}`)
  await declined(bank, cast)
}

async function declined(bank: DemoBank, cast: Cast): Promise<void> {
  const customer = customerOf(cast)
  const asked = await cast.recipients.messenger.ask(wishOf(bank.id, 'Bob'))
  const answer = await customer.press(await walkToDisclosure(customer, asked, 'bob'), 'decline')
  cast.say(`  Bob reads the disclosure and declines: ${answer.url.searchParams.get('error')}`)
}

/** Link-out: the thread gets a pointer; the figures are shown to Bob alone. */
async function deliverByLink(bank: DemoBank, cast: Cast): Promise<void> {
  const { messenger } = cast.recipients
  const customer = customerOf(cast)
  const wish = wishOf(bank.id, 'Bob', { delivery: 'link_out' })
  const bob = await link(customer, messenger, { wish, username: 'bob' })
  const stolen = await refusedCall(await messenger.call(bob.accessToken, '/fdx/v6/accounts'))
  cast.say(`  Bob links by link only; Messenger tries to read the figures itself: ${stolen}`)
  const made = await messenger.call(bob.accessToken, '/deliveries', 'POST', {
    clusters: wish.clusters,
  })
  const { pointer_url: pointer } = (await made.json()) as { pointer_url: string }
  const stranger = await openCustomer([]).visit(pointer)
  cast.say(
    `  A crawler opens the pointer: ${stranger.status}, figures shown: ${/\d\.\d\d/.test(stranger.text)}`,
  )
  const shown = await customer.press(await customer.visit(pointer), 'show')
  cast.say(
    `  Bob opens it in the browser he logged in with: ${shown.status}, figures shown: ${/\d\.\d\d/.test(shown.text)}`,
  )
  const foreign = await refusedWith(cast.recipients['budget-app'].refresh(bob))
  cast.say(`  budget-app tries Bob's refresh token: ${foreign}`)
}

/** By the recipient, the bank, the operator and the customer; after each, nothing more can be read. */
async function endEveryWay(bank: DemoBank, cast: Cast, alice: Linked): Promise<void> {
  const {
    world,
    recipients: { messenger },
    say,
  } = cast
  const customer = customerOf(cast)
  const relink = () =>
    link(customer, messenger, { wish: wishOf(bank.id, 'Alice'), username: 'alice' })
  const after = async ({ accessToken }: Linked, who: string) =>
    say(
      `  ${who} ends the consent; Messenger reads: ${await refusedCall(await messenger.call(accessToken, '/fdx/v6/accounts'))}`,
    )

  const replaced = await relink()
  say(
    `  Alice links again: the same consent, with new terms: ${replaced.consentId === alice.consentId}`,
  )
  await messenger.endGrant(replaced.consentId)
  await after(replaced, 'Messenger')

  const second = await relink()
  const backEnd = await clientOf(world, backEndOf(bank.id))
  const own = await backEnd.ownToken('consents:revoke')
  await backEnd.call(own, `/fdx/v6/consents/${second.consentId}/revocation`, 'PUT', {
    reason: 'BUSINESS_RULE',
    initiator: 'DATA_PROVIDER',
  })
  await after(second, 'The bank')

  const third = await relink()
  await byOperator(world, third.consentId)
  await after(third, 'The operator')

  const fourth = await relink()
  await byCustomer(bank, cast)
  await after(fourth, 'Alice, on her connections page,')
}

/** What `countersign revoke` does. */
async function byOperator({ config }: World, consentId: string): Promise<void> {
  const { broker, close } = await compose(config)
  const bank = consentId.slice(0, consentId.indexOf('.'))
  await revokeConsent(broker, { bank, consentId, by: 'operator', reason: 'BUSINESS_RULE' }).finally(
    close,
  )
}

async function byCustomer(bank: DemoBank, cast: Cast): Promise<void> {
  const customer = customerOf(cast)
  const choice = await customer.visit(`${cast.world.config.issuer}/connections`)
  const list = await logIn(customer, await customer.press(choice, `bank-${bank.id}`), 'alice')
  await customer.press(list, 'revoke-0')
}

/**
 * A grant whose code is never redeemed ends by the sweeper after ten minutes. The demo does not wait for them: as the
 * database's owner it moves the row's date, which decides nothing but when the sweeper looks.
 */
async function leaveUnredeemed(bank: DemoBank, cast: Cast): Promise<void> {
  const customer = customerOf(cast)
  const asked = await cast.recipients.messenger.ask(wishOf(bank.id, 'Alice'))
  await customer.press(await walkToDisclosure(customer, asked, 'alice'), 'approve')
  await withClient(cast.world.ownerUrl, (client) =>
    client.query(
      `update consents set granted_at = granted_at - interval '11 minutes'
       where bank_id = $1 and state = 'active' and redeemed_at is null`,
      [bank.id],
    ),
  )
  cast.say('  Alice approves once more, and Messenger never redeems the code')
}
