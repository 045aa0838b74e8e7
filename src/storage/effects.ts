import type { QueryConfig } from 'pg'
import { saveApprovalSql, approvalValues } from './approval_row.ts'
import { insertReadSql, readValues } from './audit_reads.ts'
import { addEventSql, eventValues } from './authorization_events.ts'
import { consentValues, saveConsentSql } from './consent_row.ts'
import { eraseLinksSql } from './erasures.ts'
import { saveKeySql } from './ledger_keys.ts'
import type { Effect, EffectOf } from './ledger_state.ts'
import { notBegun } from './outbox.ts'

/** A query in which `$1` is the bank, and the rest are these values. */
interface Query<E> {
  /** Under which it is planned once: for what most requests need. */
  readonly name?: string
  readonly text: string
  readonly values: (effect: E) => readonly unknown[]
}

/** The query of a kind of effect, and what must hold beside it for some of the kind. */
interface EffectQuery<E> extends Query<E> {
  readonly check?: Query<E> & { readonly when: (effect: E) => boolean }
}

/** What each kind of effect is in SQL. */
const queries: { readonly [Kind in Effect['kind']]: EffectQuery<EffectOf<Kind>> } = {
  'consent.save': {
    name: 'save_consent',
    text: saveConsentSql,
    values: consentValues,
    // What is new and sealed needs its link's key, which an erasure may have deleted since, and the bank's tokens, whose end at the
    // bank may have begun. Then the transaction ends, and waits under the bank's lock for nobody who is talking to the bank.
    check: {
      when: ({ sealed }) => sealed !== undefined,
      text: `
        with task as (
          select id from outbox where bank_id = $1 and id = 'bank_token.revoke ' || $3 and ${notBegun} for update skip locked
        ), claimed as (
          delete from outbox o using task where o.bank_id = $1 and o.id = task.id returning 1
        ), live as (
          select from bank_tokens where bank_id = $1 and id = $3 and link_id = $2 and ended_at is null for key share skip locked
        )
        select must_be_one((select count(*) from link_keys where bank_id = $1 and link_id = $2)),
          must_be_one((select count(*) from claimed)), must_be_one((select count(*) from live))`,
      values: ({ record }) => [record.linkId, record.bankTokenId],
    },
  },
  'consent.remove': {
    text: `
      with moved as (
        insert into authorization_events (bank_id, consent_id, at, event, interaction_id, by)
        select bank_id, $3, at, event, interaction_id, by from authorization_events
        where bank_id = $1 and consent_id = $2 on conflict do nothing
      )
      delete from consents where bank_id = $1 and id = $2`,
    values: ({ id, into }) => [id, into],
  },
  'authorization_event.add': { text: addEventSql, values: ({ event }) => eventValues(event) },
  'approval.save': { text: saveApprovalSql, values: ({ approval }) => approvalValues(approval) },
  'key.save': { text: saveKeySql, values: ({ of, key, use }) => [of, key, use] },
  'tally.take': {
    text: `
      update refusal_tallies set pending = pending - $6 where bank_id = $1 and client_id = $2 and consent_id = $3
        and reason = $4 and minute = to_timestamp($5 / 1000.0)`,
    values: ({ key, count }) => [key.client, key.consent, key.reason, key.minute, count],
  },
  'codes.end': {
    text: `
      update authorization_codes set expires_at = clock_timestamp()
      where bank_id = $1 and consent_id = $2 and redeemed_at is null`,
    values: ({ consent }) => [consent],
  },
  'refresh_tokens.end': {
    text: `
      update refresh_tokens set ended_at = clock_timestamp()
      where bank_id = $1 and consent_id = $2 and ended_at is null`,
    values: ({ consent }) => [consent],
  },
  'refresh_token.end': {
    text: `
      update refresh_tokens set ended_at = clock_timestamp()
      where bank_id = $1 and token_hash = $2 and ended_at is null`,
    values: ({ family }) => [Buffer.from(family, 'base64url')],
  },
  'access_token.revoke': {
    text: `
      insert into revoked_tokens (bank_id, jti, expires_at)
      values ($1, $2, clock_timestamp() + make_interval(secs => $3)) on conflict do nothing`,
    values: ({ name, kept_s }) => [name, kept_s],
  },
  'read.save': { text: insertReadSql, values: ({ read }) => readValues(read) },
  'bank_token.end': {
    text: `
      insert into outbox (bank_id, id, task, about)
      values ($1, 'bank_token.revoke ' || $2, 'bank_token.revoke', $2)
      on conflict (bank_id, id) do update set due_at = excluded.due_at where outbox.done_at is null`,
    values: ({ id }) => [id],
  },
  'devices.end': {
    text: `
      delete from devices d using links l
      where d.bank_id = $1 and l.bank_id = $1 and l.id = $2 and d.login_index = l.login_index
        and not exists (select from consents c join links k on k.bank_id = c.bank_id and k.id = c.link_id
          where c.bank_id = $1 and k.login_index = l.login_index and c.state = 'active')`,
    values: ({ linkId }) => [linkId],
  },
  'ledger.close': {
    text: 'update ledger_heads set closed = true where bank_id = $1',
    values: () => [],
  },
  'mismatches.save': {
    text: `
      insert into statement_mismatches (bank_id, statement, fetch_id, release)
      select $1, $2, m.fetch_id, m.release from unnest($3::text[], $4::bigint[]) as m(fetch_id, release)`,
    values: ({ statement, mismatches }) => [
      statement,
      mismatches.map(({ fetch }) => fetch),
      mismatches.map(({ release }) => release ?? null),
    ],
  },
  'links.erase': { text: eraseLinksSql, values: ({ consents }) => [consents] },
}

/** The queries of an effect, in their order. Its values were checked before the lock. */
export function effectQueries(bank: string, effect: Effect): QueryConfig[] {
  const { check, ...query } = queries[effect.kind] as EffectQuery<Effect>
  const all: readonly Query<Effect>[] = check?.when(effect) ? [query, check] : [query]
  return all.map(({ name, text, values }) => ({
    ...(name === undefined ? {} : { name }),
    ...{ text, values: [bank, ...values(effect)] },
  }))
}
