import { factsIn, seeEntry } from './facts.ts'

/** How an export is written. */
export const exportFormats = ['ndjson', 'csv'] as const

export type ExportFormat = (typeof exportFormats)[number]

/** The columns of a table: what people look for first, and last the entry itself, from which all the others follow. */
const columns = [
  ...['index', 'at', 'kind', 'code', 'sentence', 'consent', 'recipient', 'class', 'purpose'],
  ...['clusters', 'reason', 'actor', 'interactions', 'count', 'entry'],
]

/** What an export begins with. */
export const exportHead: Readonly<Record<ExportFormat, string>> = {
  ndjson: '',
  csv: `${columns.join(',')}\r\n`,
}

/** A line of an export that is a table (RFC 4180), for the entry at an index. `base64` is that of its bytes. */
export function csvLine(index: number, bytes: Uint8Array, base64: string): string {
  const seen = seeEntry(bytes)
  const { at = '', kind, code, sentence } = seen
  const { facet, consent = '', interactions, count } = factsIn(seen)
  const { recipient = '', class: named = '', purpose = '', reason = '', actor = '' } = facet
  const cells = [
    ...[String(index), at, kind, code, sentence, consent, recipient, named, purpose],
    ...[(facet.clusters ?? []).join(' '), reason, actor, interactions.join(' '), String(count)],
    base64,
  ]
  return `${cells.map(cell).join(',')}\r\n`
}

/**
 * A cell that no spreadsheet takes for a formula: what begins like one gets an apostrophe before it, which they show as nothing. Quoted
 * where RFC 4180 asks for it.
 */
function cell(text: string): string {
  const plain = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain
}

/** The cells of a line of a table, without its end. Undefined for what is no such line. */
export function csvCells(line: string): readonly string[] | undefined {
  const cells: string[] = []
  const next = /(?:"((?:[^"]|"")*)"|([^",]*))(,|$)/y
  for (;;) {
    const match = next.exec(line)
    if (match === null) return undefined
    cells.push(match[1]?.replaceAll('""', '"') ?? match[2] ?? '')
    if (match[3] === '') return cells.length === columns.length ? cells : undefined
  }
}

/** Where the sentence stands in a line: words may be put better by a later version, so they are not compared. */
export const sentence_column = columns.indexOf('sentence')
