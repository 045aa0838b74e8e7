import type pg from 'pg'

interface Line {
  readonly relation: string
  readonly line: string
}

const ours = `(select oid from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema')`
const grantee = `case grantee when 0 then 'public' else grantee::regrole::text end`
/** A partition's own lines stand with its table's. */
const table = (oid: string) => `coalesce(pg_partition_root(${oid}), ${oid})::regclass::text`
const privileges = `string_agg(lower(privilege_type), ', ' order by privilege_type)`

/** Kinds of objects that this file does not write: a migration that makes one has to teach it. */
const unknownKinds = `
  select oid::regclass::text as relation, 'relation of kind ' || relkind::text as line from pg_class
   where relnamespace in ${ours} and relkind not in ('r', 'p', 'i', 'I')
     and not exists (select from pg_depend where objid = pg_class.oid and deptype in ('a', 'i'))
  union all
  select oid::regtype::text, 'type of kind ' || typtype::text from pg_type
   where typnamespace in ${ours} and typtype not in ('b', 'c')
  union all
  select nspname, 'schema' from pg_namespace where oid in ${ours} and nspname <> 'public'`

const functions = `
  select '' as relation,
         rtrim(pg_get_functiondef(oid), E'\\n') || ';' || coalesce(E'\\n-- access: ' || proacl::text, '') as line
    from pg_proc
   where pronamespace in ${ours} order by oid::regprocedure::text`

const tables = `
  select oid::regclass::text as relation,
         coalesce(' with (' || array_to_string(reloptions, ', ') || ')', '')
           || coalesce(' partition by ' || pg_get_partkeydef(oid), '') as line
    from pg_class where relnamespace in ${ours} and relkind in ('r', 'p') and not relispartition
   order by 1`

const columns = `
  select attrelid::regclass::text as relation,
         quote_ident(attname) || ' ' || format_type(atttypid, atttypmod)
           || case when attcollation <> typcollation then ' collate ' || attcollation::regcollation::text else '' end
           || case
                when attgenerated <> '' then ' generated always as (' || pg_get_expr(adbin, adrelid) || ')'
                when attidentity <> '' then ' generated as identity (' || attidentity::text || ')'
                else coalesce(' default ' || pg_get_expr(adbin, adrelid), '')
              end
           || case when attnotnull then ' not null' else '' end as line
    from pg_attribute
    join pg_type on pg_type.oid = atttypid
    left join pg_attrdef on adrelid = attrelid and adnum = attnum
   where attnum > 0 and not attisdropped
   order by attnum`

const constraints = `
  select conrelid::regclass::text as relation,
         'constraint ' || quote_ident(conname) || ' ' || pg_get_constraintdef(oid) as line
    from pg_constraint where contype in ('p', 'u', 'f', 'c', 'x') and conrelid <> 0
   order by array_position('{p,u,f,c,x}'::text[], contype::text), conname`

const indexes = `
  select ${table('indrelid')} as relation, pg_get_indexdef(indexrelid) as line from pg_index
   where not exists (select from pg_inherits where inhrelid = indexrelid)
     and not exists (select from pg_constraint where conindid = indexrelid and contype in ('p', 'u', 'x'))
   order by indexrelid::regclass::text`

const triggers = `
  select ${table('tgrelid')} as relation,
         pg_get_triggerdef(oid) || case tgenabled when 'O' then '' else ' -- enabled: ' || tgenabled::text end as line
    from pg_trigger where not tgisinternal and tgparentid = 0 order by tgname, 2`

const rowSecurity = `
  select ${table('oid')} as relation,
         'alter table ' || oid::regclass::text || case when relforcerowsecurity then ' force' else ' enable' end
           || ' row level security' as line
    from pg_class where relrowsecurity order by 2`

