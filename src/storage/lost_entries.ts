import { tileWidth } from '../merkle/tiles.ts'

/** Entries that the ledger signed can be had nowhere. The message names the bank and their indexes. */
export class EntriesLost extends Error {
  override readonly name = 'EntriesLost'
}

/** What a process has found lost of its ledgers, until it is started again. */
export interface LostEntries {
  /** Notes entries that were looked for and are nowhere. An alarm, once for each 256 indexes of a ledger, however often one looks. */
  note(bank: string, lost: { readonly ns: readonly number[]; readonly why: string }): void
  /** What was said first of a bank's; undefined when nothing is known to be lost. */
  whyOf(bank: string): string | undefined
}

/** Runs of indexes that an alarm names. */
const runs_max = 4

export function openLostEntries(alarm: (bank: string, why: string) => void): LostEntries {
  const noted = new Set<string>()
  const first = new Map<string, string>()
  return {
    note(bank, { ns, why }) {
      const fresh = ns.filter((n) => !noted.has(placeOf(bank, n)))
      if (fresh.length === 0) return
      for (const n of fresh) noted.add(placeOf(bank, n))
      const said = lostWords(fresh, why)
      if (!first.has(bank)) first.set(bank, said)
      alarm(bank, said)
    },
    whyOf: (bank) => first.get(bank),
  }
}

const placeOf = (bank: string, n: number) => `${bank} ${Math.floor(n / tileWidth)}`

/** Which entries are lost, for people. */
export function lostWords(ns: readonly number[], why: string): string {
  const runs: { from: number; to: number }[] = []
  for (const n of ns.toSorted((a, b) => a - b)) {
    const last = runs.at(-1)
    if (last?.to === n - 1) last.to = n
    else runs.push({ from: n, to: n })
  }
  const named = runs
    .slice(0, runs_max)
    .map(({ from, to }) => (from === to ? `entry ${from}` : `entries ${from} to ${to}`))
  const more = runs.length > runs_max ? ', and others' : ''
  return `lost: ${named.join(', ')}${more}: ${why}`
}
