import type { LinkKey } from './vault.ts'

/** The bank's account behind a handle of the consent. */
export interface HeldAccount {
  readonly handle: string
  readonly bankAccountId: string
  /** As shown to the customer, masked. */
  readonly display: string
}

const about = (linkId: string): string => `accounts ${linkId}`

/** A consent's accounts as its row keeps them: sealed under the key of its link. */
export function sealAccounts(key: LinkKey, linkId: string, held: readonly HeldAccount[]): Buffer {
  return key.seal(held, about(linkId))
}

/** Opens what `sealAccounts` sealed. */
export function openAccounts(key: LinkKey, linkId: string, sealed: Buffer): HeldAccount[] {
  const held = key.open(sealed, about(linkId))
  if (!Array.isArray(held) || !held.every(isHeldAccount))
    throw new Error('not the accounts of a consent')
  return held
}

function isHeldAccount(value: unknown): value is HeldAccount {
  return (
    typeof value === 'object' &&
    value !== null &&
    'handle' in value &&
    typeof value.handle === 'string' &&
    'bankAccountId' in value &&
    typeof value.bankAccountId === 'string' &&
    'display' in value &&
    typeof value.display === 'string'
  )
}
