import type { Client } from 'pg'
import type { Consent } from '../consent/consent.ts'
import { isClass } from '../consent/class.ts'
import { isCluster } from '../consent/cluster.ts'
import type { Approval, Terms, RequestedTerms } from '../consent/terms.ts'
import type { RevocationReason } from '../ledger/entry.ts'
import type { Totals } from '../ledger/totals.ts'
import { edgeFromBytes, edgeToBytes, type RightEdge, type Subtree } from '../merkle/tree.ts'
import {
  tallyName,
  type ConsentRecord,
  type Effect,
  type LedgerState,
  type Names,
} from './ledger_state.ts'

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
  const named = {
    consents: distinct(names.flatMap((one) => one.consents ?? [])),
    recipients: distinct(names.flatMap((one) => one.recipients ?? [])),
    tokens: distinct(names.flatMap((one) => one.tokens ?? [])),
    tallies: names.flatMap((one) => one.tally ?? []),
    identical: names.flatMap((one) => one.identical ?? []),
    epoch: names.flatMap((one) => one.epoch ?? []),
    seen: names.flatMap((one) => one.approval ?? []),
  }
  const literal = client.escapeLiteral(bank)
  const [, head, consents, approvals, tokens, tallies, identical, epochs, seen] = await settled([
    client.query(
      `begin; select set_config('app.bank', ${literal}, true); select from ledger_locks where bank_id = ${literal} for update`,
    ),
    client.query<HeadRow>({ name: 'head', text: headSql, values: [bank] }),
    whenAny(named.consents, () =>
      client.query<ConsentRow>({
        name: 'consents',
        text: consentsSql,
        values: [bank, named.consents],
      }),
    ),
    whenAny(named.recipients, () =>
      client.query<ApprovalRow>({
        name: 'approvals',
        text: approvalsSql,
        values: [bank, named.recipients],
      }),
    ),
    whenAny(named.tokens, () =>
      client.query<{ jti: string }>({
        name: 'tokens',
        text: tokensSql,
        values: [bank, named.tokens],
      }),
    ),
    whenAny(named.tallies, () =>
      client.query<TallyRow>({
        name: 'tallies',
        text: talliesSql,
        values: [bank, ...columns(named.tallies, ['client', 'consent', 'reason', 'minute'])],
      }),
    ),
    whenAny(named.identical, () =>
      client.query<ConsentRow>({
        name: 'identical',
        text: identicalSql,
        values: [bank, ...columns(named.identical, ['linkId', 'recipient', 'purpose', 'delivery'])],
      }),
    ),
    whenAny(named.epoch, () =>
      client.query<EpochRow>({ name: 'epoch', text: epochSql, values: [bank] }),
    ),
    whenAny(named.seen, () =>
      client.query<{ signed_hash: string }>(
        'select signed_hash from approvals_seen where bank_id = $1 and signed_hash = any($2::text[])',
        [bank, named.seen],
      ),
    ),
  ])
  const row = head.rows[0]
  if (row === undefined) throw new NoLedger(`no ledger is open for ${bank}`)
  const consentRows = [...consents.rows, ...identical.rows]
  return {
    bank,
    origin: row.origin,
    vkey: row.vkey,
    at: new Date(Number(row.at_ms)).toISOString(),
    edge: edgeFromBytes(Number(row.size), row.edge),
    totals: row.totals,
    unsignedMs: Number(row.unsigned_ms),
    consents: new Map(consentRows.map((one) => [one.id, recordOf(one)])),
    approvals: new Map(approvals.rows.map((one) => [one.recipient, approvalOf(one)])),
    approvalsSeen: new Set(seen.rows.map((one) => one.signed_hash)),
    revokedTokens: new Set(tokens.rows.map((one) => one.jti)),
    tallies: new Map(tallies.rows.map(tallyOf)),
    newestEpoch: epochs.rows.map((one) => ({ n: Number(one.n), at: one.at.toISOString() }))[0],
    tails: new Map(
      consentRows.flatMap((one) =>
        one.tail === null ? [] : [[one.id, Number(one.tail)] as const],
      ),
    ),
  }
}

