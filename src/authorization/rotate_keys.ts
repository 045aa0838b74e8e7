import type { JsonWebKey } from 'node:crypto'
import type { Broker } from '../broker/broker.ts'
import { enterKey } from '../broker/enter_key.ts'
import { keyUses, type Keys, type KeyUse } from '../ledger/key.ts'
import { findLedgerKeys } from '../storage/ledger_keys.ts'
import {
  insertTokenKey,
  listTokenKeys,
  moveTokenKey,
  openTokenKeyJwks,
  type TokenKeyRow,
} from '../storage/token_keys.ts'
import { token_s_max } from './access_token.ts'
import { jwks_s_max, openTokenKeys, type LiveTokenKeys } from './keys.ts'

/** For how long keys wait, in seconds. */
export interface Timing {
  /** From being published to signing: whoever keeps the JWKS knows the key by then. */
  readonly lead_s: number
  /** From the next key's first signature to being retired: nothing that it signed is good any more. */
  readonly hold_s: number
}

/** Processes read keys every few seconds; a minute is for those that are slow, and for clocks. */
const slack_s = 60

export const usualTiming: Timing = {
  lead_s: jwks_s_max + slack_s,
  hold_s: token_s_max + jwks_s_max + slack_s,
}

/** A rotation has begun and its key does not sign yet. */
export class RotationUnderWay extends Error {
  override readonly name = 'RotationUnderWay'
}

/**
 * The keys of tokens as they are now, the signing one first. Makes the first where there never was one: it signs at once, since
 * nobody can have kept a JWKS without it.
 */
export async function readTokenKeys(broker: Broker): Promise<readonly JsonWebKey[]> {
  await insertTokenKey(broker.db, broker.vault, { onlyFirst: true })
  await moveTokenKeys(broker)
  return openTokenKeyJwks(broker.db, broker.vault)
}

/** The same, for a process that goes on: it follows every rotation. */
export async function startTokenKeys(broker: Broker): Promise<LiveTokenKeys> {
  await readTokenKeys(broker)
  return openTokenKeys(() => openTokenKeyJwks(broker.db, broker.vault))
}

/**
 * Begins a rotation: a new key is made, entered in every ledger as `next`, and published. From there any running process moves
 * it on, and retires the one before it. `now` waits for nothing, for a key that was stolen: what it signed ends with it.
 * Throws `RotationUnderWay` when another has begun one; with `now`, that one is brought to its end.
 */
export async function rotateTokenKeys(
  broker: Broker,
  { now = false }: { now?: boolean } = {},
): Promise<readonly TokenKeyRow[]> {
  const made = await insertTokenKey(broker.db, broker.vault)
  if (made === undefined && !now)
    throw new RotationUnderWay('a rotation is under way: its key does not sign yet')
  await moveTokenKeys(broker, now ? { lead_s: 0, hold_s: 0 } : usualTiming)
  return listTokenKeys(broker.db)
}

/**
 * Takes every step of a rotation that is due. A step is entered in each bank's ledger first and then taken, so whoever dies between
 * the two leaves it to the next who calls this, and any number of processes may. A ledger that was opened since is told of the
 * keys that are in use.
 */
export async function moveTokenKeys(broker: Broker, timing: Timing = usualTiming): Promise<void> {
  for (;;) {
    const rows = await listTokenKeys(broker.db)
    const due = dueStep(rows, timing)
    const uses = new Map(rows.map(({ kid, use }) => [kid, due?.kid === kid ? due.use : use]))
    for (const bank of broker.bankPort.banks.keys())
      for (const step of missing(await findLedgerKeys(broker.db, bank, 'tokens'), uses))
        await enterKey(broker, bank, { of: 'tokens', ...step })
    if (due === undefined) return
    await moveTokenKey(broker.db, due)
  }
}

interface Step {
  readonly key: string
  readonly use: KeyUse
}

/** The next step that is due, if one is. */
export function dueStep(
  rows: readonly TokenKeyRow[],
  { lead_s, hold_s }: Timing,
): { kid: string; use: KeyUse } | undefined {
  const active = rows.filter(({ use }) => use === 'active')
  const newest = active.at(-1)
  for (const { kid, use, since_s } of rows) {
    if (use === undefined) return { kid, use: 'next' }
    if (use === 'next' && (newest === undefined || since_s >= lead_s)) return { kid, use: 'active' }
    if (use === 'active' && kid !== newest?.kid && (newest?.since_s ?? 0) >= hold_s)
      return { kid, use: 'retired' }
  }
  return undefined
}

/** What a ledger lacks of these uses, in an order that it can be entered in. Keys that were retired before its time it never knew. */
function missing(known: Keys, uses: ReadonlyMap<string, KeyUse | undefined>): Step[] {
  const steps = [...uses].flatMap(([key, use]) => {
    const before = known.get(key)
    if (use === undefined || (use === 'retired' && before === undefined)) return []
    const from = before === undefined ? 0 : keyUses.indexOf(before) + 1
    return keyUses.slice(from, keyUses.indexOf(use) + 1).map((one) => ({ key, use: one }))
  })
  const last = ({ use }: Step) => use === 'retired'
  return [...steps.filter((step) => !last(step)), ...steps.filter(last)]
}