const policies = `
  select ${table('polrelid')} as relation,
         format('create policy %I on %s as %s for %s to %s', polname, polrelid::regclass,
                case when polpermissive then 'permissive' else 'restrictive' end,
                case polcmd when '*' then 'all' when 'r' then 'select' when 'a' then 'insert'
                            when 'w' then 'update' else 'delete' end,
                (select string_agg(${grantee}, ', ') from unnest(polroles) as grantee))
           || coalesce(' using (' || pg_get_expr(polqual, polrelid) || ')', '')
           || coalesce(' with check (' || pg_get_expr(polwithcheck, polrelid) || ')', '') as line
    from pg_policy order by polname, 2`

const grants = `
  select ${table('oid')} as relation,
         format('grant %s on %s to %s', ${privileges}, oid::regclass, ${grantee}) as line
    from pg_class, aclexplode(relacl) where grantee <> relowner group by oid, grantee
  union all
  select ${table('attrelid')},
         format('grant %s (%I) on %s to %s', ${privileges}, attname, attrelid::regclass, ${grantee})
    from pg_attribute, aclexplode(attacl) group by attrelid, attname, grantee
   order by 1, 2`

const partitions = `
  select inhparent::regclass::text as relation,
         format('create table %s partition of %s %s', child.oid::regclass, inhparent::regclass,
                pg_get_expr(relpartbound, child.oid)) as line
    from pg_inherits join pg_class child on child.oid = inhrelid where child.relkind in ('r', 'p')
   order by child.oid::regclass::text`

/** The schema as SQL text that is the same for the same schema. Throws on an object that it cannot write. */
export async function describeSchema(client: pg.Client): Promise<string> {
  const read = async (query: string) => (await client.query<Line>(query)).rows
  const unknown = await read(unknownKinds)
  if (unknown.length > 0) {
    throw new Error(
      `sandbox/schema_text.ts cannot write ${unknown.map((one) => `${one.line} ${one.relation}`).join(', ')}`,
    )
  }
  const inside = [...(await read(columns)), ...(await read(constraints))]
  const after: Line[] = []
  for (const query of [partitions, indexes, triggers, rowSecurity, policies, grants]) {
    after.push(...(await read(query)))
  }
  const of = (lines: readonly Line[], relation: string) =>
    lines.filter((one) => one.relation === relation).map((one) => one.line)

  const text = (await read(functions)).map(({ line }) => line)
  for (const { relation, line } of await read(tables)) {
    const body = of(inside, relation).map((one) => `\n  ${one}`)
    const table = `create table ${relation} (${body.join(',')}\n)${line}`
    text.push([table, ...of(after, relation)].map((statement) => `${statement};`).join('\n'))
  }
  return (
    ['-- What migrations/ add up to: written by `npm run schema`, compared by CI.', ...text, '']
      .join('\n\n')
      .trimEnd() + '\n'
  )
}

/**
 * The lines of `old` that are gone (-) and those of `fresh` that are new (+), each run of them under the number of the line
 * of `old` where it belongs; undefined when the texts are equal.
 */
export function difference(old: string, fresh: string): string | undefined {
  const [a, b] = [old.split('\n'), fresh.split('\n')]
  const kept = mostKept(a, b)
  const shown: string[] = []
  let [i, j, sameBefore] = [0, 0, true]
  while (i < a.length || j < b.length) {
    const same = i < a.length && a[i] === b[j]
    if (!same && sameBefore) shown.push(`@@ line ${i + 1} @@`)
    sameBefore = same
    if (same) {
      i++
      j++
    } else if (j === b.length || (i < a.length && kept(i + 1, j) >= kept(i, j + 1))) {
      shown.push(`-${a[i++]}`)
    } else {
      shown.push(`+${b[j++]}`)
    }
  }
  return shown.length === 0 ? undefined : shown.join('\n')
}

/** How many lines, in order, a from i on and b from j on can have in common. */
function mostKept(a: readonly string[], b: readonly string[]): (i: number, j: number) => number {
  const rows = a.map(() => new Uint16Array(b.length + 1))
  const kept = (i: number, j: number) => rows[i]?.[j] ?? 0
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      const most = a[i] === b[j] ? kept(i + 1, j + 1) + 1 : Math.max(kept(i + 1, j), kept(i, j + 1))
      rows[i]?.fill(most, j, j + 1)
    }
  }
  return kept
}
