import type { Consent } from '../consent/consent.ts'
import type { RevocationReason } from '../ledger/entry.ts'
import type { Replay } from '../ledger/replay.ts'
import { sumEdgeToBytes, type SumEdge, type SumNode } from '../merkle/sum_tree.ts'
import { edgeToBytes, type RightEdge, type Subtree } from '../merkle/tree.ts'
import { inBank, type Database, type Tx } from './database.ts'
import type { KeptConsent } from './kept_rows.ts'

/** How far the rebuilding of a bank's ledger has come, and what it is rebuilt to. */
export interface Restore {
  readonly phase: 'begun' | 'rebuilt' | 'finished'
  readonly size: number
  readonly note: string
}

/** The newest step of the rebuilding of a bank's ledger; undefined when it was never begun. */
export async function findRestore(db: Database, bank: string): Promise<Restore | undefined> {
  return inBank(db, bank, async (tx) => {
    const { rows } = await tx.raw<{ rows: (Omit<Restore, 'size'> & { size: string })[] }>(
      `select phase, size, note from restores where bank_id = ?
       order by phase = 'finished' desc, phase = 'rebuilt' desc, at desc limit 1`,
      [bank],
    )
    return rows[0] && { ...rows[0], size: Number(rows[0].size) }
  })
}

/** Notes a step. Noting it twice is noting it once. */
export async function addRestore(tx: Tx, bank: string, step: Restore): Promise<void> {
  await tx.raw(
    'insert into restores (bank_id, phase, size, note) values (?, ?, ?, ?) on conflict do nothing',
    [bank, step.phase, step.size, step.note],
  )
}

/** Where a bank has rows of its own: the tables that must be empty before a ledger is rebuilt. */
export async function occupiedTables(db: Database, bank: string): Promise<string[]> {
  return inBank(db, bank, async (tx) => {
    const found: string[] = []
    for (const table of ['ledger_heads', 'entries', 'consents', 'links', 'link_keys'] as const) {
      const { rows } = await tx.raw<{ rows: unknown[] }>(
        `select from ${table} where bank_id = ? limit 1`,
        [bank],
      )
      if (rows.length > 0) found.push(table)
    }
    return found
  })
}

/** An entry as it is stored, with what it adds to the trees. */
export interface RebuiltEntry {
  readonly n: number
  readonly kind: string
  readonly at: string
  readonly consent: string | undefined
  readonly leaf: Uint8Array
  readonly hash: Uint8Array
  readonly raised: { readonly total: number; readonly by: number } | undefined
}

/** Stores entries of a ledger that has no head yet. Those that an interrupted attempt stored stay as they are. */
export async function insertRebuilt(
  db: Database,
  bank: string,
  {
    entries,
    subtrees,
  }: {
    entries: readonly RebuiltEntry[]
    subtrees: readonly (Subtree & { readonly sum: SumNode })[]
  },
): Promise<void> {
  const bytes = (one: Uint8Array) => Buffer.from(one)
  await inBank(db, bank, async (tx) => {
    await tx.raw(
      `with written as (
         select n, kind, at, consent_id, leaf, hash, total, raised_by
         from unnest(?::bigint[], ?::text[], ?::timestamptz[], ?::text[], ?::bytea[], ?::bytea[], ?::smallint[], ?::bigint[])
           as e(n, kind, at, consent_id, leaf, hash, total, raised_by)
       ), entered as (
         insert into entries (bank_id, n, kind, at, consent_id, leaf)
         select ?, n, kind, at, consent_id, leaf from written on conflict do nothing
       )
       insert into leaf_hashes (bank_id, n, hash, total, raised_by)
       select ?, n, hash, total, raised_by from written on conflict do nothing`,
      [
        entries.map(({ n }) => n),
        entries.map(({ kind }) => kind),
        entries.map(({ at }) => at),
        nullable(entries.map(({ consent }) => consent ?? null)),
        entries.map(({ leaf }) => bytes(leaf)),
        entries.map(({ hash }) => bytes(hash)),
        nullable(entries.map(({ raised }) => raised?.total ?? null)),
        nullable(entries.map(({ raised }) => raised?.by ?? null)),
        bank,
        bank,
      ],
    )
    await tx.raw(
      `insert into subtree_hashes (bank_id, level, i, hash, sum)
       select ?, level, i, hash, sum from unnest(?::smallint[], ?::bigint[], ?::bytea[], ?::bytea[]) as s(level, i, hash, sum)
       on conflict do nothing`,
      [
        bank,
        subtrees.map(({ level }) => level),
        subtrees.map(({ index }) => index),
        subtrees.map(({ hash }) => bytes(hash)),
        subtrees.map(({ sum }) => bytes(sum)),
      ],
    )
  })
}

/** Knex knows no arrays with nulls in them. */
const nullable = (values: readonly unknown[]) => values as string[]

/** A consent as the ledger has it, and its row in a backup, where there is one that fits. */
export interface RebuiltConsent {
  readonly consent: Exclude<Consent, { state: 'requested' | 'declined' }>
  readonly revocationReason: RevocationReason | undefined
  readonly released: boolean
  readonly tail: number
  readonly kept: KeptConsent | undefined
}

const consents_at_once = 500
const lost_at_once = 256

