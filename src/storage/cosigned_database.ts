import type { CosignedStore } from './cosigned.ts'
import { openOwnTable } from './own_table.ts'

/** Cosigned checkpoints in a database of the witness's own. Its one table is made on first use. */
export function openCosignedDatabase(url: string): CosignedStore & { close(): Promise<void> } {
  const table = openOwnTable(url, {
    table: 'cosigned_checkpoints',
    columns: 'origin text primary key, version bigint not null, note text not null',
    connections_max: 4,
  })
  return {
    async read(origin) {
      const { rows } = await table.query<{ version: string; note: string }>(
        'select version, note from cosigned_checkpoints where origin = $1',
        [origin],
      )
      return rows[0] && { version: Number(rows[0].version), note: rows[0].note }
    },
    async replace(origin, old, note) {
      const { rowCount } =
        old === undefined
          ? await table.query(
              'insert into cosigned_checkpoints (origin, version, note) values ($1, 1, $2) on conflict do nothing',
              [origin, note],
            )
          : await table.query(
              'update cosigned_checkpoints set version = version + 1, note = $3 where origin = $1 and version = $2',
              [origin, old.version, note],
            )
      return rowCount === 1
    },
    close: table.close,
  }
}
