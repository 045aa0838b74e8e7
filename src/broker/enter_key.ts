import { keyUses, misuse, type KeyOwner, type KeyUse } from '../ledger/key.ts'
import type { Broker } from './broker.ts'

/**
 * Enters in a bank's ledger that a key is put to a use; nothing, where it was put to this use, or past it, before, or the ledger is closed. So any number
 * of processes may enter the same step, and a process that died at it does no harm. Throws where the rule `key` forbids it.
 */
export async function enterKey(
  broker: Broker,
  bank: string,
  { of, key, use }: { of: KeyOwner; key: string; use: KeyUse },
): Promise<void> {
  await broker.door.append(bank, {
    names: { keys: true },
    decide({ closed, keys }) {
      if (closed) return {}
      const before = keys[of].get(key)
      if (before !== undefined && keyUses.indexOf(before) >= keyUses.indexOf(use)) return {}
      const refused = misuse(keys[of], { key, use })
      if (refused !== undefined) throw new Error(`the key ${key} cannot be ${use}: ${refused}`)
      return {
        entry: { kind: 'key', body: { key, of, use } },
        effects: [{ kind: 'key.save', of, key, use }],
      }
    },
  })
}
