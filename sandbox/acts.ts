import type { Cluster } from '../src/consent/cluster.ts'
import type { Delivery } from '../src/consent/terms.ts'
import type { Customer, Page } from './customer.ts'
import type { Asked, Linked, Recipient, Wish } from './recipient.ts'
import { approvedPurposes, pageOf } from './world.ts'

/** What people and recipients do in the demo, each over HTTP and nothing else. */

const everything: readonly Cluster[] = ['ACCOUNT_BASIC', 'BALANCES', 'TRANSACTIONS']

/** What Messenger asks for when nothing else is said. */
export function wishOf(
  bank: string,
  person: string,
  { delivery = 'in_thread', ...others }: Partial<Wish> & { delivery?: Delivery } = {},
): Wish {
  return {
    bank,
    clusters: everything,
    purpose: approvedPurposes[0] ?? '',
    delivery,
    profile: { page_id: pageOf(bank), psid: `psid-of-${person}`, display_name: person },
    ...others,
  }
}

/** The customer reads the recipient's request, logs in at the bank, and picks accounts there; ends at the disclosure. */
export async function walkToDisclosure(
  customer: Customer,
  asked: Pick<Asked, 'url'>,
  username: string,
): Promise<Page> {
  const atBank = await customer.press(await customer.visit(asked.url), 'continue')
  return pickAccounts(customer, await logIn(customer, atBank, username))
}

/** Logs in at the bank, unless the browser is logged in there still. */
export async function logIn(customer: Customer, page: Page, username: string): Promise<Page> {
  if (!page.has('username')) return page
  page.fill('username', username)
  page.fill('password', `${username}-demo`)
  return customer.press(page, 'login')
}

async function pickAccounts(customer: Customer, page: Page): Promise<Page> {
  if (!page.has('allow')) return page
  page.tickOnly('account-', () => true)
  return customer.press(page, 'allow')
}

/** A whole link: asked, logged in, approved, redeemed. */
export async function link(
  customer: Customer,
  recipient: Recipient,
  { wish, username }: { wish: Wish; username: string },
): Promise<Linked> {
  const asked = await recipient.ask(wish)
  const disclosure = await walkToDisclosure(customer, asked, username)
  const answer = await customer.press(disclosure, 'approve')
  return recipient.redeem(answer.url, asked)
}

/** The recipient's every read of a consent: accounts, each account, and the pages of its transactions. */
export async function readEverything(
  recipient: Recipient,
  { accessToken }: Linked,
): Promise<number> {
  const list = await okJson<{ accounts: { accountId: string }[] }>(
    await recipient.call(accessToken, '/fdx/v6/accounts'),
  )
  let answers = 1
  for (const { accountId } of list.accounts) {
    const path = `/fdx/v6/accounts/${accountId}`
    await okJson(await recipient.call(accessToken, path))
    let pageKey: string | undefined
    do {
      const query = new URLSearchParams({
        limit: '50',
        ...(pageKey === undefined ? {} : { pageKey }),
      })
      const page = await okJson<{ page?: { nextPageKey?: string } }>(
        await recipient.call(accessToken, `${path}/transactions?${query}`),
      )
      pageKey = page.page?.nextPageKey
      answers += 1
    } while (pageKey !== undefined)
    answers += 1
  }
  return answers
}

/** The parsed answer of a call that must succeed. */
async function okJson<T>(response: Response): Promise<T> {
  const text = await response.text()
  if (!response.ok) throw new Error(`${response.status} ${text}`)
  return JSON.parse(text) as T
}

/** The OAuth error with which an attempt was refused; an attempt that was not is an error of the demo. */
export async function refusedWith(attempt: Promise<unknown>): Promise<string> {
  try {
    await attempt
  } catch (error) {
    if (typeof error === 'object' && error !== null && 'error' in error) return String(error.error)
    throw error
  }
  throw new Error('the broker did not refuse')
}

/** The status and reason with which a call was refused. */
export async function refusedCall(response: Response): Promise<string> {
  const problem = (await response.json()) as { code?: string; error?: string }
  if (response.ok) throw new Error('the broker did not refuse')
  return `${response.status} ${problem.code ?? problem.error ?? ''}`
}
