import type { Client } from 'pg'
import { isClass } from '../consent/class.ts'
import { readEntry, type Entry } from '../ledger/entry.ts'
import type { Totals } from '../ledger/totals.ts'
import { sumEdgeFromBytes, sumEdgeToBytes, type SumEdge, type SumNode } from '../merkle/sum_tree.ts'
import { edgeFromBytes, edgeToBytes, type RightEdge, type Subtree } from '../merkle/tree.ts'
import { approvalColumns, approvalOf, type ApprovalRow } from './approval_row.ts'
import { consentColumns, recordOf, type ConsentColumns } from './consent_row.ts'
import { effectQueries } from './effects.ts'
import { keysOf, ledgerKeyColumns, type LedgerKeyRow } from './ledger_keys.ts'
import { tallyName, type Effect, type LedgerState, type Names } from './ledger_state.ts'
import { tallyColumns, tallyKeyOf, type TallyRow } from './tally_row.ts'

/** No ledger has been opened for this bank. */
export class NoLedger extends Error {
  override readonly name = 'NoLedger'
}

/**
 * Begins a transaction in one bank, waits for its lock, and reads what the drafts name. All statements leave in one round
 * trip, yet each reads in a snapshot of its own: the state is read in later statements than the lock, since a statement's
 * snapshot is older than the time it spent waiting for a lock.
 */
export async function lockAndLoad(
  client: Client,
  bank: string,
  names: readonly Names[],
): Promise<LedgerState> {
  const loaded = await lockAndRead(client, bank, names)
  const head = loaded.head[0]
  if (head === undefined) throw new NoLedger(`no ledger is open for ${bank}`)
  const { twins: twinRows } = loaded
  const tails = [
    ...loaded.tails.map((one) => [one.consent_id, Number(one.n)] as const),
    ...twinRows.flatMap(({ id, tail }) => (tail === null ? [] : [[id, Number(tail)] as const])),
  ]
  return {
    bank,
    origin: head.origin,
    vkey: head.vkey,
    at: new Date(Number(head.at_ms)).toISOString(),
    edge: edgeFromBytes(Number(head.size), head.edge),
    closed: head.closed,
    sums: {
      names: head.sum_names,
      edge: sumEdgeFromBytes(Number(head.size), head.sum_edge, head.sum_names.length),
    },
    totals: head.totals,
    unsignedMs: Number(head.unsigned_ms),
    consents: new Map(
      [...loaded.consents, ...twinRows, ...loaded.ofLink].map((one) => [one.id, recordOf(one)]),
    ),
    approvals: new Map(loaded.recipients.map((one) => [one.recipient, approvalOf(one)])),
    revokedTokens: new Set(loaded.tokens.map((one) => one.jti)),
    readingTokens: new Set(loaded.reading.map((one) => one.token)),
    tallies: new Map(loaded.tallies.map(tallyOf)),
    keys: keysOf(loaded.keys),
    anyActive: loaded.actives[0]?.active ?? false,
    newestEpoch: loaded.epochs.map((one) => ({ n: Number(one.n), at: one.at.toISOString() }))[0],
    erased: new Set(loaded.ofLink.flatMap(({ id, erased }) => (erased ? [id] : []))),
    ...newestOf(loaded.statements.map(({ leaf }) => readEntry(leaf))),
    tails: new Map(tails),
  }
}

