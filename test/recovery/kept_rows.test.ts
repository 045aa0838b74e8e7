import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { withClient } from '../../sandbox/postgres_database.ts'
import { keptOfAll, keptOfBank } from '../../src/storage/kept_rows.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'

/** What a restore makes from the ledger's entries, or notes of itself. */
const madeFromEntries = [
  ...['ledger_locks', 'ledger_heads', 'ledger_signed', 'ledger_keys', 'checkpoints', 'entries'],
  ...['leaf_hashes', 'subtree_hashes', 'draft_ids', 'consent_tails', 'approvals', 'restores'],
  ...['audit_entries', 'audit_facets', 'audit_hours', 'audit_progress', 'audit_interactions'],
]

/** What ends within days and can be had again, what was noted of single requests, and what others than the broker still have. */
const leftOut = [
  ...['sessions', 'devices', 'deliveries', 'pushed_requests', 'authorization_codes'],
  ...['authorization_events', 'replays', 'rate_limits', 'revoked_tokens', 'revoked_client_tokens'],
  ...[
    'refusal_tallies',
    'fetches',
    'outbox',
    'unattended_reads',
    'statement_lists',
    'statement_mismatches',
    'audit_grants',
  ],
  ...['audit_reads', 'cosignatures', 'witnessed', 'signing_stops', 'exports', 'backups'],
]

/** Of a consent a restore has the terms and the state from the entries. */
const consentFromEntries = ['bank_id', 'recipient', 'state', 'terms', 'granted_at', 'ended_at']

describe('a backup', () => {
  let database: TestDatabase
  let columns: Map<string, readonly string[]>
  beforeAll(async () => {
    database = await testDatabase()
    const { rows } = await withClient(database.ownerUrl, (client) =>
      client.query<{ name: string; columns: string[] }>(
        `select c.relname as name, array_agg(a.attname::text order by a.attname) as columns
         from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
         where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
           and c.relname not like 'migrations%' group by c.relname`,
      ),
    )
    columns = new Map(rows.map((row) => [row.name, row.columns]))
  })
  afterAll(() => database.drop())

  it('keeps each table, or leaves it out on purpose', () => {
    const kept = [...keptOfAll, ...keptOfBank].map(({ table }) => table)
    expect([...columns.keys()].toSorted()).toEqual(
      [...kept, ...madeFromEntries, ...leftOut].toSorted(),
    )
  })

  it('keeps every column of what it puts back', () => {
    for (const { table, columns: kept, part } of [...keptOfAll, ...keptOfBank])
      if (part !== true)
        expect({ table, columns: kept.toSorted() }).toEqual({ table, columns: columns.get(table) })
  })

  it('keeps of a consent what no entry says', () => {
    const { columns: kept = [] } = keptOfBank.find(({ table }) => table === 'consents') ?? {}
    expect(columns.get('consents')?.filter((name) => !kept.includes(name))).toEqual(
      expect.arrayContaining(
        consentFromEntries.filter((name) => columns.get('consents')?.includes(name)),
      ),
    )
  })
})
