/** Whose keys a `key` entry speaks of: those that sign the ledger's checkpoints, or those that sign our tokens. */
export const keyOwners = ['ledger', 'tokens'] as const

export type KeyOwner = (typeof keyOwners)[number]

/**
 * What a key is for from an entry on. `next`: it is published and signs nothing; `active`: it signs, alone or beside another;
 * `retired`: it signs no more, and what it signed is good for nothing more that is short-lived. A key goes this way once.
 */
export const keyUses = ['next', 'active', 'retired'] as const

export type KeyUse = (typeof keyUses)[number]

/** The keys of one owner, by name, with the use that each was put to last. */
export type Keys = ReadonlyMap<string, KeyUse>

/** Why a key cannot be put to this use now, or undefined: published before it signs, and never the last one retired. */
export function misuse(keys: Keys, { key, use }: { key: string; use: KeyUse }): string | undefined {
  const before = keys.get(key)
  switch (use) {
    case 'next':
      return before === undefined ? undefined : 'it was published before'
    case 'active':
      return before === 'next' ? undefined : 'it is not the next key, published before'
    case 'retired':
      if (before !== 'active') return 'it is not active'
      return activeKeys(keys).length > 1 ? undefined : 'no other key is active'
  }
}

/** The keys that sign. */
export const activeKeys = (keys: Keys): string[] =>
  [...keys].flatMap(([key, use]) => (use === 'active' ? [key] : []))

/** Whether this can be the name of a key: the verifier key of this ledger, or the RFC 7638 thumbprint of a key of tokens. */
export const isKeyName = (of: KeyOwner, key: string, origin: string): boolean =>
  of === 'ledger' ? key.startsWith(`${origin}+`) : /^[A-Za-z0-9_-]{43}$/.test(key)
