import { tileWidth } from '../merkle/tiles.ts'

/** Entries that the ledger signed can be had nowhere. The message names the bank and their indexes. */
export class EntriesLost extends Error {
  override readonly name = 'EntriesLost'
}

/** What a process has found lost of its ledgers, as long as it is. */
export interface LostEntries {
  /**
   * Notes entries that were looked for and cannot be had. An alarm, once for each 256 indexes of a ledger and each reason, however
   * often one looks.
   */
  note(bank: string, lost: { readonly ns: readonly number[]; readonly why: string }): void
  /** Takes back what was noted of entries that were read after all. */
  found(bank: string, ns: Iterable<number>): void
  /** Some of a bank's that are known to be lost, at most 256; undefined when none are. */
  someOf(bank: string): { readonly ns: readonly number[]; readonly why: string } | undefined
}

/** Runs of indexes that an alarm names. */
const runs_max = 4

export function openLostEntries(alarm: (bank: string, why: string) => void): LostEntries {
  interface Noted {
    readonly bank: string
    readonly why: string
    readonly ns: Set<number>
  }
  const all = new Map<string, Noted>()
  return {
    note(bank, { ns, why }) {
      const fresh = ns.filter((n) => !all.has(nameOf(bank, n, why)))
      for (const n of ns) {
        const name = nameOf(bank, n, why)
        const noted = all.get(name) ?? { bank, why, ns: new Set() }
        all.set(name, noted)
        noted.ns.add(n)
      }
      if (fresh.length > 0) alarm(bank, lostWords(fresh, why))
    },
    found(bank, ns) {
      if (all.size === 0) return
      const read = new Set(ns)
      for (const [name, noted] of all) {
        if (noted.bank !== bank) continue
        for (const n of noted.ns) if (read.has(n)) noted.ns.delete(n)
        if (noted.ns.size === 0) all.delete(name)
      }
    },
    someOf(bank) {
      const noted = [...all.values()].find((one) => one.bank === bank)
      return noted && { ns: [...noted.ns], why: noted.why }
    },
  }
}

const nameOf = (bank: string, n: number, why: string) =>
  JSON.stringify([bank, Math.floor(n / tileWidth), why])

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
