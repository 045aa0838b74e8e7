import type { Filters } from './filters.ts'
import { writeFilters } from './filters.ts'
import { decodeBase64 } from '../../merkle/encoding.ts'
import { unsaid_key, type Counted, type Step } from './charted.ts'
import { ask, askJson, NotServed } from './served.ts'

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

/** One entry: its exact bytes in base64, and a tlog-proof of it. */
interface OneEntry {
  readonly bytes: string
  readonly proof: string
}

/** Reads one entry and its proof. Throws `NotServed` 404 where there is none. */
export async function readOneEntry(
  bank: string,
  index: number,
  signal?: AbortSignal,
): Promise<{ bytes: Uint8Array; proof: string }> {
  const { bytes, proof } = await askJson<OneEntry>(`/audit/${bank}/entries/${index}`, signal)
  return { bytes: decodeBase64(bytes), proof }
}

interface ServedSeries {
  readonly series: readonly {
    readonly direction: 'release' | 'refusal'
    readonly value: string
    readonly points: readonly { readonly at: string; readonly count: number }[]
  }[]
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
  const { series } = await askJson<ServedSeries>(`/audit/${bank}/series?${query}`, signal)
  const counted = (wanted: string) =>
    series
      .filter(({ direction }) => direction === wanted)
      .flatMap(({ value, points }) =>
        points.map(({ at, count: n }) => ({ at, n, key: value === '' ? unsaid_key : value })),
      )
  return { releases: counted('release'), refusals: counted('refusal') }
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
