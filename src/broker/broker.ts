import type { Database } from '../storage/database.ts'
import type { Class } from '../consent/class.ts'
import type { Reconciled } from '../ledger/entry.ts'
import type { EarlyCheck } from '../storage/early_check.ts'
import type { CountRefusal } from '../storage/refusals.ts'
import type { Vault } from '../storage/vault.ts'
import type { Door } from './append.ts'
import { BankUnavailable, type Bank, type BankPort } from './bank_port.ts'
import type { MarkStore } from '../storage/marks.ts'
import type { LedgerKey, LedgerSigner } from './signing.ts'
import type { Witnessing } from './witnessing.ts'

/** What every verb needs; made once in main.ts and handed in first. */
export interface Broker {
  readonly db: Database
  /** For transactions that stay open while a bank is asked: a bank that hangs holds up nothing else. */
  readonly askingDb: Database
  readonly door: Door
  readonly signer: LedgerSigner
  /** The key of each bank's ledger. */
  readonly keys: ReadonlyMap<string, LedgerKey>
  readonly marks: MarkStore
  readonly bankPort: BankPort
  readonly witnessing: Witnessing
  readonly vault: Vault
  readonly earlyCheck: EarlyCheck
  readonly countRefusal: CountRefusal
  /** The class under which a client is registered. */
  readonly classOf: (client: string) => Promise<Class>
  /** How often a consent may be read on a day (UTC) while the customer is not there; absent: as often as one likes. */
  readonly readsPerDay?: number
  /** The authorization server's issuer identifier, and the base of every URL given out. */
  readonly issuer: string
  readonly observe: Observe
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** What the verbs tell whoever watches; counts and reasons only, never data. */
export interface Observe {
  /** A bank sent this many items that the consent does not cover; they were dropped. */
  dropped(bank: string, count: number): void
  /** What became of the requests that a bank stated. */
  reconciled(bank: string, counts: Reconciled): void
  /** Something that must be looked at by a person. */
  alarm(bank: string, why: string): void
}

/** A bank of the directory. Throws `BankUnavailable` for any other. */
export function bankNamed({ bankPort }: Pick<Broker, 'bankPort'>, id: string): Bank {
  const bank = bankPort.banks.get(id)
  if (bank !== undefined) return bank
  throw new BankUnavailable('unreachable', `no bank ${id} is in the directory`)
}

/** The origin of a bank's ledger: where its files are served, without a scheme (c2sp.org/tlog-checkpoint). */
export const ledgerOrigin = (issuer: string, bank: string): string =>
  `${new URL(issuer).host}/ledger/${bank}`
