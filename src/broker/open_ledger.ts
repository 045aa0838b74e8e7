import { allowedPurposes } from '../consent/purpose.ts'
import { refusalReasons } from '../consent/refusal.ts'
import { kinds, writeEntry, type Ending, type Entry } from '../ledger/entry.ts'
import { countsOf, noTotals, totalNames } from '../ledger/totals.ts'
import { appendSum, emptySumEdge, sumLeaf } from '../merkle/sum_tree.ts'
import { append, emptyEdge, leafHash } from '../merkle/tree.ts'
import { inBank } from '../storage/database.ts'
import { random128 } from '../storage/ids.ts'
import { insertLedger } from '../storage/ledgers.ts'
import { nodeHasher } from '../storage/node_crypto.ts'
import { lockSigned } from '../storage/signed.ts'
import { ledgerOrigin, type Broker } from './broker.ts'
import { rootText } from './signing.ts'

/** A ledger cannot be opened as asked; the message says what stands in the way. */
export class LedgerNotOpened extends Error {
  override readonly name = 'LedgerNotOpened'
}

/**
 * Opens a bank's ledger: its mark, its lock, and its first entry. Done once, on purpose, by the operator: a broker never makes a
 * ledger on its own, since a database that lost one would otherwise begin it anew. `predecessor` is the end of the ledger that it follows, if
 * any. False when it is open already. Throws
 * `LedgerNotOpened` when a mark shows that this origin had a ledger before.
 */
export async function openLedger(
  broker: Broker,
  bankId: string,
  { predecessor }: { predecessor?: Ending | undefined } = {},
): Promise<boolean> {
  const bank = broker.bankPort.banks.get(bankId)
  const vkey = broker.keys.get(bankId)?.vkey
  if (bank === undefined || vkey === undefined)
    throw new LedgerNotOpened(`no bank ${bankId} is in the directory`)
  const origin = ledgerOrigin(broker.issuer, bankId)
  const at = new Date(broker.now()).toISOString()
  const genesis: Entry = {
    v: 1,
    n: 0,
    at,
    kind: 'genesis',
    body: {
      bank: bankId,
      bank_key: bank.key,
      kinds,
      lei: bank.lei,
      origin,
      ...(predecessor === undefined ? {} : { predecessor }),
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
  const sums = { names: totalNames, edge: emptySumEdge() }
  appendSum(nodeHasher, sums.edge, sumLeaf(nodeHasher, countsOf(sums.names, genesis), hash))
  return inBank(broker.db, bankId, async (tx) => {
    const first = {
      origin,
      vkey,
      at,
      leaf,
      hash,
      edge,
      sums,
      totals: noTotals,
      closed: false,
      draftId: random128(),
    }
    if (!(await insertLedger(tx, bankId, first))) return false
    // Before the commit: a mark without a ledger is refused above and can be looked into, a ledger without a mark never signs.
    if (!(await broker.marks.replace(origin, undefined, { size: 1, root: rootText(edge) })))
      throw new LedgerNotOpened(
        `${origin} is marked already: it had a ledger before, which must be restored, not begun anew`,
      )
    return true
  })
}

/**
 * Sets the mark of an open ledger whose marks were lost, at what is committed now. It gives up the protection that the lost
 * mark gave: only for an operator who knows that the database was not rolled back. False when there is a mark.
 */
export async function initMark(broker: Broker, bankId: string): Promise<boolean> {
  const unsigned = await inBank(broker.db, bankId, (tx) => lockSigned(tx, bankId))
  if (unsigned === undefined) throw new LedgerNotOpened(`${bankId} has no ledger`)
  const { origin, head } = unsigned
  return broker.marks.replace(origin, undefined, { size: head.size, root: rootText(head) })
}
