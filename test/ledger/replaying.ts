import { replayEntry, startReplay, Violation, type Replay } from '../../src/ledger/replay.ts'
import { verifyJws } from '../../src/storage/jws.ts'
import {
  decodeEntry,
  encodeEntry,
  openLedger,
  type LedgerBuilder,
} from '../support/ledger_builder.ts'

/** The state after these entries. Throws the first violation. */
export function replayAll(entries: readonly Uint8Array[]): Replay {
  const state = startReplay()
  for (const bytes of entries) replayEntry(state, bytes, verifyJws)
  return state
}

/** The first rule that these entries break, and where; undefined when they break none. */
export function violationOf(entries: readonly Uint8Array[]): Violation | undefined {
  try {
    replayAll(entries)
    return undefined
  } catch (error) {
    if (error instanceof Violation) return error
    throw error
  }
}

/** A ledger with one approved recipient and one active consent. */
export function started(): { ledger: LedgerBuilder; consent: string } {
  const ledger = openLedger()
  ledger.approve()
  return { ledger, consent: ledger.grant() }
}

/** Changes the last entry. */
export function tamper(
  ledger: LedgerBuilder,
  change: (entry: ReturnType<typeof decodeEntry>) => void,
) {
  const entry = decodeEntry(ledger.entries.pop() ?? new Uint8Array())
  change(entry)
  ledger.entries.push(encodeEntry(entry))
}
