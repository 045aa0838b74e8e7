import { beginExport, exportBytes } from '../src/broker/export_entries.ts'
import { indexLedger } from '../src/broker/index_ledger.ts'
import type { AuditFilter } from '../src/ledger/audit_filter.ts'
import { indexProgress } from '../src/storage/audit_index.ts'
import { searchEntries } from '../src/storage/audit_search.ts'
import { readLeaves } from '../src/storage/ledgers.ts'
import { bank, type Appending } from './append.ts'
import { median, quantile } from './statistics.ts'

const rounds = 100
const exports_made = 3
const page_entries = 50

export interface AuditFigures {
  readonly audit_query: {
    /** Of a page of 50 entries in a ledger of a million, over all shapes of questions. */
    readonly p99_ms: number
    /** The same, over that in a ledger of ten thousand. */
    readonly p99_growth: number
  }
  /** Entries a second of an export of everything. */
  readonly export_per_s: number
}

/** Asks a small ledger and a large one the same questions in turn, and exports the large one. */
export async function measureAudit({
  small,
  large,
}: Readonly<Record<'small' | 'large', Appending>>): Promise<AuditFigures> {
  const ledgers = [await opened(small), await opened(large)] as const
  const times: [number[], number[]] = [[], []]
  for (let round = 0; round < rounds; round++)
    for (const [i, ledger] of ledgers.entries())
      for (const ask of shapes(ledger)) {
        const began = performance.now()
        await ask()
        times[i]?.push(performance.now() - began)
      }
  const [p99_small, p99_ms] = [quantile(times[0], 0.99), quantile(times[1], 0.99)]
  return {
    audit_query: { p99_ms, p99_growth: p99_ms / p99_small },
    export_per_s: await exportRate(large),
  }
}

interface Indexed extends Appending {
  readonly size: number
  readonly consents: readonly string[]
}

/** Everything signed and indexed, and some consents that the ledger names. */
async function opened(of: Appending): Promise<Indexed> {
  await of.broker.signer.sign(bank)
  await indexLedger(of.broker, bank)
  const { size } = await indexProgress(of.broker.db, bank)
  const leaves = await readLeaves(of.broker.db, bank, { from: 0, to: 400 })
  const consents = leaves.flatMap((leaf) => {
    const { body } = JSON.parse(leaf.toString())
    return typeof body.consent === 'string' ? [body.consent] : []
  })
  return { ...of, size, consents }
}

/** A question by one thing, by several, by several that few entries are, and the page far behind the first. */
function shapes({ broker, size, consents }: Indexed): (() => Promise<unknown>)[] {
  const ask = async (filter: AuditFilter, after?: number) => {
    const ns = await searchEntries(broker.db, bank, {
      ...{ filter, size, order: 'desc', limit: page_entries },
      ...(after === undefined ? {} : { after }),
    })
    await readLeaves(broker.db, bank, { at: ns.toSorted((a, b) => a - b) })
  }
  const consent = consents[Math.floor(Math.random() * consents.length)] ?? ''
  return [
    () => ask({ kind: 'release' }),
    () => ask({ consent, kind: 'release', class: 'messaging_platform', cluster: 'BALANCES' }),
    () => ask({ kind: 'consent.grant', recipient: 'messenger' }),
    () => ask({ kind: 'release' }, Math.floor(size / 10)),
  ]
}

async function exportRate({ broker }: Appending): Promise<number> {
  const rates: number[] = []
  for (let i = 0; i < exports_made; i++) {
    const asked = await beginExport(broker, bank, { actor: 'bench', filter: {}, format: 'ndjson' })
    const began = performance.now()
    let bytes = 0
    for await (const piece of exportBytes(broker, bank, { asked })) bytes += piece.length
    if (bytes === 0) throw new Error('an export was empty')
    const seconds = (performance.now() - began) / 1_000
    rates.push((asked.range.to - asked.range.from) / seconds)
  }
  return median(rates)
}
