import type { CosignedStore } from './cosigned.ts'
import { errorCode } from './error_code.ts'
import { openOwnTable } from './own_table.ts'

/**
 * What the key of `vkey` cosigned, in a database of the witness's own. Its one table is made on first use, without a row: a log has
 * one once it is begun.
 */
export function openCosignedDatabase(
  url: string,
  vkey: string,
): CosignedStore & { close(): Promise<void> } {
  const table = openOwnTable(url, {
    table: 'cosigned_checkpoints',
    columns:
      'vkey text not null, origin text not null, version bigint not null, note text, primary key (vkey, origin)',
    connections_max: 4,
  })
  return {
    check: table.check,
    async begin(origins) {
      try {
        await table.query(
          'insert into cosigned_checkpoints (vkey, origin, version) select $1, unnest($2::text[]), 0',
          [vkey, origins],
        )
        return true
      } catch (error) {
        if (errorCode(error) === uniqueViolation) return false
        throw error
      }
    },
    async read(origin) {
      const { rows } = await table.query<{ version: string; note: string | null }>(
        'select version, note from cosigned_checkpoints where vkey = $1 and origin = $2',
        [vkey, origin],
      )
      return rows[0] && { version: Number(rows[0].version), note: rows[0].note ?? undefined }
    },
    async replace(origin, old, note) {
      const { rowCount } = await table.query(
        'update cosigned_checkpoints set version = version + 1, note = $4 where vkey = $1 and origin = $2 and version = $3',
        [vkey, origin, old.version, note],
      )
      return rowCount === 1
    },
    close: table.close,
  }
}

const uniqueViolation = '23505'
