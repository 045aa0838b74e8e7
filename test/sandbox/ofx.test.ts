import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { describe, expect, it } from '@jest/globals'
import { generateCustomers } from '../../sandbox/banks/generate.ts'
import { bankDirectory, customerStatements, customersOf } from '../../sandbox/banks/directory.ts'
import { readStatementFile } from '../../sandbox/banks/statement_file.ts'

const now = new Date('2027-02-10T15:30:00Z')
const shipped = new URL('../../sandbox/statements/', import.meta.url)
const real = new URL('../../../shared/data/ofx/', import.meta.url)

const ofxFiles = (folder: URL) => readdirSync(folder).filter((name) => name.endsWith('.ofx'))
const ofx = (body: string) => new TextEncoder().encode(`OFXHEADER:100\n\n<OFX>${body}</OFX>`)

describe('a shipped statement', () => {
  it.each(ofxFiles(shipped))('%s loads with nothing assumed, up to yesterday', (name) => {
    const { accounts, notes } = readStatementFile(readFileSync(new URL(name, shipped)), {
      now,
      shift: true,
    })
    expect(notes).toEqual([])
    const dates = accounts.flatMap(({ transactions }) =>
      transactions.map(({ transactionTimestamp }) => transactionTimestamp.slice(0, 10)),
    )
    expect(dates.toSorted().at(-1)).toBe('2027-02-09')
    for (const account of accounts) {
      expect(account.currencyCode).toBe('USD')
      expect(account.balanceAsOf <= now.toISOString()).toBe(true)
      const ids = account.transactions.map(({ transactionId }) => transactionId)
      expect(new Set(ids).size).toBe(ids.length)
    }
  })

  it('is one that the directory names, and the directory names no other', () => {
    const named = Object.values(customerStatements).flatMap((one) => Object.values(one).flat())
    expect(named.toSorted()).toEqual(ofxFiles(shipped).toSorted())
  })

  it('gives its customer the same identity and accounts at every start', async () => {
    for (const { id } of bankDirectory) {
      const [once, again] = await Promise.all([customersOf(id, now), customersOf(id, now)])
      expect(once.map(({ username }) => username)).toEqual(['alice', 'bob'])
      expect(again).toEqual(once)
      const ids = once.flatMap(({ accounts }) => accounts.map(({ accountId }) => accountId))
      expect(new Set(ids).size).toBe(ids.length)
    }
  })
})

/** Per account: type, currency, balance, available, transactions; then what had to be assumed. */
const expected: Readonly<Record<string, { accounts: unknown[]; notes: string[] }>> = {
  'anzcc.ofx': { accounts: [['CREDITCARD', 'AUD', 123.45, 123.45, 1]], notes: [] },
  'bank_medium.ofx': { accounts: [['CHECKING', 'CAD', 382.34, 682.34, 3]], notes: [] },
  'checking.ofx': { accounts: [['CHECKING', 'USD', 100.99, 75.99, 3]], notes: [] },
  'multiple_accounts2.ofx': {
    accounts: [
      ['CHECKING', 'USD', 111, 111, 0],
      ['SAVINGS', 'USD', 222, 222, 0],
    ],
    notes: [],
  },
  'ofx-v102-empty-tags.ofx': {
    accounts: [['CHECKING', 'AUD', 12.34, 12.34, 1]],
    notes: [
      'account ending 5678: no account type, CHECKING assumed',
      'account ending 5678: no balance, 12.34 assumed',
    ],
  },
}

const summary = (bytes: Uint8Array) => {
  const { accounts, notes } = readStatementFile(bytes, { now })
  return {
    accounts: accounts.map((one) => [
      one.accountType,
      one.currencyCode,
      one.currentBalance,
      one.available,
      one.transactions.length,
    ]),
    notes,
  }
}

const absent = existsSync(real) ? '' : ' (skipped: ../shared/data/ofx is absent)'

describe(`a real statement${absent}`, () => {
  const onReal = absent === '' ? it : it.skip

  onReal.each(Object.keys(expected))('%s loads, and what it leaves out is noted', (name) => {
    expect(summary(readFileSync(new URL(name, real)))).toEqual(expected[name])
  })

  onReal('is among those expected here', () => {
    expect(ofxFiles(real).toSorted()).toEqual(Object.keys(expected).toSorted())
  })

  onReal('keeps its own dates, in UTC, unless they are to be shifted', () => {
    const bytes = readFileSync(new URL('bank_medium.ofx', real))
    const times = (shift: boolean) =>
      readStatementFile(bytes, { now, shift }).accounts[0]?.transactions.map(
        ({ transactionTimestamp }) => transactionTimestamp,
      )
    expect(times(false)).toEqual([
      '2009-04-03T17:20:17.000Z',
      '2009-04-02T17:20:17.000Z',
      '2009-04-01T17:20:17.000Z',
    ])
    expect(times(true)).toEqual([
      '2027-02-09T17:20:17.000Z',
      '2027-02-08T17:20:17.000Z',
      '2027-02-07T17:20:17.000Z',
    ])
  })
})

