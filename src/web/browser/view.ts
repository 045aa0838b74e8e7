import { readFilters, writeFilters, type Filters } from './filters.ts'

/** By what a chart is split into series. */
export const splits = ['class', 'purpose', 'recipient', 'reason'] as const
export type Split = (typeof splits)[number]

/** A range of time: RFC 3339 UTC with milliseconds, `to` excluded. Without one, the last 30 days. */
export interface Range {
  readonly from?: string
  readonly to?: string
}

/** What the console shows. All of it is in the address, so that every view can be linked to, reloaded and gone back to. */
export type View =
  | { readonly name: 'overview'; readonly range: Range; readonly by: Split }
  | { readonly name: 'search'; readonly filters: Filters; readonly cursor?: string }
  | { readonly name: 'entry'; readonly index: number }
  | { readonly name: 'export'; readonly filters: Filters }
  | { readonly name: 'report'; readonly range: Range }
  | { readonly name: 'trust' }
  | { readonly name: 'unknown' }

/** A view of one bank's ledger. */
export interface Place {
  readonly bank: string
  readonly view: View
}

/** The place of an address under `/console/`. */
export function readPlace({ pathname, search }: Pick<URL, 'pathname' | 'search'>): Place {
  const [, bank = '', path = ''] = /^\/console\/([a-z0-9-]{1,40})(?:\/(.*))?$/.exec(pathname) ?? []
  return { bank, view: readView(path, new URLSearchParams(search)) }
}

function readView(path: string, query: URLSearchParams): View {
  const entry = /^entries\/(0|[1-9]\d{0,14})$/.exec(path)?.[1]
  if (entry !== undefined) return { name: 'entry', index: Number(entry) }
  switch (path) {
    case '':
      return {
        name: 'overview',
        range: readRange(query),
        by: splits.find((split) => split === query.get('by')) ?? 'class',
      }
    case 'entries': {
      const cursor = query.get('cursor')
      return { name: 'search', filters: readFilters(query), ...(cursor && { cursor }) }
    }
    case 'export':
      return { name: 'export', filters: readFilters(query) }
    case 'report':
      return { name: 'report', range: readRange(query) }
    case 'trust':
      return { name: 'trust' }
    default:
      return { name: 'unknown' }
  }
}

function readRange(query: URLSearchParams): Range {
  const { from, to } = readFilters(query)
  return { ...(from !== undefined && { from }), ...(to !== undefined && { to }) }
}

/** The address of a place: what `readPlace` reads. */
export function addressOf({ bank, view }: Place): string {
  const root = `/console/${bank}`
  switch (view.name) {
    case 'overview': {
      const query = writeFilters(view.range)
      if (view.by !== 'class') query.set('by', view.by)
      return withQuery(root, query)
    }
    case 'search': {
      const query = writeFilters(view.filters)
      if (view.cursor !== undefined) query.set('cursor', view.cursor)
      return withQuery(`${root}/entries`, query)
    }
    case 'entry':
      return `${root}/entries/${view.index}`
    case 'export':
      return withQuery(`${root}/export`, writeFilters(view.filters))
    case 'report':
      return withQuery(`${root}/report`, writeFilters(view.range))
    case 'trust':
      return `${root}/trust`
    case 'unknown':
      return root
  }
}

const withQuery = (path: string, query: URLSearchParams) =>
  query.size === 0 ? path : `${path}?${query}`

/** A range with both ends: what is missing is put in so that it is the 30 days before `to`, which is the next full hour. */
export function wholeRange(range: Range, now: number): Required<Range> {
  const to = range.to ?? new Date(Math.ceil((now + 1) / hour_ms) * hour_ms).toISOString()
  const end = Date.parse(to)
  const from =
    range.from ??
    new Date((Number.isNaN(end) ? now : end) - usual_days * 24 * hour_ms).toISOString()
  return { from, to }
}

const hour_ms = 3_600_000
const usual_days = 30
