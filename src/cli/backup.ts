import { loadConfig } from '../config.ts'
import { writeBackup } from '../recovery/backup.ts'
import { openArchive } from '../storage/archive_place.ts'
import { parseOptions, UsageError } from './arguments.ts'
import { withBroker } from './with_broker.ts'

/** `countersign backup`: what a restore needs and no ledger holds, encrypted. */
export async function backupCommand(argv: string[]): Promise<number> {
  const to = parseOptions(argv, ['to']).maybe('to')
  const { archive, backup } = loadConfig()
  const at = to ?? backup.place
  if (at === undefined) throw new UsageError('--to is missing, and BACKUP is not set')
  const key = backup.key
  if (key === undefined) throw new UsageError('BACKUP_KEY_FILE is not set')
  const place = openArchive(at, { endpoint: archive.endpoint })
  const name = await withBroker((broker) => writeBackup(broker, { place, key }), undefined, [place])
  place.close()
  process.stdout.write(`${at.replace(/\/$/, '')}/backups/${name}\n`)
  return 0
}
