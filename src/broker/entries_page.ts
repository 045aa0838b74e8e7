import { searchEntries, type Search } from '../storage/audit_search.ts'
import { readLeaves } from '../storage/ledgers.ts'
import type { Broker } from './broker.ts'

/** Entries that a search found, in its order, as their bytes. `last` is where the next page goes on, if there is one. */
export interface EntriesPage {
  readonly found: readonly { readonly n: number; readonly leaf: Buffer }[]
  readonly last?: number
}

/** One page of a search, of at most `limit` entries. Throws `IndexBehind`, or `ArchiveUnavailable` for entries that were detached. */
export async function entriesPage(
  { db }: Broker,
  bank: string,
  search: Search,
): Promise<EntriesPage> {
  const indexes = await searchEntries(db, bank, { ...search, limit: search.limit + 1 })
  const ns = indexes.slice(0, search.limit)
  const ascending = ns.toSorted((a, b) => a - b)
  const leaves = await readLeaves(db, bank, { at: ascending })
  const byIndex = new Map(leaves.map((leaf, i) => [ascending[i], leaf]))
  const last = indexes.length > search.limit ? ns.at(-1) : undefined
  return {
    found: ns.map((n) => ({ n, leaf: byIndex.get(n) ?? missing(bank, n) })),
    ...(last === undefined ? {} : { last }),
  }
}

function missing(bank: string, n: number): never {
  throw new Error(`${bank} has no entry ${n}`)
}
