import type { Cluster } from '../consent/cluster.ts'
import type { LinkKey } from '../storage/vault.ts'
import type { FdxAccount, FdxTransaction } from './bank_port.ts'

/** What a member may hold. What is of another kind than its member's does not pass. */
type Kind = 'text' | 'word' | 'time' | 'number'

/**
 * What may pass, by data cluster: members named here, and no others. FDX v6 names; an account number never passes, only the
 * last four digits of it.
 */
const accountMembers: Readonly<Partial<Record<Cluster, Readonly<Record<string, Kind>>>>> = {
  ACCOUNT_BASIC: {
    accountCategory: 'word',
    accountType: 'word',
    productName: 'text',
    nickname: 'text',
    status: 'word',
  },
  BALANCES: {
    currentBalance: 'number',
    availableBalance: 'number',
    balanceAsOf: 'time',
    creditLine: 'number',
    availableCredit: 'number',
  },
}

const transactionMembers: Readonly<Record<string, Kind>> = {
  description: 'text',
  memo: 'text',
  payee: 'text',
  postedTimestamp: 'time',
  transactionTimestamp: 'time',
  debitCreditMemo: 'word',
  transactionType: 'word',
  status: 'word',
  amount: 'number',
  category: 'text',
  subCategory: 'text',
}

/** An account as these clusters show it, under the handle of the consent. */
export function minimiseAccount(
  account: FdxAccount,
  { handle, clusters }: { handle: string; clusters: readonly Cluster[] },
): Record<string, unknown> {
  const shown: Record<string, unknown> = { accountId: handle }
  for (const cluster of clusters) {
    Object.assign(shown, passed(account, accountMembers[cluster] ?? {}))
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
  return {
    accountId: handle,
    transactionId: key.pseudonym(`transaction ${String(transaction['transactionId'])}`),
    ...passed(transaction, transactionMembers),
  }
}

/** Eight digits or more, whatever spaces and signs stand between them, and IBANs. */
const numbers =
  /[A-Z]{2}\d{2}(?:[\p{Z}-]*[A-Z0-9]{4}){2,7}(?:[\p{Z}-]*[A-Z0-9]{1,3})?|\d(?:[\p{Z}\p{P}\p{S}\p{Cf}]*\d){7,}/gu

/** Hides what can be an account or card number, but for its last four characters. */
export function maskNumbers(text: string): string {
  return text
    .normalize('NFKC')
    .replace(numbers, (run) => `••••${run.replace(/[^0-9A-Z]/g, '').slice(-4)}`)
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

function passed(
  from: Readonly<Record<string, unknown>>,
  members: Readonly<Record<string, Kind>>,
): Record<string, unknown> {
  const shown: Record<string, unknown> = {}
  for (const [member, kind] of Object.entries(members)) {
    const value = pass[kind](from[member])
    if (value !== undefined) shown[member] = value
  }
  return shown
}

const matching =
  (pattern: RegExp) =>
  (value: unknown): unknown =>
    typeof value === 'string' && pattern.test(value) ? value : undefined

const pass: Readonly<Record<Kind, (value: unknown) => unknown>> = {
  text: (value) => (typeof value === 'string' ? maskNumbers(value) : undefined),
  // The words of FDX's enumerations: letters, and too few digits for a number.
  word: matching(/^[A-Za-z][A-Za-z_]{0,39}\d{0,2}$/),
  time: matching(/^\d{4}-\d{2}-\d{2}(T[\d:.]{5,12}(Z|[+-]\d{2}:?\d{2})?)?$/),
  number: (value) => (typeof value === 'number' && Number.isFinite(value) ? value : undefined),
}
