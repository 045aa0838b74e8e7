/** What a demo bank's books hold. Names of members follow FDX v6; amounts are in units of the account's currency. */

export type AccountType =
  'CHECKING' | 'SAVINGS' | 'MONEYMARKET' | 'CD' | 'LINEOFCREDIT' | 'CREDITCARD'

export interface Account {
  /** Opaque, and the same each time the same statement is loaded. */
  readonly accountId: string
  readonly accountType: AccountType
  readonly productName: string
  /** ISO 4217. */
  readonly currencyCode: string
  /** In full, as banks hand it out: masking is the broker's duty. */
  readonly accountNumber: string
  /** RFC 3339, UTC. */
  readonly balanceAsOf: string
  /** What the customer owns; for credit, what the customer owes. */
  readonly currentBalance: number
  /** What may be drawn now; for credit, what is left of the limit. */
  readonly available: number
  /** Newest first. */
  readonly transactions: readonly Transaction[]
}

export interface Transaction {
  readonly transactionId: string
  /** RFC 3339, UTC. */
  readonly transactionTimestamp: string
  readonly description: string
  readonly memo?: string
  readonly checkNumber?: number
  readonly debitCreditMemo: 'CREDIT' | 'DEBIT'
  /** Never negative: the direction is in `debitCreditMemo`. */
  readonly amount: number
}

export interface Customer {
  /** The identity that the bank asserts as `sub`. */
  readonly customerId: string
  readonly username: string
  readonly password: string
  readonly accounts: readonly Account[]
}

/** Whether the account lends to the customer: FDX's `LOC_ACCOUNT`, whose balance is what is owed. */
export function isCredit(accountType: AccountType): boolean {
  return accountType === 'CREDITCARD' || accountType === 'LINEOFCREDIT'
}

/** The account number as a customer recognises it: its last four characters. */
export function maskedNumber(account: Account): string {
  return `****${account.accountNumber.slice(-4)}`
}

export const productNames: Readonly<Record<AccountType, string>> = {
  CHECKING: 'Everyday Checking',
  SAVINGS: 'Savings',
  MONEYMARKET: 'Money Market',
  CD: 'Certificate of Deposit',
  LINEOFCREDIT: 'Line of Credit',
  CREDITCARD: 'Credit Card',
}