/** Entries ready to be written, column by column. */
export interface Batch {
  readonly oldSize: number
  readonly at: string
  readonly edge: RightEdge
  readonly totals: Totals
  readonly entries: readonly {
    readonly n: number
    readonly kind: string
    readonly consent: string | undefined
    readonly leaf: Buffer
    readonly hash: Uint8Array
    readonly draftId: string
  }[]
  readonly subtrees: readonly Subtree[]
  readonly tails: ReadonlyMap<string, number>
  readonly effects: readonly Effect[]
}

/** Writes a batch and commits, in one round trip. Durable when it returns. */
export async function writeAndCommit(client: Client, bank: string, batch: Batch): Promise<void> {
  const { entries, subtrees, tails } = batch
  await settled([
    ...effectQueries(client, bank, batch.effects),
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
            ],
          }),
        ]),
    ...(subtrees.length === 0
      ? []
      : [
          client.query({
            name: 'subtrees',
            text: subtreesSql,
            values: [
              bank,
              subtrees.map((one) => one.level),
              subtrees.map((one) => one.index),
              subtrees.map((one) => Buffer.from(one.hash)),
            ],
          }),
        ]),
    ...(tails.size === 0
      ? []
      : [
          client.query({
            name: 'tails',
            text: tailsSql,
            values: [bank, [...tails.keys()], [...tails.values()]],
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
async function settled<T extends readonly unknown[] | []>(
  queries: T,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(queries)
  return Promise.all(queries)
}

const distinct = (values: readonly string[]) => [...new Set(values)]

const none = { rows: [] }

const whenAny = async <T>(values: readonly unknown[], query: () => Promise<{ rows: T[] }>) =>
  values.length === 0 ? none : query()

const columns = <T extends object, K extends keyof T>(rows: readonly T[], names: readonly K[]) =>
  names.map((name) => rows.map((row) => row[name]))

// A transaction's own clock stands still; the entry's time is read after the lock was had.
const headSql = `
  select h.size, h.edge, h.totals, h.origin, h.vkey,
    floor(extract(epoch from greatest(h.at, clock_timestamp())) * 1000)::bigint as at_ms,
    coalesce(floor(extract(epoch from clock_timestamp() - u.at) * 1000), 0)::bigint as unsigned_ms
  from ledger_heads h
  left join ledger_signed s on s.bank_id = h.bank_id
  left join entries u on u.bank_id = h.bank_id and u.n = coalesce(s.size, 0)
  where h.bank_id = $1`

/** The columns of `ConsentColumns`, of a consent `c`. */
export const consentColumns = `
  c.id, c.recipient, c.state, c.requested, c.terms, c.link_id, c.bank_token_id, c.granted_at, c.ended_at, c.ended_by,
  c.ended_cause, c.revocation_reason`

const consentsSql = `
  select ${consentColumns}, t.n as tail from consents c
  left join consent_tails t on t.bank_id = c.bank_id and t.consent_id = c.id
  where c.bank_id = $1 and c.id = any($2::text[])`

const identicalSql = `
  select ${consentColumns}, t.n as tail from unnest($2::text[], $3::text[], $4::text[], $5::text[]) as w(link_id, recipient, purpose, delivery)
  join consents c on c.bank_id = $1 and c.state = 'active' and c.link_id = w.link_id and c.recipient = w.recipient
    and c.terms ->> 'purpose' = w.purpose and c.terms ->> 'delivery' = w.delivery
  left join consent_tails t on t.bank_id = c.bank_id and t.consent_id = c.id`

const approvalsSql = `
  select recipient, class, purposes, clusters, keys, suspended from approvals
  where bank_id = $1 and recipient = any($2::text[])`

const tokensSql = 'select jti from revoked_tokens where bank_id = $1 and jti = any($2::text[])'

const talliesSql = `
  select t.client_id, t.consent_id, t.reason, floor(extract(epoch from t.minute) * 1000)::bigint as minute_ms, t.class, t.pending
  from unnest($2::text[], $3::text[], $4::text[], $5::bigint[]) as w(client_id, consent_id, reason, minute_ms)
  join refusal_tallies t on t.bank_id = $1 and t.client_id = w.client_id and t.consent_id = w.consent_id
    and t.reason = w.reason and t.minute = to_timestamp(w.minute_ms / 1000.0)`

const writeSql = `
  with moved as (
    update ledger_heads set size = $3, edge = $4, totals = $5, at = $6 where bank_id = $1 and size = $2 returning 1
  ), written as (
    select n, kind, consent_id, leaf, hash, draft_id
    from unnest($7::bigint[], $8::text[], $9::text[], $10::bytea[], $11::bytea[], $12::text[])
      as e(n, kind, consent_id, leaf, hash, draft_id)
  ), entered as (
    insert into entries (bank_id, n, kind, at, consent_id, leaf)
    select $1, n, kind, $6, consent_id, leaf from written
  ), hashed as (
    insert into leaf_hashes (bank_id, n, hash) select $1, n, hash from written
  ), named as (
    insert into draft_ids (bank_id, draft_id, n) select $1, draft_id, n from written
  )
  select must_be_one(count(*)) from moved`

const subtreesSql = `
  insert into subtree_hashes (bank_id, level, i, hash)
  select $1, level, i, hash from unnest($2::smallint[], $3::bigint[], $4::bytea[]) as s(level, i, hash)`

const tailsSql = `
  insert into consent_tails (bank_id, consent_id, n)
  select $1, consent_id, n from unnest($2::text[], $3::bigint[]) as t(consent_id, n)
  on conflict (bank_id, consent_id) do update set n = excluded.n`

const epochSql = `select n, at from entries where bank_id = $1 and kind = 'epoch' order by n desc limit 1`

interface EpochRow {
  n: string
  at: Date
}

interface HeadRow {
  size: string
  edge: Buffer
  totals: Totals
  origin: string
  vkey: string
  at_ms: string
  unsigned_ms: string
}

/** A consent's row, as every reader selects it. */
export interface ConsentColumns {
  id: string
  recipient: string
  state: Consent['state']
  requested: RequestedTerms
  terms: Terms | null
  link_id: string | null
  bank_token_id: string | null
  granted_at: Date | null
  ended_at: Date | null
  ended_by: 'customer' | 'recipient' | 'bank' | 'operator' | null
  ended_cause: 'term' | 'unredeemed' | null
  revocation_reason: RevocationReason | null
}

interface ConsentRow extends ConsentColumns {
  tail: string | null
}

/** The consent that a row holds. The table's constraints keep the combinations that the union allows. */
export function recordOf(row: ConsentColumns): ConsentRecord {
  return {
    consent: consentOfRow(row),
    requested: row.requested,
    ...(row.link_id === null ? {} : { linkId: row.link_id }),
    ...(row.bank_token_id === null ? {} : { bankTokenId: row.bank_token_id }),
    ...(row.revocation_reason === null ? {} : { revocationReason: row.revocation_reason }),
  }
}

function consentOfRow(row: ConsentColumns): Consent {
  const { id, recipient, state, terms, granted_at: granted, ended_at: ended } = row
  if (state === 'requested' || state === 'declined') return { id, recipient, state }
  if (terms === null || granted === null) throw new Error(`consent ${id} is ${state} without terms`)
  const base = { id, recipient, terms, granted: granted.toISOString() }
  if (state === 'active') return { ...base, state }
  const at = ended?.toISOString()
  if (state === 'revoked' && at !== undefined && row.ended_by !== null)
    return { ...base, state, ended: { at, by: row.ended_by } }
  if (state === 'expired' && at !== undefined && row.ended_cause !== null)
    return { ...base, state, ended: { at, cause: row.ended_cause } }
  throw new Error(`consent ${id} is ${state} without an end`)
}

export interface ApprovalRow {
  recipient: string
  class: string
  purposes: string[]
  clusters: string[]
  keys: string[]
  suspended: boolean
}

/** The approval that a row holds. */
export function approvalOf(row: ApprovalRow): Approval {
  const { recipient, class: named, purposes, clusters, keys, suspended } = row
  if (!isClass(named)) throw new Error(`${recipient} is approved as ${named}`)
  return {
    recipient,
    class: named,
    purposes,
    clusters: clusters.filter(isCluster),
    keys,
    suspended,
  }
}

interface TallyRow {
  client_id: string
  consent_id: string
  reason: string
  minute_ms: string
  class: string
  pending: string
}

function tallyOf(row: TallyRow) {
  if (!isClass(row.class)) throw new Error(`a tally of class ${row.class}`)
  const { client_id: client, consent_id: consent, reason } = row
  const name = tallyName({ client, consent, reason, minute: Number(row.minute_ms) })
  return [name, { class: row.class, pending: Number(row.pending) }] as const
}

function effectQueries(client: Client, bank: string, effects: readonly Effect[]) {
  return effects.map((effect) => {
    if ('remove' in effect)
      return client.query('delete from consents where bank_id = $1 and id = $2', [bank, effect.id])
    if ('take' in effect)
      return client.query(
        `update refusal_tallies set pending = pending - $6 where bank_id = $1 and client_id = $2 and consent_id = $3
           and reason = $4 and minute = to_timestamp($5 / 1000.0)`,
        [
          bank,
          effect.key.client,
          effect.key.consent,
          effect.key.reason,
          effect.key.minute,
          effect.count,
        ],
      )
    if ('see' in effect)
      return client.query('insert into approvals_seen (bank_id, signed_hash) values ($1, $2)', [
        bank,
        effect.signed,
      ])
    if ('end' in effect) return endQuery(client, bank, effect)
    return effect.set === 'consent'
      ? client.query({
          name: 'save_consent',
          text: saveConsentSql,
          values: [
            bank,
            ...consentValues(effect.record),
            effect.sealed?.accounts ?? null,
            effect.sealed?.evidence ?? null,
          ],
        })
      : client.query(
          `insert into approvals (bank_id, recipient, class, purposes, clusters, keys, suspended)
           values ($1, $2, $3, $4, $5, $6, $7)
           on conflict (bank_id, recipient) do update set class = excluded.class, purposes = excluded.purposes,
             clusters = excluded.clusters, keys = excluded.keys, suspended = excluded.suspended`,
          [
            bank,
            effect.approval.recipient,
            effect.approval.class,
            effect.approval.purposes,
            effect.approval.clusters,
            effect.approval.keys,
            effect.approval.suspended,
          ],
        )
  })
}

function endQuery(client: Client, bank: string, effect: Extract<Effect, { end: string }>) {
  switch (effect.end) {
    case 'refresh_tokens':
      return client.query(
        `update refresh_tokens set ended_at = clock_timestamp() where bank_id = $1 and consent_id = $2 and ended_at is null`,
        [bank, effect.consent],
      )
    case 'bank_token':
      return client.query(
        `insert into outbox (bank_id, id, task, about) values ($1, 'bank_token.revoke ' || $2, 'bank_token.revoke', $2)
         on conflict (bank_id, id) do nothing`,
        [bank, effect.id],
      )
    case 'devices':
      return client.query(
        `delete from devices d using links l where d.bank_id = $1 and l.bank_id = $1 and l.id = $2 and d.login_index = l.login_index
           and not exists (select from consents c join links k on k.bank_id = c.bank_id and k.id = c.link_id
             where c.bank_id = $1 and k.login_index = l.login_index and c.state = 'active')`,
        [bank, effect.linkId],
      )
  }
}

const saveConsentSql = `
  update consents set state = $3, terms = $4, link_id = $5, bank_token_id = $6, granted_at = $7, expires_at = $8,
    ended_at = $9, ended_by = $10, ended_cause = $11, revocation_reason = $12,
    requested = $13, accounts_sealed = coalesce($14, accounts_sealed), evidence_sealed = coalesce($15, evidence_sealed)
  where bank_id = $1 and id = $2`

function consentValues({
  consent,
  linkId,
  bankTokenId,
  revocationReason,
  requested,
}: ConsentRecord): unknown[] {
  const terms = 'terms' in consent ? consent.terms : undefined
  return [
    consent.id,
    consent.state,
    terms === undefined ? null : JSON.stringify(terms),
    linkId ?? null,
    bankTokenId ?? null,
    'granted' in consent ? consent.granted : null,
    terms?.expires ?? null,
    'ended' in consent ? consent.ended.at : null,
    consent.state === 'revoked' ? consent.ended.by : null,
    consent.state === 'expired' ? consent.ended.cause : null,
    revocationReason ?? null,
    JSON.stringify(requested),
  ]
}
