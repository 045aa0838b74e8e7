import type { MarkStore } from './marks.ts'
import { openOwnTable } from './own_table.ts'

/**
 * Marks in a database that is not the ledger's and does not share its backups: for brokers on several machines. Its one
 * table is made on first use.
 */
export function openMarkDatabase(url: string): MarkStore & { close(): Promise<void> } {
  const table = openOwnTable(url, {
    table: 'signed_marks',
    columns: 'origin text not null, size bigint not null, root text not null, primary key (origin)',
    connections_max: 2,
  })
  return {
    async read(origin) {
      const { rows } = await table.query<{ size: string; root: string }>(
        'select size, root from signed_marks where origin = $1',
        [origin],
      )
      return rows[0] === undefined ? undefined : { size: Number(rows[0].size), root: rows[0].root }
    },
    async replace(origin, old, next) {
      const { rowCount } =
        old === undefined
          ? await table.query(
              'insert into signed_marks (origin, size, root) values ($1, $2, $3) on conflict do nothing',
              [origin, next.size, next.root],
            )
          : await table.query(
              'update signed_marks set size = $2, root = $3 where origin = $1 and size = $4 and root = $5',
              [origin, next.size, next.root, old.size, old.root],
            )
      return rowCount === 1
    },
    close: table.close,
  }
}
