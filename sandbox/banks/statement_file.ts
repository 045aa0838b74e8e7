import { createHash } from 'node:crypto'
import { parseStrict, type ofxTypes } from 'ofx-js'
import { isCredit, productNames } from './account.ts'
import type { Account, AccountType, Transaction } from './account.ts'

type Statement = ofxTypes.StatementResponse | ofxTypes.CreditCardStatementResponse

/** The accounts of an OFX file, and a line for each thing that was assumed or left out. */
export interface StatementFile {
  readonly accounts: readonly Account[]
  readonly notes: readonly string[]
}

/**
 * Reads the bank and credit card statements of an OFX 1.x or 2.x file. What real files leave out is assumed and noted: a
 * currency is that of the first transaction that names one, else USD; a balance is the sum of the transactions; an account
 * type is CHECKING. A transaction without a date or an amount is left out and noted. With `shift` all dates move by the
 * same whole days, so that the file's newest day becomes the day before `now`. Throws where there is no statement to read.
 */
export function readStatementFile(
  bytes: Uint8Array,
  { now, shift = false }: { now: Date; shift?: boolean },
): StatementFile {
  const { BANKMSGSRSV1, CREDITCARDMSGSRSV1, INVSTMTMSGSRSV1 } = parseStrict(decoded(bytes)).OFX
  const statements: Statement[] = [
    ...list(BANKMSGSRSV1?.STMTTRNRS).flatMap((response) => list(response.STMTRS)),
    ...list(CREDITCARDMSGSRSV1?.CCSTMTTRNRS).flatMap((response) => list(response.CCSTMTRS)),
  ]
  const notes = INVSTMTMSGSRSV1 ? ['investment statements are left out'] : []
  const accounts = statements.map((statement) => accountOf(statement, { now, notes }))
  if (accounts.length === 0) throw new Error('no bank or credit card statement in this OFX file')
  return { accounts: shift ? shifted(accounts, now) : accounts, notes }
}

/** OFX 1.x declares its character set in the header. */
function decoded(bytes: Uint8Array): string {
  const text = new TextDecoder().decode(bytes)
  return /^CHARSET:1252\s*$/m.test(text) ? new TextDecoder('windows-1252').decode(bytes) : text
}

/** A repeatable element as the parser gives it: an object, an array, or nothing; an empty one is an empty string. */
const list = <T>(found: T | T[] | undefined): T[] =>
  Array.isArray(found) ? found : found ? [found] : []

function accountOf(statement: Statement, { now, notes }: { now: Date; notes: string[] }): Account {
  const bank = 'BANKACCTFROM' in statement ? statement.BANKACCTFROM : undefined
  const accountNumber = ('CCACCTFROM' in statement ? statement.CCACCTFROM : bank)?.ACCTID.trim()
  if (!accountNumber) throw new Error('a statement in this OFX file names no account')
  const note = (line: string) => notes.push(`account ending ${accountNumber.slice(-4)}: ${line}`)
  const assumed = <T>(what: string, value: T): T => {
    note(`no ${what}, ${String(value)} assumed`)
    return value
  }

  const entries = list(statement.BANKTRANLIST?.STMTTRN)
  const transactions = entries
    .map((entry, index) => transactionOf(entry, digest(accountNumber, String(index))))
    .filter((transaction) => transaction !== undefined)
    .toSorted((a, b) => b.transactionTimestamp.localeCompare(a.transactionTimestamp))
  const unread = entries.length - transactions.length
  if (unread > 0) note(`${unread} transactions without a date or an amount left out`)

  const accountType = bank
    ? (accountTypes[bank.ACCTTYPE] ?? assumed('account type', 'CHECKING'))
    : 'CREDITCARD'
  const currencies = [statement.CURDEF, ...entries.map((entry) => entry.CURRENCY?.CURSYM)]
  const balance = amountOf(statement.LEDGERBAL?.BALAMT) ?? assumed('balance', sumOf(transactions))
  return {
    accountId: digest(bank?.BANKID ?? '', accountNumber, accountType),
    accountType,
    productName: productNames[accountType],
    currencyCode: currencies.find(isCurrencyCode) ?? assumed('currency', 'USD'),
    accountNumber,
    balanceAsOf: timeOf(statement.LEDGERBAL?.DTASOF) ?? now.toISOString(),
    // OFX writes a debt as a negative balance, FDX as what is owed.
    currentBalance: isCredit(accountType) ? 0 - balance : balance,
    available:
      amountOf(statement.AVAILBAL?.BALAMT) ??
      (isCredit(accountType) ? assumed('available credit', 0) : balance),
    transactions,
  }
}

