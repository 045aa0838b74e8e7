import type { Cluster } from '../consent/cluster.ts'

/** What the broker needs of banks; `banks/` implements it. Every call is bounded in time and size. */

/** A bank as the directory describes it. */
export interface Bank {
  readonly id: string
  readonly legalName: string
  readonly lei: string
  readonly issuer: string
  readonly fdxBaseUrl: string
  /** The bank's public key, which signs approvals of recipients. */
  readonly key: Readonly<Record<string, string>>
  /** Where its staff log in, and who of them may audit; absent where none do. */
  readonly staff?: StaffProvider
}

/** A bank's identity provider for its staff (OpenID Connect), and what it says of an auditor. */
export interface StaffProvider {
  readonly issuer: string
  /** Where it knows the broker under an id of its own. */
  readonly clientId?: string
  /** What is asked for beside `openid`. */
  readonly scopes: readonly string[]
  /** The claim of the ID token, text or a list of texts, that has one of `auditor` for whoever may audit. */
  readonly claim: string
  readonly auditor: readonly string[]
  /** Ways of logging in (`acr`) of which one is required; empty: whichever the bank asks for. */
  readonly acr: readonly string[]
}

/** A member of a bank's staff who has logged in there and may audit. */
export interface StaffLogin {
  /** The identity that the bank asserts. */
  readonly subject: string
  /** As the bank names them, for them to see; at most 100 characters. */
  readonly name?: string
  /** What a logout at the bank is asked with. */
  readonly idToken: string
}

/** The bank's tokens for one consent. Sealed under the link's key at rest. */
export interface BankTokens {
  readonly access_token: string
  readonly refresh_token?: string
  /** Milliseconds since the epoch. */
  readonly expires: number
}

/** A login at the bank that has begun: where to send the browser, and what to remember until it returns. */
export interface LoginStarted {
  readonly url: string
  readonly pending: LoginPending
}

export interface LoginPending {
  readonly state: string
  readonly nonce: string
  readonly codeVerifier: string
}

/** A login that the bank has confirmed. */
export interface BankLogin {
  /** The identity that the bank asserts. */
  readonly subject: string
  readonly acr?: string
  readonly authTime?: number
  /** The bank's signed answer, exactly as received: what the grant commits to. */
  readonly idToken: string
  readonly tokens: BankTokens
  /** When the bank's own consent ends, milliseconds since the epoch: ours ends no later. */
  readonly bankEnd?: number
}

/** What a login asks the bank for. `connections` and `delivery` logins ask for identity only. */
export interface LoginRequest {
  readonly nonce: string
  /** FDX consent request for the bank's own consent; absent when only the identity is wanted. */
  readonly consentRequest?: {
    readonly clusters: readonly Cluster[]
    readonly lookback_days: number
    readonly one_time: boolean
    readonly duration_days: number
  }
}

/** An account as the bank describes it, in FDX v6 members. The minimiser passes those it names, and no others. */
export type FdxAccount = Readonly<Record<string, unknown>> & { readonly accountId: string }

export type FdxTransaction = Readonly<Record<string, unknown>> & {
  readonly transactionTimestamp: string
}

export interface TransactionsQuery {
  readonly accountId: string
  /** RFC 3339 times; the bank returns transactions in [startTime, endTime). */
  readonly startTime: string
  readonly endTime?: string
  readonly pageKey?: string
  readonly limit: number
}

/** Logins of banks' staff. All throw `BankUnavailable` for a bank that has no identity provider for them. */
export interface StaffPort {
  start(bank: Bank): Promise<LoginStarted>
  /** Throws `BankRefused`: `cancelled`, `not_an_auditor`, or for an answer that does not verify. */
  finish(bank: Bank, callback: URL, pending: LoginPending): Promise<StaffLogin>
  /** Where a browser ends its login at the bank too, and is sent back to `back` from; undefined where the bank has no such place. */
  logoutUrl(bank: Bank, ending: { idToken: string; back: string }): Promise<string | undefined>
}

export interface BankPort {
  readonly banks: ReadonlyMap<string, Bank>
  startLogin(bank: Bank, request: LoginRequest): Promise<LoginStarted>
  /** Throws `BankRefused` when the customer cancelled or the answer does not verify. */
  finishLogin(bank: Bank, callback: URL, pending: LoginPending): Promise<BankLogin>
  accounts(bank: Bank, access: BankAccess): Promise<readonly FdxAccount[]>
  transactions(
    bank: Bank,
    access: BankAccess,
    query: TransactionsQuery,
  ): Promise<{ transactions: readonly FdxTransaction[]; nextPageKey?: string }>
  /** New tokens for a refresh token. Throws `BankRefused('invalid_grant')` when the bank has ended it. */
  refresh(bank: Bank, tokens: BankTokens): Promise<BankTokens>
  /** Ends the tokens at the bank; succeeds when they were already ended. */
  revoke(bank: Bank, tokens: BankTokens): Promise<void>
  readonly staff: StaffPort
}

export interface BankAccess {
  readonly accessToken: string
  /** The `x-fapi-interaction-id` sent along. */
  readonly interaction: string
}

/** The bank said no: to a login, to a token, or to a request made with it. */
export class BankRefused extends Error {
  override readonly name = 'BankRefused'
  readonly why: 'cancelled' | 'login_invalid' | 'not_an_auditor' | 'invalid_grant' | 'invalid_token'

  constructor(why: BankRefused['why'], detail: string = why) {
    super(detail)
    this.why = why
  }
}

/** The bank did not answer as its contract says: 502, or 504 when it did not answer in time. Nothing was released. */
export class BankUnavailable extends Error {
  override readonly name = 'BankUnavailable'
  readonly why: 'timeout' | 'unreachable' | 'bad_answer' | 'too_large'

  constructor(why: BankUnavailable['why'], detail: string = why) {
    super(detail)
    this.why = why
  }
}
