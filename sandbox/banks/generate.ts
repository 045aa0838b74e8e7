import { createHash } from 'node:crypto'
import { productNames } from './account.ts'
import type { Account, AccountType, Customer, Transaction } from './account.ts'

/** How much to generate; counts are per bank, per customer and per account. */
export interface Volume {
  /** The same seed gives the same customers and amounts; dates are counted back from the day of `now`. */
  readonly seed: string
  readonly now: Date
  readonly customers?: number
  readonly accounts?: number
  /** Spread evenly over the 24 months before `now`. */
  readonly transactions?: number
}

/** Made-up customers `customer1` (password `customer1-demo`), `customer2`, … with accounts and transactions. */
export function generateCustomers({
  seed,
  now,
  customers = 4,
  accounts = 3,
  transactions = 360,
}: Volume): readonly Customer[] {
  const midnight = new Date(now).setUTCHours(0, 0, 0, 0)
  return times(customers, (index) => {
    const username = `customer${index + 1}`
    const random = randomFrom(`${seed}/${username}`)
    return {
      customerId: idOf(seed, username),
      username,
      password: `${username}-demo`,
      accounts: times(accounts, (place) =>
        generateAccount(
          { id: [seed, username, String(place)], place, midnight, transactions },
          random,
        ),
      ),
    }
  })
}

const kinds: readonly AccountType[] = ['CHECKING', 'SAVINGS', 'CREDITCARD']

function generateAccount(
  wanted: { id: readonly string[]; place: number; midnight: number; transactions: number },
  random: Random,
): Account {
  const accountType = kinds[wanted.place % kinds.length] ?? 'CHECKING'
  const step = (730 * day_ms) / wanted.transactions
  const transactions = times(wanted.transactions, (index) =>
    generateTransaction({
      id: idOf(...wanted.id, String(index)),
      at: wanted.midnight - (index + random()) * step,
      accountType,
      random,
    }),
  )
  const limit_cents = 500_000
  const cents = 50_000 + Math.floor(random() * limit_cents)
  return {
    accountId: idOf(...wanted.id),
    accountType,
    productName: productNames[accountType],
    currencyCode: 'USD',
    accountNumber: String(Math.floor(random() * 1e10)).padStart(
      accountType === 'CREDITCARD' ? 16 : 10,
      '4',
    ),
    balanceAsOf: new Date(wanted.midnight).toISOString(),
    currentBalance: cents / 100,
    available: (accountType === 'CREDITCARD' ? limit_cents + 50_000 - cents : cents) / 100,
    transactions,
  }
}

const payees = [
  'GROCERY MARKET',
  'COFFEE BAR',
  'FUEL STATION',
  'PHARMACY',
  'CITY TRANSIT',
  'ELECTRIC UTILITY',
  'INTERNET SERVICE',
  'HARDWARE STORE',
  'BOOKSHOP',
  'RESTAURANT',
] as const

function generateTransaction({
  id,
  at,
  accountType,
  random,
}: {
  id: string
  at: number
  accountType: AccountType
  random: Random
}): Transaction {
  const credit = random() < 0.08
  const payee = payees[Math.floor(random() * payees.length)] ?? payees[0]
  return {
    transactionId: id,
    transactionTimestamp: new Date(at).toISOString(),
    description: credit
      ? accountType === 'CREDITCARD'
        ? 'PAYMENT RECEIVED'
        : 'DIRECT DEPOSIT'
      : payee,
    debitCreditMemo: credit ? 'CREDIT' : 'DEBIT',
    amount: Math.ceil(random() * (credit ? 300_000 : 15_000)) / 100,
  }
}

const day_ms = 86_400_000

const times = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index))

const idOf = (...parts: readonly string[]) =>
  createHash('sha256').update(JSON.stringify(parts)).digest('base64url').slice(0, 22)

/** Numbers in [0, 1). */
type Random = () => number

/** mulberry32: 32 bits of state, the same sequence everywhere; for made-up data only. */
function randomFrom(seed: string): Random {
  let state = createHash('sha256').update(seed).digest().readUInt32BE()
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
