import { Refusal } from '../consent/refusal.ts'
import {
  insertBankToken,
  lockBankToken,
  replaceBankToken,
  type BankTokenPlace,
  type StoredBankToken,
} from '../storage/bank_tokens.ts'
import { inBank, type Tx } from '../storage/database.ts'
import { allowIdle } from '../storage/idle_limit.ts'
import { revokeUnlessClaimed } from '../storage/outbox.ts'
import type { LinkKey } from '../storage/vault.ts'
import { atMost } from './at_most.ts'
import { BankRefused, BankUnavailable, type BankTokens } from './bank_port.ts'
import { bankNamed, type Broker } from './broker.ts'
import { revokeConsent } from './revoke_consent.ts'

export const limits = {
  /** A token that ends within this time is renewed before it is used. */
  early_ms: 30_000,
  /** Renewals under way at one bank, each holding a database connection while the bank is asked. */
  renewals_per_bank_max: 2,
  renewals_waiting_max: 256,
  /** Longer than any exchange with a bank that the gateway allows. */
  renewal_idle_ms: 30_000,
  /**
   * Tokens whose grant was never heard of again are ended at the bank after this time, and with them a link that was made for it.
   * Longer than any draft waits at the door, and than a session in which the grant can be tried again.
   */
  unclaimed_ms_max: 3_600_000,
} as const

const about = (id: string) => `bank_token ${id}`

/** The tokens of a login were given back to the bank, or are about to be: only another login brings others. The message is for the recipient. */
export class TokensGivenBack extends Error {
  override readonly name = 'TokensGivenBack'
}

/**
 * Keeps tokens under this id, sealed under their link's key, and has them ended at the bank unless a grant claims them in time.
 * Throws `TokensGivenBack` for those that were kept before, and whose end has begun.
 */
export async function keepBankTokens(
  tx: Tx,
  place: BankTokenPlace,
  { key, tokens }: { key: LinkKey; tokens: BankTokens },
): Promise<void> {
  const kept = await insertBankToken(tx, place, sealTokens(key, place.id, tokens))
  const end = await revokeUnlessClaimed(tx, place.bank, {
    token: place.id,
    delay_ms: limits.unclaimed_ms_max,
  })
  // Tokens without a row whose end is known were removed with their link.
  const usable = kept === 'made' ? end === 'made' : kept === 'live' && end !== 'begun'
  if (!usable) throw new TokensGivenBack('the bank login has ended: begin again')
}

function sealTokens(key: LinkKey, id: string, tokens: BankTokens) {
  return { sealed: key.seal(tokens, about(id)), expires: tokens.expires }
}

/** Opens what `keepBankTokens` sealed. */
export function openTokens(key: LinkKey, { id, sealed }: StoredBankToken): BankTokens {
  const tokens = key.open(sealed, about(id))
  if (!isBankTokens(tokens)) throw new Error('not the tokens of a bank')
  return tokens
}

function isBankTokens(value: unknown): value is BankTokens {
  return (
    typeof value === 'object' &&
    value !== null &&
    'access_token' in value &&
    typeof value.access_token === 'string' &&
    'expires' in value &&
    typeof value.expires === 'number'
  )
}

/** A consent's tokens, as the early check found them. */
export interface BankTokenUse {
  readonly bank: string
  readonly consentId: string
  readonly linkId: string
  readonly key: LinkKey
  readonly row: StoredBankToken
}

/**
 * Calls the bank with a live access token. One that ends soon, or that the bank refuses, is renewed first: once, however many
 * requests of however many processes need it. A bank that says `invalid_grant` has ended the consent: it is revoked, and
 * `Refusal('consent_revoked')` thrown. Whatever else goes wrong is `BankUnavailable` and changes nothing.
 */
export async function withBankToken<T>(
  broker: Broker,
  use: BankTokenUse,
  call: (accessToken: string) => Promise<T>,
): Promise<T> {
  const held = openTokens(use.key, use.row)
  const tokens = isLive(held, broker.now()) ? held : await renew(broker, use, held)
  try {
    return await call(tokens.access_token)
  } catch (error) {
    if (!isRefused(error, 'invalid_token')) throw error
  }
  const renewed = await renew(broker, use, tokens)
  try {
    return await call(renewed.access_token)
  } catch (error) {
    if (!isRefused(error, 'invalid_token')) throw error
    throw new BankUnavailable('bad_answer', 'the bank refuses the token that it has just issued')
  }
}

function isLive({ expires, refresh_token }: BankTokens, now: number): boolean {
  return expires - (refresh_token === undefined ? 0 : limits.early_ms) > now
}

const isRefused = (error: unknown, why: BankRefused['why']): boolean =>
  error instanceof BankRefused && error.why === why

/** What one process has under way: renewals by the token that they replace, and a queue for each bank. */
interface Renewals {
  readonly running: Map<string, Promise<BankTokens>>
  readonly queues: Map<string, ReturnType<typeof atMost>>
}

const renewalsOf = new WeakMap<Broker, Renewals>()

function renew(broker: Broker, use: BankTokenUse, stale: BankTokens): Promise<BankTokens> {
  const renewals = renewalsOf.get(broker) ?? { running: new Map(), queues: new Map() }
  renewalsOf.set(broker, renewals)
  const { running, queues } = renewals
  const queue = queues.get(use.bank) ?? queueFor(use.bank)
  queues.set(use.bank, queue)
  const name = `${use.row.id} ${stale.access_token}`
  const renewal =
    running.get(name) ??
    queue(() => renewLocked(broker, use, stale)).finally(() => running.delete(name))
  running.set(name, renewal)
  return renewal
}

const queueFor = (bank: string) =>
  atMost(limits.renewals_per_bank_max, {
    waiting_max: limits.renewals_waiting_max,
    full: () => new BankUnavailable('timeout', `too many tokens of ${bank} wait to be renewed`),
  })

/** Renews under the row's lock. Whoever waited for the lock finds the work done. */
async function renewLocked(
  broker: Broker,
  use: BankTokenUse,
  stale: BankTokens,
): Promise<BankTokens> {
  const place = { bank: use.bank, id: use.row.id, linkId: use.linkId }
  try {
    return await inBank(broker.askingDb, use.bank, async (tx) => {
      await allowIdle(tx, limits.renewal_idle_ms)
      const row = await lockBankToken(tx, place)
      if (row === undefined) throw new Refusal('consent_revoked')
      const current = openTokens(use.key, row)
      if (current.access_token !== stale.access_token) return current
      if (current.refresh_token === undefined)
        throw new BankUnavailable('bad_answer', 'the bank gave nothing to renew its token with')
      const renewed = await broker.bankPort.refresh(bankNamed(broker, use.bank), current)
      await replaceBankToken(tx, place, sealTokens(use.key, row.id, renewed))
      return renewed
    })
  } catch (error) {
    if (isRefused(error, 'invalid_grant')) return endedByBank(broker, use)
    throw error
  }
}

/** A consent that was replaced meanwhile has another token, and does not end with this one. */
async function endedByBank(broker: Broker, use: BankTokenUse): Promise<never> {
  const { bank, consentId, row } = use
  await revokeConsent(broker, {
    bank,
    consentId,
    by: 'bank',
    reason: 'BUSINESS_RULE',
    bankTokenId: row.id,
  })
  throw new Refusal('consent_revoked')
}
