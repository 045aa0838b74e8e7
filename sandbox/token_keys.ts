import { tokenKeysOf, type TokenKeys } from '../src/authorization/keys.ts'
import { readTokenKeys } from '../src/authorization/rotate_keys.ts'
import type { Broker } from '../src/broker/broker.ts'

/** The keys of tokens as they are now, for a crowd that makes its own tokens while nobody rotates. */
export const tokenKeysNow = async (broker: Broker): Promise<TokenKeys> =>
  tokenKeysOf(await readTokenKeys(broker))
