import type { Draft } from '../ledger/entry.ts'
import { countsOf } from '../ledger/totals.ts'
import { appendSum, sumLeaf } from '../merkle/sum_tree.ts'
import { append, leafHash } from '../merkle/tree.ts'
import type { LedgerState } from '../storage/ledger_state.ts'
import { nodeHasher } from '../storage/node_crypto.ts'

/**
 * Adds an entry's leaf to a ledger's two trees, in place. They complete the same subtrees; `raised` is which total of the sum tree
 * the entry raises, by its place, and by how much.
 */
export function growTrees(
  { edge, sums }: Pick<LedgerState, 'edge' | 'sums'>,
  draft: Draft,
  leaf: Uint8Array,
) {
  const hash = leafHash(nodeHasher, leaf)
  const counts = countsOf(sums.names, draft)
  const summed = appendSum(nodeHasher, sums.edge, sumLeaf(nodeHasher, counts, hash))
  const completed = append(nodeHasher, edge, hash).flatMap((subtree, i) => {
    const sum = summed[i]?.node
    return sum === undefined ? [] : [{ ...subtree, sum }]
  })
  const total = counts.findIndex((count) => count > 0)
  return { hash, completed, raised: total < 0 ? undefined : { total, by: counts[total] ?? 0 } }
}