/** The state that follows from the entries, in one transaction with the head: before it nothing lives, after it all of it does. */
export async function insertState(
  tx: Tx,
  bank: string,
  {
    state,
    edge,
    sums,
    vkey,
    notes,
    consents,
  }: {
    state: Replay
    edge: RightEdge
    sums: { readonly names: readonly string[]; readonly edge: SumEdge }
    vkey: string
    /** All checkpoints that are known, the newest last. */
    notes: readonly { readonly size: number; readonly note: string }[]
    consents: readonly RebuiltConsent[]
  },
): Promise<void> {
  await tx.raw('insert into ledger_locks (bank_id) values (?) on conflict do nothing', [bank])
  const edgeBytes = Buffer.from(edgeToBytes(edge))
  await tx.raw(
    `insert into ledger_heads (bank_id, size, edge, sum_names, sum_edge, totals, at, origin, vkey, closed)
     values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    [
      bank,
      edge.size,
      edgeBytes,
      [...sums.names],
      Buffer.from(sumEdgeToBytes(sums.edge)),
      JSON.stringify(state.totals),
      state.at,
      state.genesis?.origin ?? '',
      vkey,
      state.closed,
    ],
  )
  await tx.raw(
    'insert into ledger_signed (bank_id, size, edge, note, signed_at) values (?, ?, ?, ?, clock_timestamp())',
    [bank, edge.size, edgeBytes, notes.at(-1)?.note ?? ''],
  )
  for (const kept of notes)
    await tx.raw(
      'insert into checkpoints (bank_id, size, note) values (?, ?, ?) on conflict do nothing',
      [bank, kept.size, kept.note],
    )
  await insertRules(tx, bank, state)
  for (let at = 0; at < consents.length; at += consents_at_once)
    await insertConsents(tx, bank, consents.slice(at, at + consents_at_once))
}

/** Approvals and keys. */
async function insertRules(tx: Tx, bank: string, state: Replay): Promise<void> {
  for (const one of state.approvals.values())
    await tx.raw(
      `insert into approvals (bank_id, recipient, class, purposes, clusters, keys, iat, suspended_at)
       values (?, ?, ?, ?, ?, ?, ?, ?)`,
      [
        bank,
        one.recipient,
        one.class,
        [...one.purposes],
        [...one.clusters],
        [...(one.keys ?? [])],
        one.iat,
        one.suspendedAt ?? null,
      ],
    )
  for (const owner of ['ledger', 'tokens'] as const)
    for (const [key, use] of state.keys[owner])
      await tx.raw('insert into ledger_keys (bank_id, owner, key, use) values (?, ?, ?, ?)', [
        bank,
        owner,
        key,
        use,
      ])
}

/** A consent without a row in a backup has a link that is not there: nothing opens it. */
async function insertConsents(
  tx: Tx,
  bank: string,
  consents: readonly RebuiltConsent[],
): Promise<void> {
  const rows = JSON.stringify(consents.map((one) => rowOf(bank, one)))
  await tx.raw(
    `insert into consents (bank_id, id, recipient, state, requested, terms, link_id, bank_token_id, accounts_sealed,
       evidence_sealed, created_at, granted_at, expires_at, redeemed_at, ended_at, ended_by, ended_cause,
       revocation_reason, updated_by)
     select bank_id, id, recipient, state, requested, terms, link_id, bank_token_id, accounts_sealed, evidence_sealed,
       created_at, granted_at, expires_at, redeemed_at, ended_at, ended_by, ended_cause, revocation_reason, updated_by
     from jsonb_populate_recordset(null::consents, ?::jsonb)`,
    [rows],
  )
  await tx.raw(
    `insert into consent_tails (bank_id, consent_id, n)
     select ?, id, tail from jsonb_to_recordset(?::jsonb) as r(id text, tail bigint)`,
    [bank, rows],
  )
}

function rowOf(bank: string, { consent, revocationReason, released, tail, kept }: RebuiltConsent) {
  const { id, recipient, state, terms, granted } = consent
  const { purpose, clusters, lookback_days, one_time, delivery, expires } = terms
  const days = Math.ceil((Date.parse(expires) - Date.parse(granted)) / 86_400_000)
  const asked = { recipient, bank, purpose, clusters, lookback_days, one_time, delivery }
  return {
    requested: { ...asked, duration_days: days },
    ...{ link_id: `lost ${id}`, created_at: granted, redeemed_at: released ? granted : null },
    ...kept,
    ...{
      bank_id: bank,
      id,
      recipient,
      state,
      terms,
      tail,
      granted_at: granted,
      expires_at: expires,
    },
    ended_at: consent.state === 'active' ? null : consent.ended.at,
    ended_by: consent.state === 'revoked' ? consent.ended.by : null,
    ended_cause: consent.state === 'expired' ? consent.ended.cause : null,
    revocation_reason: revocationReason ?? null,
  }
}

/** Some of the active consents whose link, or its key, is not there. */
export async function lostConsents(tx: Tx, bank: string): Promise<string[]> {
  const { rows } = await tx.raw<{ rows: { id: string }[] }>(
    `select c.id from consents c
     where c.bank_id = :bank and c.state = 'active' and not exists (
       select from links l join link_keys k on k.bank_id = l.bank_id and k.link_id = l.id
       where l.bank_id = :bank and l.id = c.link_id)
     order by c.id limit ${lost_at_once}`,
    { bank },
  )
  return rows.map(({ id }) => id)
}

/** Has the tokens ended at the bank on which no active consent stands: it ended, or got others, after the backup. */
export async function endUnusedTokens(tx: Tx, bank: string): Promise<void> {
  await tx.raw(
    `insert into outbox (bank_id, id, task, about)
     select t.bank_id, 'bank_token.revoke ' || t.id, 'bank_token.revoke', t.id
     from bank_tokens t
     where t.bank_id = ? and t.ended_at is null and not exists (
       select from consents c where c.bank_id = t.bank_id and c.bank_token_id = t.id and c.state = 'active')
     on conflict do nothing`,
    [bank],
  )
}
