import pg from 'pg'

/** A table in a database that is not the ledger's. */
export interface OwnTable {
  query<R extends object>(
    sql: string,
    values: readonly unknown[],
  ): Promise<{ rows: R[]; rowCount: number | null }>
  close(): Promise<void>
}

/** Opens it with a pool of its own; it is made on first use. `columns` is what `create table` says of it. */
export function openOwnTable(
  url: string,
  { table, columns, connections_max }: { table: string; columns: string; connections_max: number },
): OwnTable {
  const pool = new pg.Pool({
    connectionString: url,
    max: connections_max,
    statement_timeout: 2_000,
  })
  // An idle connection that breaks is opened anew.
  pool.on('error', () => undefined)
  const ready = pool.query(makeSql(table, columns))
  // Whoever asks first hears of the failure; unasked, it must not end the process.
  ready.catch(() => undefined)
  return {
    async query(sql, values) {
      await ready
      return pool.query(sql, [...values])
    },
    close: () => pool.end(),
  }
}

/** "If not exists" alone fails for the second of two processes that make the table at the same time. */
const makeSql = (table: string, columns: string) => `do $$
begin
  create table if not exists ${table} (${columns});
exception when unique_violation or duplicate_table then
  null;
end
$$`
