import pg from 'pg'
import type { CosignedStore } from './cosigned.ts'

/** Cosigned checkpoints in a database of the witness's own. Its one table is made on first use. */
export function openCosignedDatabase(url: string): CosignedStore & { close(): Promise<void> } {
  const pool = new pg.Pool({ connectionString: url, max: 4, statement_timeout: 2_000 })
  const ready = pool.query(makeSql)
  // Whoever asks first hears of the failure; unasked, it must not end the process.
  ready.catch(() => undefined)
  pool.on('error', () => undefined)
  return {
    async read(origin) {
      await ready
      const { rows } = await pool.query<{ version: string; note: string }>(
        'select version, note from cosigned_checkpoints where origin = $1',
        [origin],
      )
      return rows[0] && { version: Number(rows[0].version), note: rows[0].note }
    },
    async replace(origin, old, note) {
      await ready
      const { rowCount } =
        old === undefined
          ? await pool.query(
              'insert into cosigned_checkpoints (origin, version, note) values ($1, 1, $2) on conflict do nothing',
              [origin, note],
            )
          : await pool.query(
              'update cosigned_checkpoints set version = version + 1, note = $3 where origin = $1 and version = $2',
              [origin, old.version, note],
            )
      return rowCount === 1
    },
    close: () => pool.end(),
  }
}

/** "If not exists" alone fails for the second of two processes that make the table at the same time. */
const makeSql = `do $$
begin
  create table if not exists cosigned_checkpoints (origin text primary key, version bigint not null, note text not null);
exception when unique_violation or duplicate_table then
  null;
end
$$`
