import pg from 'pg'
import { StateUnfit } from './state_unfit.ts'

/** A table in a database that is not the ledger's. */
export interface OwnTable {
  /** Throws `StateUnfit` when the table was there in another form; so does every query. */
  check(): Promise<void>
  query<R extends object>(
    sql: string,
    values: readonly unknown[],
  ): Promise<{ rows: R[]; rowCount: number | null }>
  close(): Promise<void>
}

/**
 * Opens it with a pool of its own; it is made on first use. `columns` is what `create table` says of it, in the words in which
 * `formSql` says it back.
 */
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
  const ready = makeTable(pool, { table, columns })
  // Whoever asks first hears of the failure; unasked, it must not end the process.
  ready.catch(() => undefined)
  return {
    check: () => ready,
    async query(sql, values) {
      await ready
      return pool.query(sql, [...values])
    },
    close: () => pool.end(),
  }
}

async function makeTable(
  pool: pg.Pool,
  { table, columns }: { table: string; columns: string },
): Promise<void> {
  await pool.query(makeSql(table, columns))
  const { rows } = await pool.query<{ form: string | null }>(formSql, [table])
  const form = rows[0]?.form ?? 'nothing'
  if (form !== columns)
    throw new StateUnfit(`the table ${table} is there with (${form}) and not (${columns})`)
}

/** "If not exists" alone fails for the second of two processes that make the table at the same time. */
const makeSql = (table: string, columns: string) => `do $$
begin
  create table if not exists ${table} (${columns});
exception when unique_violation or duplicate_table then
  null;
end
$$`

/** The columns of a table in their order, then its primary key. */
const formSql = `select concat_ws(', ', (
  select string_agg(
    concat(attname, ' ', format_type(atttypid, atttypmod), case when attnotnull then ' not null' end),
    ', ' order by attnum
  )
  from pg_attribute
  where attrelid = to_regclass($1) and attnum > 0 and not attisdropped
), (
  select replace(pg_get_constraintdef(oid), 'PRIMARY KEY', 'primary key')
  from pg_constraint
  where conrelid = to_regclass($1) and contype = 'p'
)) as form`
