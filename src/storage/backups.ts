import type { Database } from './database.ts'

/** Notes a backup that was written to its end. */
export async function addBackup(
  { knex }: Database,
  { place, name }: { place: string; name: string },
): Promise<void> {
  await knex.raw('insert into backups (place, name) values (?, ?)', [place, name])
}

/** How long ago the newest backup was written to a place, ms; undefined when none was. */
export async function backupAge({ knex }: Database, place: string): Promise<number | undefined> {
  const { rows } = await knex.raw<{ rows: { ms: string | null }[] }>(
    `select floor(extract(epoch from clock_timestamp() - max(at)) * 1000)::bigint as ms from backups where place = ?`,
    [place],
  )
  const ms = rows[0]?.ms
  return ms === null || ms === undefined ? undefined : Number(ms)
}
