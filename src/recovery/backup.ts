import { randomBytes } from 'node:crypto'
import type { Broker } from '../broker/broker.ts'
import { limits as archiveLimits, type Archive } from '../storage/archive.ts'
import { addBackup, backupAge } from '../storage/backups.ts'
import { keptOfAll, keptOfBank, keptRows, type KeptRow } from '../storage/kept_rows.ts'
import { partSealer, type PartPlace } from '../storage/sealed_parts.ts'

/** There is no backup that can be used; the message says why. */
export class BackupUnusable extends Error {
  override readonly name = 'BackupUnusable'
}

export const limits = { part_bytes_max: 1024 * 1024 } as const

/** Rows of one table, of one bank or of none. A backup is a sequence of these, one a line of JSON. */
export interface KeptPage {
  readonly table: string
  readonly bank?: string
  readonly rows: readonly KeptRow[]
}

const folder = 'backups/'
const pathOf = (name: string, { n, last }: PartPlace) =>
  `${folder}${name}/${String(n).padStart(6, '0')}${last ? '-last' : ''}`

/**
 * Writes a backup of what a restore needs and no ledger holds, encrypted, in parts, the last of which is named as such: without it
 * there is no backup. Resolves to its name. Any number may be under way; each has a name of its own.
 */
export async function writeBackup(
  { db, bankPort }: Pick<Broker, 'db' | 'bankPort'>,
  { place, key }: { place: Archive; key: Buffer },
): Promise<string> {
  const at = new Date().toISOString().replaceAll(/[-:]|\.\d+/g, '')
  const name = `${at}-${randomBytes(8).toString('hex')}`
  const sealer = partSealer(key, name)
  let n = 0
  let lines = ''
  const flush = async (last: boolean) => {
    const part = { n: n++, last }
    await place.put(pathOf(name, part), sealer.seal(part, Buffer.from(lines)))
    lines = ''
  }
  for await (const page of pages(db, [...bankPort.banks.keys()]))
    for (const line of linesOf(page)) {
      if (lines !== '' && lines.length + line.length > limits.part_bytes_max) await flush(false)
      lines += line
    }
  await flush(true)
  await addBackup(db, { place: place.place, name })
  return name
}

/** A page as lines that fit in a part; a single row does, by what its columns can hold. */
function linesOf(page: KeptPage): string[] {
  const line = `${JSON.stringify(page)}\n`
  const { rows } = page
  if (line.length <= limits.part_bytes_max || rows.length === 1) return [line]
  const half = Math.ceil(rows.length / 2)
  return [rows.slice(0, half), rows.slice(half)].flatMap((some) => linesOf({ ...page, rows: some }))
}

async function* pages(db: Broker['db'], banks: readonly string[]): AsyncGenerator<KeptPage> {
  for (const kept of keptOfAll)
    for await (const rows of keptRows(db, kept)) yield { table: kept.table, rows }
  for (const bank of banks)
    for (const kept of keptOfBank)
      for await (const rows of keptRows(db, kept, bank)) yield { table: kept.table, bank, rows }
}

/** Writes a backup when the newest one at the place is so old. False when none is due. */
export async function backupWhenDue(
  broker: Pick<Broker, 'db' | 'bankPort'>,
  { place, key, seconds }: { place: Archive; key: Buffer; seconds: number },
): Promise<boolean> {
  const age_ms = await backupAge(broker.db, place.place)
  if (age_ms !== undefined && age_ms < seconds * 1_000) return false
  await writeBackup(broker, { place, key })
  return true
}

/** The newest backup at a place that was written to its end. Throws `BackupUnusable` where there is none. */
export async function newestBackup(place: Archive): Promise<string> {
  let newest: string | undefined
  for await (const path of place.list(folder))
    if (path.endsWith('-last')) newest = path.slice(folder.length).split('/')[0]
  if (newest === undefined)
    throw new BackupUnusable(`${place.place} has no backup that was written to its end`)
  return newest
}

/** The pages of a backup, in order. Throws `BackupUnusable` for a part that is missing, and `PartChanged`. */
export async function* readBackup(
  place: Archive,
  { name, key }: { name: string; key: Buffer },
): AsyncGenerator<KeptPage> {
  const sealer = partSealer(key, name)
  for (let n = 0; ; n++) {
    const read = (last: boolean) =>
      place.get(pathOf(name, { n, last }), archiveLimits.file_bytes_max)
    const more = await read(false)
    const sealed = more ?? (await read(true))
    if (sealed === undefined)
      throw new BackupUnusable(`${place.place}: part ${n} of ${name} is missing`)
    const opened = sealer.open({ n, last: more === undefined }, sealed).toString()
    for (const line of opened.split('\n')) if (line !== '') yield JSON.parse(line) as KeptPage
    if (more === undefined) return
  }
}
