import { growTrees } from '../broker/grow_trees.ts'
import { consentOf, type RevocationReason } from '../ledger/entry.ts'
import { replayEntry, startReplay, type Replay } from '../ledger/replay.ts'
import type { Checkpoint } from '../merkle/checkpoint.ts'
import { emptySumEdge, type SumEdge } from '../merkle/sum_tree.ts'
import { tileWidth, widthAt } from '../merkle/tiles.ts'
import { emptyEdge, type RightEdge } from '../merkle/tree.ts'
import type { Database } from '../storage/database.ts'
import { verifyJws } from '../storage/jws.ts'
import { insertRebuilt, type RebuiltEntry } from '../storage/rebuilt_entries.ts'
import { readEntries, type LedgerSource } from '../verifier/source.ts'

/** What the entries of a ledger amount to, for a head that goes on from them. */
export interface Rebuilt {
  readonly state: Replay
  readonly edge: RightEdge
  readonly sums: { readonly names: readonly string[]; readonly edge: SumEdge }
  readonly revocationReasons: ReadonlyMap<string, RevocationReason>
}

/** How many bundles of 256 entries are stored in one transaction. */
const bundles_at_once = 8

/** Stores the entries of a ledger that was verified, replaying them once more for what follows from them. Nothing lives yet. */
export async function rebuildEntries(
  db: Database,
  bank: string,
  { source, checkpoint: { size } }: { source: LedgerSource; checkpoint: Checkpoint },
): Promise<Rebuilt> {
  const head = startHead()
  const reasons = new Map<string, RevocationReason>()
  const bundles = Math.ceil(size / tileWidth)
  for (let first = 0; first < bundles; first += bundles_at_once) {
    const count = Math.min(bundles_at_once, bundles - first)
    const read = await Promise.all(
      Array.from({ length: count }, (_, i) => {
        const place = { level: 0, index: first + i }
        return readEntries(source, { ...place, level: 'entries', width: widthAt(size, place) })
      }),
    )
    const entries: RebuiltEntry[] = []
    const subtrees: ReturnType<typeof growTrees>['completed'][number][] = []
    for (const bytes of read.flat()) {
      const { entry, completed, body } = growHead(head, bytes)
      entries.push(entry)
      subtrees.push(...completed)
      if (body.kind === 'consent.revoke') reasons.set(body.body.consent, body.body.reason)
    }
    await insertRebuilt(db, bank, { entries, subtrees })
  }
  return { ...head, revocationReasons: reasons }
}

/** A head before its first entry. */
function startHead(): {
  state: Replay
  edge: RightEdge
  sums: { names: readonly string[]; edge: SumEdge }
} {
  return { state: startReplay(), edge: emptyEdge(), sums: { names: [], edge: emptySumEdge() } }
}

/** Adds the next entry to a head: by the rules, and to both trees. */
function growHead(head: ReturnType<typeof startHead>, bytes: Uint8Array) {
  const entry = replayEntry(head.state, bytes, verifyJws)
  if (entry.kind === 'genesis') head.sums.names = entry.body.totals
  const leaf = Uint8Array.from(bytes)
  const { hash, completed, raised } = growTrees(head, entry, leaf)
  const { n, kind, at } = entry
  return {
    body: entry,
    completed,
    entry: { n, kind, at, consent: consentOf(entry), leaf, hash, raised },
  }
}
