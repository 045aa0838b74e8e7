import { ConfigError } from '../config.ts'
import { migrate } from '../storage/migrate.ts'

/** `countersign migrate`: as the database's owner, which the broker itself never is. */
export async function migrateCommand(): Promise<number> {
  const url = process.env['DATABASE_OWNER_URL']
  if (url === undefined) throw new ConfigError('DATABASE_OWNER_URL is not set')
  const applied = await migrate(url)
  process.stdout.write(applied.length === 0 ? 'up to date\n' : `applied ${applied.join(', ')}\n`)
  return 0
}
