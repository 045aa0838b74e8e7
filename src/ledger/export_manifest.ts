import { canonical, CanonicalError, type Json } from './canonical.ts'
import type { AuditFilter } from './audit_filter.ts'
import { exportFormats, type ExportFormat } from './export_line.ts'

/** What the ledger's key says of an export. Hashes are base64, times RFC 3339 UTC. */
export interface ExportManifest {
  readonly v: 1
  readonly bank: string
  readonly origin: string
  /** The export's own id, by which it is fetched again. */
  readonly id: string
  readonly at: string
  /** Whoever was given it, as the ledger names them. */
  readonly exporter: string
  /** The `access` entry that records it; absent where the ledger was closed before. */
  readonly access?: number
  readonly filter: AuditFilter
  readonly format: ExportFormat
  /** With which the `access` entry commits to format and filter: base64url. */
  readonly salt: string
  /** The indexes that were looked through: from `from` up to but not including `to`. */
  readonly range: { readonly from: number; readonly to: number }
  /** How many entries the export has, how long it is, and its hash. */
  readonly count: number
  readonly bytes: number
  readonly sha256: string
  /** The tree that the batch proof is in: its size, its root, and the checkpoint that says so. */
  readonly size: number
  readonly root: string
  readonly checkpoint: string
}

/** What an export's note is titled, and how its key is named. */
export const exportTitle = { title: 'countersign-export/v1', use: 'export' } as const

/** What the `access` entry of an export commits to. */
export const askedOf = (filter: AuditFilter, format: ExportFormat): string =>
  canonical({ ...filter, format })

export const writeManifest = (manifest: ExportManifest): string =>
  canonical(manifest as unknown as Json)

const isText = (value: unknown) => typeof value === 'string'
const isCount = (value: unknown) => Number.isSafeInteger(value) && Number(value) >= 0

const members: Readonly<Record<keyof ExportManifest, (value: unknown) => boolean>> = {
  v: (value) => value === 1,
  ...{ bank: isText, origin: isText, id: isText, at: isText, exporter: isText, salt: isText },
  access: (value) => value === undefined || isCount(value),
  filter: isFilter,
  format: (value) => exportFormats.some((format) => format === value),
  range: (value) =>
    isObject(value) &&
    isCount(value['from']) &&
    isCount(value['to']) &&
    Object.keys(value).length === 2,
  ...{ count: isCount, bytes: isCount, sha256: isText },
  ...{ size: isCount, root: isText, checkpoint: isText },
}

/** Reads a manifest, which must be canonical and have exactly these members. Throws `CanonicalError`. */
export function readManifest(text: string): ExportManifest {
  const value = parsed(text)
  if (!isObject(value) || canonical(value as Json) !== text)
    throw new CanonicalError('the manifest is not canonical JSON')
  const names = Object.keys(members) as (keyof ExportManifest)[]
  const wrong = [
    ...names.filter((name) => !members[name](value[name])),
    ...Object.keys(value).filter((name) => !Object.hasOwn(members, name)),
  ]
  if (wrong.length > 0) throw new CanonicalError(`the manifest has a wrong member ${wrong[0]}`)
  return value as unknown as ExportManifest
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new CanonicalError('the manifest is not JSON')
  }
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const indexes: readonly string[] = ['from_index', 'to_index']
const texts: readonly string[] = [
  ...['consent', 'interaction', 'kind', 'code', 'recipient', 'class', 'purpose', 'cluster'],
  ...['reason', 'actor', 'from', 'to'],
]

function isFilter(value: unknown): boolean {
  return (
    isObject(value) &&
    Object.entries(value).every(
      ([name, one]) =>
        (indexes.includes(name) && isCount(one)) || (texts.includes(name) && isText(one)),
    )
  )
}