describe('a statement that leaves things out', () => {
  const account = '<BANKACCTFROM><ACCTID>9911<ACCTTYPE>SAVINGS</BANKACCTFROM>'
  const statement = (inside: string) =>
    ofx(`<BANKMSGSRSV1><STMTTRNRS><STMTRS>${inside}</STMTRS></STMTTRNRS></BANKMSGSRSV1>`)

  it('has a USD account where no currency is named', () => {
    const { accounts, notes } = summary(statement(`${account}<LEDGERBAL><BALAMT>5,50</LEDGERBAL>`))
    expect(accounts).toEqual([['SAVINGS', 'USD', 5.5, 5.5, 0]])
    expect(notes).toEqual(['account ending 9911: no currency, USD assumed'])
  })

  it('loses the transactions that have no date or amount, and says how many', () => {
    const entries = [
      '<DTPOSTED>20270101<TRNAMT>-3',
      '<DTPOSTED>soon<TRNAMT>1',
      '<DTPOSTED>20270101<TRNAMT>much',
    ].map((entry) => `<STMTTRN><TRNTYPE>DEBIT${entry}</STMTTRN>`)
    const { accounts, notes } = summary(
      statement(`<CURDEF>USD${account}<BANKTRANLIST>${entries.join('')}</BANKTRANLIST>`),
    )
    expect(accounts).toEqual([['SAVINGS', 'USD', -3, -3, 1]])
    expect(notes[0]).toBe(
      'account ending 9911: 2 transactions without a date or an amount left out',
    )
  })

  it('is refused with a reason where it names no account, or is no statement at all', () => {
    const read = (bytes: Uint8Array) => () => readStatementFile(bytes, { now })
    expect(read(statement('<CURDEF>USD'))).toThrow('names no account')
    expect(read(ofx('<SIGNONMSGSRSV1><SONRS><LANGUAGE>ENG</SONRS></SIGNONMSGSRSV1>'))).toThrow(
      'no bank or credit card statement',
    )
    expect(read(new TextEncoder().encode('%PDF-1.7'))).toThrow('no bank or credit card statement')
    expect(read(new Uint8Array())).toThrow('no bank or credit card statement')
  })

  it('is read in the character set that its header declares', () => {
    const text = `<CURDEF>USD${account}<BANKTRANLIST><STMTTRN><DTPOSTED>20270101<TRNAMT>1<NAME>CAF\u00c9</STMTTRN></BANKTRANLIST>`
    const body = `OFXHEADER:100\nCHARSET:1252\n\n<OFX><BANKMSGSRSV1><STMTTRNRS><STMTRS>${text}</STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>`
    const { accounts } = readStatementFile(Buffer.from(body, 'latin1'), { now })
    expect(accounts[0]?.transactions[0]?.description).toBe('CAF\u00c9')
  })
})

describe('generated customers', () => {
  const volume = { seed: 'a', now, customers: 3, accounts: 4, transactions: 200 }

  it('are the same for the same seed, and others for another', () => {
    expect(generateCustomers(volume)).toEqual(generateCustomers(volume))
    expect(generateCustomers({ ...volume, seed: 'b' })).not.toEqual(generateCustomers(volume))
  })

  it('have as many accounts and transactions as asked for, over the last 24 months', () => {
    const customers = generateCustomers(volume)
    expect(customers.map(({ accounts }) => accounts.length)).toEqual([4, 4, 4])
    for (const { transactions } of customers.flatMap(({ accounts }) => accounts)) {
      const times = transactions.map(({ transactionTimestamp }) => transactionTimestamp)
      expect(times).toHaveLength(200)
      expect(times).toEqual(times.toSorted().toReversed())
      expect(String(times[0]) < '2027-02-10').toBe(true)
      expect(String(times.at(-1)) >= '2025-02-10').toBe(true)
      expect(String(times.at(-1)) < '2025-02-20').toBe(true)
    }
  })
})
