import { randomUUID } from 'node:crypto'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { migrate, migrationsFolder } from '../src/storage/migrate.ts'
import { startPostgres } from './postgres.ts'
import { withClient } from './postgres_database.ts'
import { describeSchema, difference } from './schema_text.ts'

// Writes migrations/schema.sql, the schema that all migrations add up to; with --check it only compares, and exits 1 when
// they differ.

/** The schema of a database made from nothing by all migrations, in a PostgreSQL that lives for this call. */
async function freshSchema(): Promise<string> {
  const directory = join(tmpdir(), `countersign-schema-${randomUUID()}`)
  const postgres = await startPostgres({ directory })
  try {
    await migrate(postgres.ownerUrl)
    return await withClient(postgres.ownerUrl, describeSchema)
  } finally {
    await postgres.stop()
    for (const path of [postgres.data, directory]) await rm(path, { recursive: true, force: true })
  }
}

const file = join(migrationsFolder, 'schema.sql')
const fresh = await freshSchema()
if (process.argv.includes('--check')) {
  const drift = difference(await readFile(file, 'utf8').catch(() => ''), fresh)
  if (drift !== undefined) {
    process.stderr.write(
      `migrations/schema.sql is not what the migrations make; \`npm run schema\` writes it\n${drift}\n`,
    )
    process.exitCode = 1
  }
} else {
  await writeFile(file, fresh)
}
