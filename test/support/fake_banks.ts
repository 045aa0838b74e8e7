import { randomBytes } from 'node:crypto'
import {
  BankRefused,
  BankUnavailable,
  type BankLogin,
  type BankPort,
  type FdxAccount,
  type LoginRequest,
  type StaffPort,
} from '../../src/broker/bank_port.ts'

/** Banks that a test plays: a login is confirmed by coming back with `code=<customer>`, once for each `state`. */
export interface FakeBanks extends Omit<BankPort, 'banks'> {
  /** What was asked of each login, oldest first. */
  readonly logins: LoginRequest[]
  /** The interaction ids under which accounts were asked for, oldest first. */
  readonly interactions: string[]
  /** Access tokens that were given back. */
  readonly revoked: string[]
  /** The accounts of every customer. */
  accountsHeld: readonly FdxAccount[]
  /** Whether the banks answer. */
  silent: boolean
}

export const checking: FdxAccount = {
  accountId: 'bank-account-1',
  accountType: 'CHECKING',
  productName: 'Everyday Checking',
  accountNumber: '000123454242',
  currency: { currencyCode: 'USD' },
  currentBalance: 1234.5,
}

export const savings: FdxAccount = {
  accountId: 'bank-account-2',
  accountType: 'SAVINGS',
  nickname: 'Rainy days',
  accountNumber: '000123450007',
  currency: { currencyCode: 'USD' },
  currentBalance: 99,
}

/** `loginUrl` is where a browser is sent to; `state` and the callback are added to it. */
export function fakeBanks(loginUrl = 'https://bank.example/authorize'): FakeBanks {
  const used = new Set<string>()
  const fake: FakeBanks = {
    logins: [],
    interactions: [],
    revoked: [],
    accountsHeld: [checking, savings],
    silent: false,
    async startLogin(bank, request) {
      answering(fake)
      fake.logins.push(request)
      const state = randomBytes(16).toString('base64url')
      const url = new URL(loginUrl)
      url.searchParams.set('state', state)
      url.searchParams.set('bank', bank.id)
      return {
        url: url.href,
        pending: { state, nonce: request.nonce, codeVerifier: randomBytes(32).toString('hex') },
      }
    },
    async finishLogin(_, callback, pending) {
      answering(fake)
      const answer = callback.searchParams
      if (answer.get('error') === 'access_denied') throw new BankRefused('cancelled')
      const customer = answer.get('code')
      if (answer.get('state') !== pending.state || customer === null || used.has(pending.state))
        throw new BankRefused('login_invalid')
      used.add(pending.state)
      return loginOf(customer)
    },
    async accounts(_, { interaction }) {
      answering(fake).interactions.push(interaction)
      return fake.accountsHeld
    },
    transactions: async () => ({
      transactions: [
        {
          transactionId: 't1',
          transactionTimestamp: new Date().toISOString(),
          description: 'Corner Grocery',
          amount: 84.12,
          debitCreditMemo: 'DEBIT',
        },
      ],
    }),
    refresh: (_, tokens) => Promise.resolve(tokens),
    async revoke(_, tokens) {
      answering(fake).revoked.push(tokens.access_token)
    },
    staff: fakeStaff(loginUrl, () => answering(fake)),
  }
  return fake
}

/** Logins of staff, confirmed in the same way: `code=<who>`. A `clerk` is no auditor. */
function fakeStaff(loginUrl: string, answering: () => unknown): StaffPort {
  return {
    async start(bank) {
      answering()
      const state = randomBytes(16).toString('base64url')
      const url = new URL(loginUrl)
      url.searchParams.set('state', state)
      url.searchParams.set('bank', bank.id)
      return { url: url.href, pending: { state, nonce: 'nonce', codeVerifier: 'verifier' } }
    },
    async finish(_, { searchParams: answer }) {
      answering()
      if (answer.get('error') === 'access_denied') throw new BankRefused('cancelled')
      const who = answer.get('code')
      if (who === null) throw new BankRefused('login_invalid')
      if (who.startsWith('clerk')) throw new BankRefused('not_an_auditor')
      return { subject: who, name: `The bank’s ${who}`, idToken: `signed by the bank for ${who}` }
    },
    logoutUrl: (_, { back }) =>
      Promise.resolve(`${new URL(loginUrl).origin}/logout?${new URLSearchParams({ back })}`),
  }
}

const loginOf = (customer: string): BankLogin => ({
  subject: customer,
  acr: 'urn:example:password',
  authTime: Math.floor(Date.now() / 1000),
  idToken: `signed by the bank for ${customer}`,
  tokens: {
    access_token: `access of ${customer}`,
    refresh_token: `renewal for ${customer}`,
    expires: Date.now() + 600_000,
  },
})

function answering(fake: FakeBanks): FakeBanks {
  if (fake.silent) throw new BankUnavailable('unreachable')
  return fake
}
