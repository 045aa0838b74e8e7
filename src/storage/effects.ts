import type { Client } from 'pg'
import { insertReadSql, readValues } from './audit_reads.ts'
import { addEventSql, eventValues } from './authorization_events.ts'
import { consentValues, saveConsentSql } from './consent_row.ts'
import { eraseLinksSql } from './erasures.ts'
import type { Effect } from './ledger_state.ts'

/** One statement for an effect. Its values were checked before the lock. */
export function effectQuery(client: Client, bank: string, effect: Effect): Promise<unknown> {
  switch (effect.kind) {
    case 'consent.save':
      return saveConsent(client, bank, effect)
    case 'consent.remove':
      return client.query(
        `with moved as (
           insert into authorization_events (bank_id, consent_id, at, event, interaction_id, by)
           select bank_id, $3, at, event, interaction_id, by from authorization_events
           where bank_id = $1 and consent_id = $2 on conflict do nothing
         )
         delete from consents where bank_id = $1 and id = $2`,
        [bank, effect.id, effect.into],
      )
    case 'authorization_event.add':
      return client.query(addEventSql, eventValues(bank, effect.event))
    case 'approval.save': {
      const {
        recipient,
        class: named,
        purposes,
        clusters,
        keys,
        iat,
        suspendedAt,
      } = effect.approval
      return client.query(
        `insert into approvals (bank_id, recipient, class, purposes, clusters, keys, iat, suspended_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict (bank_id, recipient) do update set class = excluded.class, purposes = excluded.purposes,
           clusters = excluded.clusters, keys = excluded.keys, iat = excluded.iat,
           suspended_at = excluded.suspended_at`,
        [bank, recipient, named, purposes, clusters, keys, iat, suspendedAt ?? null],
      )
    }
    case 'key.save':
      return client.query(
        `insert into ledger_keys (bank_id, owner, key, use) values ($1, $2, $3, $4)
         on conflict (bank_id, owner, key) do update set use = excluded.use`,
        [bank, effect.of, effect.key, effect.use],
      )
    case 'tally.take': {
      const { client: caller, consent, reason, minute } = effect.key
      return client.query(
        `update refusal_tallies set pending = pending - $6 where bank_id = $1 and client_id = $2 and consent_id = $3
           and reason = $4 and minute = to_timestamp($5 / 1000.0)`,
        [bank, caller, consent, reason, minute, effect.count],
      )
    }
    case 'codes.end':
      return client.query(
        `update authorization_codes set expires_at = clock_timestamp()
         where bank_id = $1 and consent_id = $2 and redeemed_at is null`,
        [bank, effect.consent],
      )
    case 'refresh_tokens.end':
      return client.query(
        `update refresh_tokens set ended_at = clock_timestamp()
         where bank_id = $1 and consent_id = $2 and ended_at is null`,
        [bank, effect.consent],
      )
    case 'refresh_token.end':
      return client.query(
        `update refresh_tokens set ended_at = clock_timestamp()
         where bank_id = $1 and token_hash = $2 and ended_at is null`,
        [bank, Buffer.from(effect.family, 'base64url')],
      )
    case 'access_token.revoke':
      return client.query(
        `insert into revoked_tokens (bank_id, jti, expires_at)
         values ($1, $2, clock_timestamp() + make_interval(secs => $3)) on conflict do nothing`,
        [bank, effect.name, effect.kept_s],
      )
    case 'read.save':
      return client.query(
        insertReadSql((i) => `$${i}`),
        readValues(bank, effect.read),
      )
    case 'bank_token.end':
      return client.query(
        `insert into outbox (bank_id, id, task, about)
         values ($1, 'bank_token.revoke ' || $2, 'bank_token.revoke', $2) on conflict (bank_id, id) do nothing`,
        [bank, effect.id],
      )
    case 'devices.end':
      return client.query(
        `delete from devices d using links l
         where d.bank_id = $1 and l.bank_id = $1 and l.id = $2 and d.login_index = l.login_index
           and not exists (select from consents c join links k on k.bank_id = c.bank_id and k.id = c.link_id
             where c.bank_id = $1 and k.login_index = l.login_index and c.state = 'active')`,
        [bank, effect.linkId],
      )
    case 'ledger.close':
      return client.query('update ledger_heads set closed = true where bank_id = $1', [bank])
    case 'mismatches.save':
      return client.query(
        `insert into statement_mismatches (bank_id, statement, fetch_id, release)
         select $1, $2, m.fetch_id, m.release from unnest($3::text[], $4::bigint[]) as m(fetch_id, release)`,
        [
          ...[bank, effect.statement],
          effect.mismatches.map((one) => one.fetch),
          effect.mismatches.map((one) => one.release ?? null),
        ],
      )
    case 'links.erase':
      return client.query(eraseLinksSql('$1', '$2'), [bank, effect.consents])
  }
}

/** What is new and sealed needs its link's key, which an erasure may have deleted since. Then the transaction ends. */
function saveConsent(
  client: Client,
  bank: string,
  effect: Extract<Effect, { kind: 'consent.save' }>,
): Promise<unknown> {
  const saved = client.query({
    name: 'save_consent',
    text: saveConsentSql,
    values: [bank, ...consentValues(effect)],
  })
  if (effect.sealed === undefined) return saved
  const keyed = client.query(
    'select must_be_one(count(*)) from link_keys where bank_id = $1 and link_id = $2',
    [bank, effect.record.linkId],
  )
  return Promise.all([saved, keyed])
}
