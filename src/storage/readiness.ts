import type { Database } from './database.ts'

/** The database's clock may differ from this machine's by this much, ms. */
export const clock_ms_max = 5_000

/** Tables that the service role may only add to. */
const insertOnly = ['entries', 'leaf_hashes', 'subtree_hashes', 'draft_ids', 'checkpoints'] as const

/**
 * Why a broker must not start on this database, all reasons at once: one that forgets commits, one whose clock is off, or a
 * role that could change what is written.
 */
export async function unfitness(db: Database, now: () => number): Promise<string[]> {
  const { rows } = await db.knex.raw<{ rows: Fitness[] }>(
    `select current_setting('fsync') as fsync, current_setting('full_page_writes') as full_page_writes,
       extract(epoch from clock_timestamp()) * 1000 as clock_ms, current_user as role,
       (select rolsuper or rolbypassrls from pg_roles where rolname = current_user) as unbound,
       array(select t from unnest(?::text[]) as t
         where has_table_privilege(t, 'update') or has_table_privilege(t, 'delete') or has_table_privilege(t, 'truncate')) as changeable`,
    [[...insertOnly]],
  )
  const found = rows[0]
  if (found === undefined) return ['the database did not answer']
  const off = Math.abs(Number(found.clock_ms) - now())
  return [
    ...(found.fsync === 'on'
      ? []
      : ['the database runs with fsync off: it would lose entries in a crash']),
    ...(found.full_page_writes === 'on' ? [] : ['the database runs with full_page_writes off']),
    ...(off <= clock_ms_max
      ? []
      : [`the database's clock is ${Math.round(off)} ms away from this machine's`]),
    ...(found.unbound ? [`${found.role} is not bound by row-level security`] : []),
    ...(found.changeable.length === 0
      ? []
      : [`${found.role} may change ${found.changeable.join(', ')}`]),
  ]
}

interface Fitness {
  fsync: string
  full_page_writes: string
  clock_ms: string
  role: string
  unbound: boolean
  changeable: string[]
}
