import type { Cluster } from '../consent/cluster.ts'
import type { LinkKey } from '../storage/vault.ts'
import type { FdxAccount, FdxTransaction } from './bank_port.ts'

/**
 * What may pass, by data cluster: members named here, and no others. FDX v6 names; an account number never passes, only the
 * last four digits of it.
 */
const accountMembers: Readonly<Partial<Record<Cluster, readonly string[]>>> = {
  ACCOUNT_BASIC: ['accountCategory', 'accountType', 'productName', 'nickname', 'status'],
  BALANCES: ['currentBalance', 'availableBalance', 'balanceAsOf', 'creditLine', 'availableCredit'],
}

const transactionMembers = [
  'description',
  'memo',
  'payee',
  'postedTimestamp',
  'transactionTimestamp',
  'debitCreditMemo',
  'transactionType',
  'status',
  'amount',
  'category',
  'subCategory',
]

/** Members that a bank fills with words, in which a number may hide. */
const texts: readonly string[] = ['nickname', 'productName', 'description', 'memo', 'payee']

/** An account as these clusters show it, under the handle of the consent. */
export function minimiseAccount(
  account: FdxAccount,
  { handle, clusters }: { handle: string; clusters: readonly Cluster[] },
): Record<string, unknown> {
  const shown: Record<string, unknown> = { accountId: handle }
  for (const cluster of clusters) {
    for (const member of accountMembers[cluster] ?? []) copy(account, shown, member)
    if (cluster === 'ACCOUNT_BASIC') shown['accountNumberDisplay'] = lastFour(account)
  }
  const code = currencyOf(account)
  if (code !== undefined) shown['currency'] = { currencyCode: code }
  return shown
}

/** A transaction without the bank's own id for it, and with long numbers in its texts masked. */
export function minimiseTransaction(
  transaction: FdxTransaction,
  { handle, key }: { handle: string; key: LinkKey },
): Record<string, unknown> {
  const shown: Record<string, unknown> = {
    accountId: handle,
    transactionId: key.pseudonym(`transaction ${String(transaction['transactionId'])}`),
  }
  for (const member of transactionMembers) copy(transaction, shown, member)
  return shown
}

/** Runs of eight digits or more, spaced or not, can be account or card numbers: all but the last four are hidden. */
export function maskNumbers(text: string): string {
  return text.replace(/\d(?:[ .\-/]?\d){7,}/g, (run) => `••••${run.replace(/\D/g, '').slice(-4)}`)
}

/** `••••1234`, from whatever the bank gives as a number or display of one. */
export function lastFour(account: Readonly<Record<string, unknown>>): string {
  const number = account['accountNumberDisplay'] ?? account['accountNumber']
  const digits = typeof number === 'string' ? number.replace(/[^0-9A-Za-z]/g, '').slice(-4) : ''
  return `••••${digits}`
}

/** The ISO 4217 code of an account's currency, which in FDX is an object with a `currencyCode`. */
export function currencyOf(account: Readonly<Record<string, unknown>>): string | undefined {
  const currency = account['currency']
  const code =
    typeof currency === 'object' && currency !== null && 'currencyCode' in currency
      ? currency.currencyCode
      : undefined
  return typeof code === 'string' && /^[A-Z]{3}$/.test(code) ? code : undefined
}

/** Plain values only: what is nested was not looked into, and does not pass. */
function copy(
  from: Readonly<Record<string, unknown>>,
  to: Record<string, unknown>,
  member: string,
) {
  const value = from[member]
  if (typeof value === 'number' || typeof value === 'boolean') to[member] = value
  if (typeof value === 'string') to[member] = texts.includes(member) ? maskNumbers(value) : value
}
