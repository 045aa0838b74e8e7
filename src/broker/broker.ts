import type { Database } from '../storage/database.ts'
import type { Vault } from '../storage/vault.ts'
import type { Door } from './append.ts'
import type { BankPort } from './bank_port.ts'

/** What every verb needs; made once in main.ts and handed in first. */
export interface Broker {
  readonly db: Database
  readonly door: Door
  readonly bankPort: BankPort
  readonly vault: Vault
  /** The authorization server's issuer identifier, and the base of every URL given out. */
  readonly issuer: string
  /** Milliseconds since the epoch. */
  readonly now: () => number
}