const accountTypes: Readonly<Record<string, AccountType>> = {
  CHECKING: 'CHECKING',
  SAVINGS: 'SAVINGS',
  MONEYMRKT: 'MONEYMARKET',
  CREDITLINE: 'LINEOFCREDIT',
  CD: 'CD',
}

function transactionOf(
  entry: ofxTypes.StatementTransaction,
  fallbackId: string,
): Transaction | undefined {
  const transactionTimestamp = timeOf(entry.DTPOSTED)
  const amount = amountOf(entry.TRNAMT)
  if (transactionTimestamp === undefined || amount === undefined) return undefined
  const checkNumber = Number(entry.CHECKNUM)
  return {
    transactionId: entry.FITID || fallbackId,
    transactionTimestamp,
    description: entry.NAME || entry.PAYEE?.NAME || entry.MEMO || entry.TRNTYPE,
    ...(entry.NAME && entry.MEMO ? { memo: entry.MEMO } : {}),
    ...(Number.isSafeInteger(checkNumber) && checkNumber > 0 ? { checkNumber } : {}),
    debitCreditMemo: amount < 0 ? 'DEBIT' : 'CREDIT',
    amount: Math.abs(amount),
  }
}

const isCurrencyCode = (code: string | undefined): code is string => /^[A-Z]{3}$/.test(code ?? '')

/** An OFX amount: an optional sign, digits, and a point or a comma (OFX 3.2.9.1). */
function amountOf(text: string | undefined): number | undefined {
  const trimmed = text?.trim() ?? ''
  return /^[+-]?\d+([.,]\d*)?$/.test(trimmed) ? Number(trimmed.replace(',', '.')) : undefined
}

/** OFX 3.2.8.2: YYYYMMDD[HHMMSS[.XXX]][[offset[:name]]]; without an offset the time is UTC. */
const ofxTime =
  /^(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d)(\d\d))?(?:\.\d+)?(?:\[([+-]?\d+(?:\.\d+)?)(?::\w+)?\])?$/

function timeOf(text: string | undefined): string | undefined {
  const parts = ofxTime.exec(text ?? '')
  if (parts === null) return undefined
  const [year = 0, month = 1, day = 1, hours = 0, minutes = 0, seconds = 0, offset = 0] = parts
    .slice(1)
    .map((part) => Number(part ?? 0))
  const at = Date.UTC(year, month - 1, day, hours, minutes, seconds) - offset * 3_600_000
  return new Date(at).toISOString()
}

function sumOf(transactions: readonly Transaction[]): number {
  const cents = transactions.map(
    ({ amount, debitCreditMemo }) =>
      Math.round(amount * 100) * (debitCreditMemo === 'DEBIT' ? -1 : 1),
  )
  return cents.reduce((sum, one) => sum + one, 0) / 100
}

const digest = (...parts: readonly string[]) =>
  createHash('sha256').update(JSON.stringify(parts)).digest('base64url').slice(0, 22)

const day_ms = 86_400_000

function shifted(accounts: readonly Account[], now: Date): readonly Account[] {
  const newest = accounts
    .map((account) => account.transactions[0]?.transactionTimestamp ?? account.balanceAsOf)
    .reduce((a, b) => (a > b ? a : b))
  const days = Math.floor(now.getTime() / day_ms) - 1 - Math.floor(Date.parse(newest) / day_ms)
  const later = (time: string) => new Date(Date.parse(time) + days * day_ms).toISOString()
  return accounts.map((account) => ({
    ...account,
    // A statement closes after its last transaction, at most now.
    balanceAsOf:
      [later(account.balanceAsOf), now.toISOString()].toSorted()[0] ?? account.balanceAsOf,
    transactions: account.transactions.map((transaction) => ({
      ...transaction,
      transactionTimestamp: later(transaction.transactionTimestamp),
    })),
  }))
}
