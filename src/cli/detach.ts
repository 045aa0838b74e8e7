import { loadConfig, loadOwnerUrl } from '../config.ts'
import { openArchive } from '../storage/archive_place.ts'
import { detachEntries } from '../storage/detach.ts'
import { integerOf, parseOptions, UsageError } from './arguments.ts'

const day_ms = 86_400_000

/** What banks' statements are compared with stays in the database. */
const days_allowed = { min: 60, max: 36_500 }
const rows_allowed = { min: 1, max: 999_999_999 }

/** `countersign detach`: old entries leave the database for the archive that holds them, as the database's owner. */
export async function detachCommand(argv: string[]): Promise<number> {
  const options = parseOptions(argv, ['older-than', 'min-rows'])
  const days = integerOf('older-than', options.one('older-than'), days_allowed)
  const before = new Date(Date.now() - days * day_ms)
  const rowsMin = integerOf('min-rows', options.maybe('min-rows') ?? '100000', rows_allowed)
  const { archive: at } = loadConfig()
  if (at.place === undefined) throw new UsageError('ARCHIVE is not set: entries have nowhere to go')
  const archive = openArchive(at.place, at)
  try {
    const detached = await detachEntries(loadOwnerUrl(), archive, { before, rowsMin })
    for (const { partition, gone, stayed, table } of detached)
      process.stdout.write(
        `${partition}: ${gone} entries are in the archive alone, ${stayed} stayed. To free the space: drop table ${table}\n`,
      )
    if (detached.length === 0)
      process.stdout.write('no partition has as many entries that are old, signed and archived\n')
    return 0
  } finally {
    archive.close()
  }
}
