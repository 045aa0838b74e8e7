import type { Filters } from './filters.ts'
import { writeFilters } from './filters.ts'
import type { Counted, Step } from './charted.ts'
import { bytesOfListed } from './listed.ts'
import { ask, askJson, askText, NotServed } from './served.ts'

/** The answers of the Audit API that the console reads, as openapi.yaml describes them. Nothing in them is believed unproven. */

/** An entry as it is listed: what its bytes say, read by the server. */
export interface ListedEntry {
  readonly n: number
  readonly at?: string
  readonly kind: string
  readonly code: string
  readonly sentence: string
  readonly body: Readonly<Record<string, unknown>>
  readonly totals: Readonly<Record<string, number>>
}

/** One page of a search. */
export interface EntriesPage {
  readonly entries: readonly ListedEntry[]
  /** How far the index reaches: entries from here on are not searched yet. */
  readonly size: number
  readonly signed_size: number
  /** The `access` entry that records this question. */
  readonly access: number
  /** Where the next page begins, if there are more. */
  readonly page: { readonly next_cursor?: string }
}

/** One entry: the bytes that it must have if it says what it is said to say, and a tlog-proof for its index. */
export interface OneEntry {
  readonly bytes: Uint8Array
  readonly proof: string
}

export const page_limit = 50

export function searchEntries(
  bank: string,
  { filters, cursor, limit = page_limit }: { filters: Filters; cursor?: string; limit?: number },
  signal?: AbortSignal,
): Promise<EntriesPage> {
  const query = writeFilters(filters)
  query.set('limit', String(limit))
  if (cursor !== undefined) query.set('cursor', cursor)
  return askJson<EntriesPage>(`/audit/${bank}/entries?${query}`, signal)
}

/** Reads one entry and its proof. Throws `NotServed` 404 where there is none that is signed and indexed. */
export async function readOneEntry(
  bank: string,
  index: number,
  signal?: AbortSignal,
): Promise<OneEntry> {
  const filters = { from_index: String(index), to_index: String(index + 1) }
  const [found, proof] = await Promise.all([
    searchEntries(bank, { filters, limit: 1 }, signal),
    askText(`/ledger/${bank}/proof/${index}`, signal),
  ])
  const [entry] = found.entries
  const bytes = entry && bytesOfListed(entry)
  if (bytes === undefined) throw new NotServed(404, `There is no entry ${index} yet.`)
  return { bytes, proof }
}

/** Counts over time, of releases and of refusals. */
export interface SeriesAnswer {
  readonly releases: readonly Counted[]
  readonly refusals: readonly Counted[]
}

export async function readSeries(
  bank: string,
  { range, step, by }: { range: { from: string; to: string }; step: Step; by: string },
  signal?: AbortSignal,
): Promise<SeriesAnswer> {
  const query = new URLSearchParams({ ...range, step, by })
  return askJson<SeriesAnswer>(`/audit/${bank}/series?${query}`, signal)
}

export type ExportFormat = 'ndjson' | 'csv'

/** Begins an export and gives its id, under which it is then saved: the body of this answer is not read. */
export async function beginExport(
  bank: string,
  { filters, format }: { filters: Filters; format: ExportFormat },
  signal?: AbortSignal,
): Promise<string> {
  const query = writeFilters(filters)
  query.delete('order')
  query.set('format', format)
  const answer = await ask(`/audit/${bank}/export?${query}`, signal)
  await answer.body?.cancel()
  const id = answer.headers.get('countersign-export')
  if (id === null) throw new NotServed(502, 'The server named no export.')
  return id
}

/** Where a report on a range is read from. */
export const reportAddress = (
  bank: string,
  { range, format }: { range: { from: string; to: string }; format: 'json' | 'html' },
): string => `/audit/${bank}/report?${new URLSearchParams({ ...range, format })}`
