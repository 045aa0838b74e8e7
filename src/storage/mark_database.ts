import pg from 'pg'
import type { MarkStore } from './marks.ts'

/**
 * Marks in a database that is not the ledger's and does not share its backups: for brokers on several machines. Its one
 * table is made on first use.
 */
export function openMarkDatabase(url: string): MarkStore & { close(): Promise<void> } {
  const pool = new pg.Pool({ connectionString: url, max: 2, statement_timeout: 2_000 })
  const ready = pool.query(makeSql)
  // Whoever asks first hears of the failure; unasked, it must not end the process.
  ready.catch(() => undefined)
  return {
    async read(origin) {
      await ready
      const { rows } = await pool.query<{ size: string; root: string }>(
        'select size, root from signed_marks where origin = $1',
        [origin],
      )
      return rows[0] === undefined ? undefined : { size: Number(rows[0].size), root: rows[0].root }
    },
    async replace(origin, old, next) {
      await ready
      const { rowCount } =
        old === undefined
          ? await pool.query(
              'insert into signed_marks (origin, size, root) values ($1, $2, $3) on conflict do nothing',
              [origin, next.size, next.root],
            )
          : await pool.query(
              'update signed_marks set size = $2, root = $3 where origin = $1 and size = $4 and root = $5',
              [origin, next.size, next.root, old.size, old.root],
            )
      return rowCount === 1
    },
    close: () => pool.end(),
  }
}

/** "If not exists" alone fails for the second of two processes that make the table at the same time. */
const makeSql = `do $$
begin
  create table if not exists signed_marks (origin text primary key, size bigint not null, root text not null);
exception when unique_violation or duplicate_table then
  null;
end
$$`
