import { allowedPurposes } from '../consent/purpose.ts'
import { refusalReasons } from '../consent/refusal.ts'
import { kinds, writeEntry, type Entry } from '../ledger/entry.ts'
import { noTotals, totalNames } from '../ledger/totals.ts'
import { append, emptyEdge, leafHash } from '../merkle/tree.ts'
import { inBank, type Database } from '../storage/database.ts'
import type { MarkStore } from '../storage/marks.ts'
import { insertLedger } from '../storage/ledgers.ts'
import { nodeHasher } from '../storage/node_crypto.ts'
import type { Bank } from './bank_port.ts'
import { random128 } from './ids.ts'
import { rootText } from './signing.ts'

/**
 * Opens a bank's ledger: its lock, its first entry, and its mark. Done once, on purpose, by the operator: a broker never makes
 * a ledger on its own, since a database that lost one would otherwise begin it anew. Returns false when it is open already.
 */
export async function openLedger(
  db: Database,
  {
    bank,
    origin,
    vkey,
    marks,
    now,
  }: { bank: Bank; origin: string; vkey: string; marks: MarkStore; now: number },
): Promise<boolean> {
  const at = new Date(now).toISOString()
  const genesis: Entry = {
    v: 1,
    n: 0,
    at,
    kind: 'genesis',
    body: {
      bank: bank.id,
      bank_key: bank.key,
      kinds,
      lei: bank.lei,
      origin,
      purposes: allowedPurposes,
      reasons: refusalReasons,
      totals: totalNames,
      vkey,
    },
    totals: noTotals,
  }
  const leaf = Buffer.from(writeEntry(genesis))
  const hash = leafHash(nodeHasher, leaf)
  const edge = emptyEdge()
  append(nodeHasher, edge, hash)
  const opened = await inBank(db, bank.id, (tx) =>
    insertLedger(tx, bank.id, {
      origin,
      vkey,
      at,
      leaf,
      hash,
      edge,
      totals: noTotals,
      draftId: random128(),
    }),
  )
  if (!opened) return false
  if (!(await marks.replace(origin, undefined, { size: 1, root: rootText(edge) })))
    throw new Error(`a mark for ${origin} exists already: this origin had a ledger before`)
  return true
}
