import { keyOwners } from '../ledger/key.ts'
import type { Replay } from '../ledger/replay.ts'
import type { SumEdge } from '../merkle/sum_tree.ts'
import type { RightEdge } from '../merkle/tree.ts'
import { saveApproval } from './approvals.ts'
import type { Tx } from './database.ts'
import { insertHead } from './ledger_head.ts'
import { saveKey } from './ledger_keys.ts'
import { insertConsents, type RebuiltConsent } from './rebuilt_consents.ts'
import { keepCheckpoint, saveSigned } from './signed.ts'

/** The state that follows from the entries, in one transaction with the head: before it nothing lives, after it all of it does. */
export async function insertState(
  tx: Tx,
  bank: string,
  {
    state,
    edge,
    sums,
    vkey,
    notes,
    consents,
  }: {
    state: Replay
    edge: RightEdge
    sums: { readonly names: readonly string[]; readonly edge: SumEdge }
    vkey: string
    /** All checkpoints that are known, the newest last. */
    notes: readonly { readonly size: number; readonly note: string }[]
    consents: readonly RebuiltConsent[]
  },
): Promise<void> {
  const { at, closed, genesis, totals } = state
  const head = { origin: genesis?.origin ?? '', vkey, at, edge, sums, totals, closed }
  if (!(await insertHead(tx, bank, head))) throw new Error(`${bank} has a ledger`)
  await saveSigned(tx, bank, { edge, note: notes.at(-1)?.note ?? '' })
  for (const one of notes) await keepCheckpoint(tx, bank, one)
  for (const one of state.approvals.values()) await saveApproval(tx, bank, one)
  for (const owner of keyOwners)
    for (const [key, use] of state.keys[owner]) await saveKey(tx, bank, { owner, key, use })
  await insertConsents(tx, bank, consents)
}