/** The rows, after the lock. */
async function lockAndRead(client: Client, bank: string, names: readonly Names[]) {
  const literal = client.escapeLiteral(bank)
  const locked = client.query(
    `begin; select set_config('app.bank', ${literal}, true); select from ledger_locks where bank_id = ${literal} for update`,
  )
  const read = async <R extends object>(name: keyof typeof reads, ...lists: unknown[][]) => {
    if (lists.some((list) => list.length === 0)) return []
    const found = await client.query<R>({ name, text: reads[name], values: [bank, ...lists] })
    return found.rows
  }
  const consentIds = distinct(names.flatMap((one) => one.consents ?? []))
  const tallies = names.flatMap((one) => one.tally ?? [])
  const twins = names.flatMap((one) => one.identical ?? [])
  return settled({
    locked,
    head: read<HeadRow>('head'),
    consents: read<ConsentColumns>('consents', consentIds),
    tails: read<TailRow>('tails', consentIds),
    recipients: read<ApprovalRow>(
      'approvals',
      distinct(names.flatMap((one) => one.recipients ?? [])),
    ),
    tokens: read<{ jti: string }>('tokens', distinct(names.flatMap((one) => one.tokens ?? []))),
    reading: read<{ token: string }>(
      'reading',
      distinct(names.flatMap((one) => one.reading ?? [])),
    ),
    tallies: read<CountRow>(
      'tallies',
      ...columns(tallies, ['client', 'consent', 'reason', 'minute']),
    ),
    twins: read<ConsentColumns & { tail: string | null }>(
      'twins',
      ...columns(twins, ['linkId', 'recipient', 'purpose', 'delivery']),
    ),
    keys: names.some((one) => one.keys) ? read<LedgerKeyRow>('keys') : [],
    actives: names.some((one) => one.actives) ? read<{ active: boolean }>('actives') : [],
    epochs: names.some((one) => one.epoch) ? read<EpochRow>('epoch') : [],
    ofLink: read<ConsentColumns & { erased: boolean }>(
      'ofLink',
      distinct(names.flatMap((one) => one.link ?? [])),
    ),
    statements: names.some((one) => one.statements) ? read<{ leaf: Buffer }>('statements') : [],
  })
}

function newestOf(entries: readonly Entry[]) {
  const statement = entries.find((one) => one.kind === 'statement')
  const reconcile = entries.find((one) => one.kind === 'reconcile')
  return { newestStatement: statement?.body, newestReconcile: reconcile?.body }
}

/** Entries ready to be written, column by column. */
export interface Batch {
  readonly oldSize: number
  readonly at: string
  readonly edge: RightEdge
  readonly sumEdge: SumEdge
  readonly totals: Totals
  readonly entries: readonly {
    readonly n: number
    readonly kind: string
    readonly consent: string | undefined
    readonly leaf: Buffer
    readonly hash: Uint8Array
    /** Which total of the sum tree the entry raises, by its place, and by how much. */
    readonly raised: { readonly total: number; readonly by: number } | undefined
    readonly draftId: string
  }[]
  readonly subtrees: readonly (Subtree & { readonly sum: SumNode })[]
  readonly effects: readonly Effect[]
}

/** Writes a batch and commits, in one round trip. Durable when it returns. */
export async function writeAndCommit(client: Client, bank: string, batch: Batch): Promise<void> {
  const { entries, subtrees } = batch
  await allSettled([
    ...batch.effects
      .flatMap((effect) => effectQueries(bank, effect))
      .map((query) => client.query(query)),
    ...(entries.length === 0
      ? []
      : [
          client.query({
            name: 'write',
            text: writeSql,
            values: [
              bank,
              batch.oldSize,
              batch.edge.size,
              Buffer.from(edgeToBytes(batch.edge)),
              JSON.stringify(batch.totals),
              batch.at,
              entries.map((one) => one.n),
              entries.map((one) => one.kind),
              entries.map((one) => one.consent ?? null),
              entries.map((one) => one.leaf),
              entries.map((one) => Buffer.from(one.hash)),
              entries.map((one) => one.draftId),
              Buffer.from(sumEdgeToBytes(batch.sumEdge)),
              entries.map((one) => one.raised?.total ?? null),
              entries.map((one) => one.raised?.by ?? null),
            ],
          }),
        ]),
    ...(subtrees.length === 0
      ? []
      : [
          client.query({
            name: 'save_subtrees',
            text: subtreesSql,
            values: [
              bank,
              subtrees.map((one) => one.level),
              subtrees.map((one) => one.index),
              subtrees.map((one) => Buffer.from(one.hash)),
              subtrees.map((one) => Buffer.from(one.sum)),
            ],
          }),
        ]),
    client.query('commit').then((result) => {
      // A failed transaction answers COMMIT with ROLLBACK, which is no error to the protocol.
      if (result.command !== 'COMMIT') throw new Error('the batch was rolled back')
    }),
  ])
}

