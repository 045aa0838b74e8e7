import type { Cluster } from '../consent/cluster.ts'
import { Refusal } from '../consent/refusal.ts'
import { earliestDate, type Terms } from '../consent/terms.ts'
import { BankUnavailable, type BankAccess, type FdxAccount } from './bank_port.ts'
import { withBankToken } from './bank_tokens.ts'
import { bankNamed, type Broker } from './broker.ts'
import { minimiseAccount, minimiseTransaction } from './minimise.ts'
import {
  BadPageKey,
  openPageKey,
  rangeOfPageKey,
  sealPageKey,
  type PagedRange,
} from './page_key.ts'
import { release, type Asking, type Fetching, type Released } from './release.ts'

/** Transactions on one page. */
export const page_transactions = { default: 100, max: 500 } as const

/** FDX `GET /accounts`: the accounts of the consent, as its clusters show them. */
export function readAccounts(broker: Broker, asking: Asking): Promise<Released> {
  return release(
    broker,
    asking,
    (terms) => ({ clusters: descriptive(terms) }),
    async (fetching) => {
      const shown = await fetchAccounts(broker, asking, fetching)
      return {
        body: JSON.stringify({
          page: { totalElements: shown.length },
          accounts: shown.map(({ body }) => body),
        }),
        accounts: shown.map(({ handle }) => handle),
      }
    },
  )
}

/** FDX `GET /accounts/{accountId}`. */
export function readAccount(broker: Broker, asking: Asking, handle: string): Promise<Released> {
  return release(
    broker,
    asking,
    (terms) => ({ clusters: descriptive(terms), accounts: [handle] }),
    async (fetching) => {
      const [shown] = await fetchAccounts(broker, asking, fetching)
      if (shown === undefined)
        throw new BankUnavailable('bad_answer', 'the bank no longer shows the account')
      return { body: JSON.stringify(shown.body), accounts: [handle] }
    },
  )
}

/** What `GET /accounts/{accountId}/transactions` was asked. Times are RFC 3339 UTC with milliseconds. */
export interface TransactionsWish extends Partial<PagedRange> {
  readonly handle: string
  readonly pageKey?: string
}

/**
 * FDX `GET /accounts/{accountId}/transactions`; without a start it begins where the consent's look-back does, and with a page key
 * it goes on with that one's range. Throws `BadPageKey` where it cannot.
 */
export function readTransactions(
  broker: Broker,
  asking: Asking,
  wish: TransactionsWish,
): Promise<Released> {
  const { handle, pageKey } = wish
  const rangeFor = (terms: Terms) =>
    rangeOf(wish, `${lookbackStart(terms, broker.now())}T00:00:00.000Z`)
  return release(
    broker,
    asking,
    (terms) => ({
      clusters: ['TRANSACTIONS'],
      accounts: [handle],
      since: rangeFor(terms).startTime.slice(0, 10),
    }),
    async (fetching) => {
      const page = await fetchTransactions(broker, asking, fetching, {
        ...rangeFor(fetching.terms),
        handle,
        ...(pageKey === undefined ? {} : { pageKey }),
      })
      return { body: JSON.stringify(page), accounts: [handle] }
    },
  )
}

/** The range as it was said, or the one that a page key goes on with, which what is said beside it may only repeat. */
function rangeOf(wish: TransactionsWish, earliest: string): PagedRange {
  const { startTime = earliest, endTime, limit = page_transactions.default } = wish
  if (wish.pageKey === undefined) {
    if (endTime !== undefined && endTime <= startTime) throw new Refusal('time_not_covered')
    return { startTime, ...(endTime === undefined ? {} : { endTime }), limit }
  }
  const begun = rangeOfPageKey(wish.pageKey)
  const isSame = (name: keyof PagedRange) => (wish[name] ?? begun[name]) === begun[name]
  if (!isSame('startTime') || !isSame('endTime') || !isSame('limit'))
    throw new BadPageKey('was given for another range or limit')
  if (begun.startTime < earliest)
    throw new BadPageKey('goes on with a range that the look-back has left: begin anew')
  return begun
}

/** The first whole day that lies inside the look-back, so that the day's end does not move it outside. */
export function lookbackStart(terms: Pick<Terms, 'lookback_days'>, now: number): string {
  return earliestDate(terms.lookback_days, new Date(now + 60_000).toISOString())
}

/** The consented clusters that an account itself shows. */
function descriptive(terms: Terms): Cluster[] {
  const shown = terms.clusters.filter((one) => one === 'ACCOUNT_BASIC' || one === 'BALANCES')
  if (shown.length === 0) throw new Refusal('cluster_not_covered')
  return shown
}

/** The bank's accounts that the fetch may see, minimised. Others that the bank sent are dropped, and counted. */
export async function fetchAccounts(
  broker: Broker,
  asking: Asking,
  fetching: Fetching,
): Promise<{ handle: string; body: Record<string, unknown> }[]> {
  const { clusters } = fetching
  const found = await atBank(broker, asking, fetching, (access) =>
    broker.bankPort.accounts(bankNamed(broker, asking.bank), access),
  )
  const byId = new Map<string, FdxAccount>(found.map((account) => [account.accountId, account]))
  const shown = fetching.accounts.flatMap(({ handle, bankAccountId }) => {
    const account = byId.get(bankAccountId)
    return account === undefined
      ? []
      : [{ handle, body: minimiseAccount(account, { handle, clusters }) }]
  })
  broker.observe.dropped(asking.bank, found.length - shown.length)
  return shown
}

/** One page of transactions, minimised. */
export async function fetchTransactions(
  broker: Broker,
  asking: Asking,
  fetching: Fetching,
  wish: PagedRange & Pick<TransactionsWish, 'handle' | 'pageKey'>,
): Promise<{ page: { nextPageKey?: string }; transactions: Record<string, unknown>[] }> {
  const [account] = fetching.accounts
  if (account === undefined) throw new Refusal('account_not_covered')
  const { bankAccountId } = account
  const { handle, pageKey, ...range } = wish
  const bankKey = pageKey === undefined ? undefined : openPageKey(fetching.key, { handle, pageKey })
  const answer = await atBank(broker, asking, fetching, (access) =>
    broker.bankPort.transactions(bankNamed(broker, asking.bank), access, {
      accountId: bankAccountId,
      ...range,
      ...(bankKey === undefined ? {} : { pageKey: bankKey }),
    }),
  )
  const { nextPageKey: next } = answer
  const inRange = answer.transactions.filter(
    (one) =>
      (one['accountId'] ?? bankAccountId) === bankAccountId &&
      isWithin(Date.parse(one.transactionTimestamp), range),
  )
  broker.observe.dropped(asking.bank, answer.transactions.length - inRange.length)
  return {
    page:
      next === undefined
        ? {}
        : { nextPageKey: sealPageKey(fetching.key, { handle, range, bankKey: next }) },
    transactions: inRange.map((one) => minimiseTransaction(one, { handle, key: fetching.key })),
  }
}

const isWithin = (at: number, { startTime, endTime }: PagedRange) =>
  at >= Date.parse(startTime) && (endTime === undefined || at < Date.parse(endTime))

function atBank<T>(
  broker: Broker,
  { bank, consentId }: Asking,
  { standing, key, linkId, interaction }: Fetching,
  call: (access: BankAccess) => Promise<T>,
): Promise<T> {
  const { bankToken } = standing
  if (bankToken === undefined) throw new Refusal('consent_revoked')
  return withBankToken(broker, { bank, consentId, linkId, key, row: bankToken }, (accessToken) =>
    call({ accessToken, interaction }),
  )
}
