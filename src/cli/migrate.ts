import { loadOwnerUrl } from '../config.ts'
import { migrate } from '../storage/migrate.ts'

/** `countersign migrate`: as the database's owner, which the broker itself never is. */
export async function migrateCommand(): Promise<number> {
  const applied = await migrate(loadOwnerUrl())
  process.stdout.write(applied.length === 0 ? 'up to date\n' : `applied ${applied.join(', ')}\n`)
  return 0
}