/** Ends the transaction with nothing written. */
export async function rollBack(client: Client): Promise<void> {
  await client.query('rollback')
}

/** Which of these drafts became entries, and which: asked under the lock after a commit whose answer was lost. */
export async function entriesOfDrafts(
  client: Client,
  bank: string,
  draftIds: readonly string[],
): Promise<Map<string, { n: number; hash: Uint8Array; at: string }>> {
  const { rows } = await client.query<{ draft_id: string; n: string; hash: Buffer; at: Date }>({
    text: `select d.draft_id, d.n, h.hash, e.at from draft_ids d
      join leaf_hashes h on h.bank_id = d.bank_id and h.n = d.n
      join entries e on e.bank_id = d.bank_id and e.n = d.n
      where d.bank_id = $1 and d.draft_id = any($2::text[])`,
    values: [bank, draftIds],
  })
  return new Map(
    rows.map((row) => [
      row.draft_id,
      { n: Number(row.n), hash: row.hash, at: row.at.toISOString() },
    ]),
  )
}

/** Waits for every query, so that none is left behind unheard, then throws the first error. */
async function allSettled(queries: readonly Promise<unknown>[]): Promise<unknown[]> {
  await Promise.allSettled(queries)
  return Promise.all(queries)
}

/** The same of named ones. */
async function settled<T extends Readonly<Record<string, unknown>>>(
  queries: T,
): Promise<{ [K in keyof T]: Awaited<T[K]> }> {
  const values = await allSettled(Object.values(queries).map((query) => Promise.resolve(query)))
  return Object.fromEntries(Object.keys(queries).map((name, i) => [name, values[i]])) as {
    [K in keyof T]: Awaited<T[K]>
  }
}

const distinct = (values: readonly string[]) => [...new Set(values)]

const columns = <T extends object, K extends keyof T>(rows: readonly T[], names: readonly K[]) =>
  names.map((name) => rows.map((row) => row[name]))

