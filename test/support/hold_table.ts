import pg from 'pg'

/** Keeps a table from everyone until it is released; `waiting` resolves once so many wait for it. */
export async function holdTable(ownerUrl: string, table: string) {
  const client = new pg.Client({ connectionString: ownerUrl })
  await client.connect()
  await client.query(`begin; lock table ${table} in access exclusive mode`)
  return {
    async waiting(wanted: number): Promise<void> {
      for (let found = 0; found < wanted;) {
        const { rows } = await client.query<{ count: number }>(
          'select count(*)::int as count from pg_locks where relation = $1::regclass and not granted',
          [table],
        )
        found = rows[0]?.count ?? 0
      }
    },
    async release(): Promise<void> {
      await client.query('commit')
      await client.end()
    },
  }
}