/** What the door reads, by name of its prepared statement. `$1` is the bank. */
const reads = {
  // A transaction's own clock stands still; the entry's time is read after the lock was had. An entry's time runs ahead of the
  // clock when that was set back: then how long it waits is counted from the signature before it. The aggregate is there since
  // row-level security allows no index to be searched for what `coalesce` makes of a column: every entry would be read.
  head: `
    select h.size, h.edge, h.sum_names, h.sum_edge, h.totals, h.origin, h.vkey, h.closed,
      floor(extract(epoch from greatest(h.at, clock_timestamp())) * 1000)::bigint as at_ms,
      case when u.n is null then 0 else floor(extract(epoch from clock_timestamp()
        - case when u.at <= clock_timestamp() then u.at else coalesce(s.signed_at, to_timestamp(0)) end) * 1000) end as unsigned_ms
    from ledger_heads h
    cross join (
      select coalesce(max(size), 0) as size, max(signed_at) as signed_at from ledger_signed where bank_id = $1
    ) s
    left join entries u on u.bank_id = h.bank_id and u.n = s.size
    where h.bank_id = $1`,
  consents: `select ${consentColumns} from consents c where c.bank_id = $1 and c.id = any($2::text[])`,
  // By name, and not through the consents: a consent that is only asked for may be gone, and still have entries.
  tails:
    'select consent_id, n from consent_tails where bank_id = $1 and consent_id = any($2::text[])',
  approvals: `
    select ${approvalColumns} from approvals p where p.bank_id = $1 and p.recipient = any($2::text[])`,
  tokens: 'select jti from revoked_tokens where bank_id = $1 and jti = any($2::text[])',
  reading: 'select token from audit_reads where bank_id = $1 and token = any($2::text[])',
  tallies: `
    select ${tallyColumns}, t.class, t.pending
    from unnest($2::text[], $3::text[], $4::text[], $5::bigint[]) as w(client_id, consent_id, reason, minute_ms)
    join refusal_tallies t on t.bank_id = $1 and t.client_id = w.client_id and t.consent_id = w.consent_id
      and t.reason = w.reason and t.minute = to_timestamp(w.minute_ms / 1000.0)`,
  twins: `
    select ${consentColumns}, t.n as tail
    from unnest($2::text[], $3::text[], $4::text[], $5::text[]) as w(link_id, recipient, purpose, delivery)
    join consents c on c.bank_id = $1 and c.state = 'active' and c.link_id = w.link_id and c.recipient = w.recipient
      and c.terms ->> 'purpose' = w.purpose and c.terms ->> 'delivery' = w.delivery
    left join consent_tails t on t.bank_id = c.bank_id and t.consent_id = c.id`,
  keys: `select ${ledgerKeyColumns} from ledger_keys where bank_id = $1`,
  actives: `select exists (select from consents where bank_id = $1 and state = 'active') as active`,
  epoch: `select n, at from entries where bank_id = $1 and kind = 'epoch' order by n desc limit 1`,
  ofLink: `
    select ${consentColumns}, c.erased_at is not null as erased from consents c
    where c.bank_id = $1 and c.link_id = any($2::text[])`,
  statements: `
    (select leaf from entries where bank_id = $1 and kind = 'statement' order by n desc limit 1)
    union all (select leaf from entries where bank_id = $1 and kind = 'reconcile' order by n desc limit 1)`,
} as const

const writeSql = `
  with moved as (
    update ledger_heads set size = $3, edge = $4, totals = $5, at = $6, sum_edge = $13 where bank_id = $1 and size = $2 returning 1
  ), written as (
    select n, kind, consent_id, leaf, hash, draft_id, total, raised_by
    from unnest($7::bigint[], $8::text[], $9::text[], $10::bytea[], $11::bytea[], $12::text[], $14::smallint[], $15::bigint[])
      as e(n, kind, consent_id, leaf, hash, draft_id, total, raised_by)
  ), entered as (
    insert into entries (bank_id, n, kind, at, consent_id, leaf)
    select $1, n, kind, $6, consent_id, leaf from written
  ), hashed as (
    insert into leaf_hashes (bank_id, n, hash, total, raised_by) select $1, n, hash, total, raised_by from written
  ), named as (
    insert into draft_ids (bank_id, draft_id, n) select $1, draft_id, n from written
  ), followed as (
    insert into consent_tails (bank_id, consent_id, n)
    select $1, consent_id, max(n) from written where consent_id is not null group by consent_id
    on conflict (bank_id, consent_id) do update set n = excluded.n
  )
  select must_be_one(count(*)) from moved`

const subtreesSql = `
  insert into subtree_hashes (bank_id, level, i, hash, sum)
  select $1, level, i, hash, sum from unnest($2::smallint[], $3::bigint[], $4::bytea[], $5::bytea[]) as s(level, i, hash, sum)`

interface TailRow {
  consent_id: string
  n: string
}

interface EpochRow {
  n: string
  at: Date
}

interface HeadRow {
  size: string
  edge: Buffer
  sum_names: string[]
  sum_edge: Buffer
  totals: Totals
  origin: string
  vkey: string
  closed: boolean
  at_ms: string
  unsigned_ms: string
}

interface CountRow extends TallyRow {
  class: string
  pending: string
}

function tallyOf(row: CountRow) {
  if (!isClass(row.class)) throw new Error(`a tally of class ${row.class}`)
  return [tallyName(tallyKeyOf(row)), { class: row.class, pending: Number(row.pending) }] as const
}
