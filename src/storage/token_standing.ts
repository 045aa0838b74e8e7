import type { Approval } from '../consent/terms.ts'
import { joinedApprovalOf, type JoinedApproval } from './approval_row.ts'
import { batchedByBank } from './batched.ts'
import { consentColumns, recordOf, type ConsentColumns } from './consent_row.ts'
import { inOneGo, type Database } from './database.ts'
import { hashOf } from './ids.ts'
import type { ConsentRecord } from './ledger_state.ts'
import { familyIn } from './token_ids.ts'

/** A token that opens a consent: an access token by what it says, a refresh token by itself. */
export type OpeningToken =
  | { readonly consentId: string; readonly recipient: string; readonly jti: string }
  | { readonly refreshToken: string }

/** What stands behind such a token at this moment. */
export interface TokenStanding {
  readonly record: ConsentRecord
  readonly approval: Approval | undefined
  /** The recipient's pairwise id for the consent's link. */
  readonly sub: string
  /** When a refresh token was given out. */
  readonly given?: Date
}

/**
 * What stands behind a token of a bank; undefined when it was revoked or ended, when there is no such consent of its recipient,
 * and when that client is disabled. Whether the consent and the approval permit anything is the ground's to say.
 */
export type FindTokenStanding = (
  bank: string,
  token: OpeningToken,
) => Promise<TokenStanding | undefined>

const batch_max = 256

/** One statement for all who ask about a bank's tokens at the same time; it begins after each of them asked. */
export function openTokenStanding(db: Database): FindTokenStanding {
  return batchedByBank((bank, many) => findMany(db, bank, many), { max: batch_max })
}

async function findMany(
  db: Database,
  bank: string,
  many: readonly OpeningToken[],
): Promise<(TokenStanding | undefined)[]> {
  const rows = await inOneGo<StandingRow>(db, bank, {
    name: 'token_standing',
    text: standingSql,
    values: [bank, ...columnsOf(many)],
  })
  const byOrder = new Map(rows.map((row) => [Number(row.ord), standingOf(row)]))
  return many.map((_, i) => byOrder.get(i + 1))
}

/** The parameters after the bank: an access token has the first four, a refresh token the last. */
function columnsOf(many: readonly OpeningToken[]): unknown[] {
  const access = many.map((one) => ('jti' in one ? one : undefined))
  return [
    access.map((one) => one?.consentId ?? null),
    access.map((one) => one?.recipient ?? null),
    access.map((one) => one?.jti ?? null),
    access.map((one) => (one && familyIn(one.jti)) ?? null),
    many.map((one) => ('jti' in one ? null : hashOf(one.refreshToken))),
  ]
}

// Outer joins, so that the plan begins at the tokens whatever the database knows of its tables.
const standingSql = `
  with asked as (
    select * from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[]) with ordinality
      as a(consent_id, recipient, jti, family, token_hash, ord)
  ), good as (
    select a.ord, a.consent_id, a.recipient, null::timestamptz as given_at from asked a
    where a.jti is not null
      and not exists (select from revoked_tokens t where t.bank_id = $1 and t.jti = any(array[a.jti, a.family]))
    union all
    select a.ord, r.consent_id, r.client_id, r.created_at from asked a
    join refresh_tokens r on r.bank_id = $1 and r.token_hash = a.token_hash and r.ended_at is null
  )
  select g.ord, g.given_at, k.id is not null as enabled, ${consentColumns}, l.recipient_sub,
    p.class, p.purposes, p.clusters, p.keys, p.suspended_at, p.iat
  from good g
  join consents c on c.bank_id = $1 and c.id = g.consent_id and c.recipient = g.recipient
  left join clients k on k.id = g.recipient and k.disabled_at is null
  left join links l on l.bank_id = $1 and l.id = c.link_id
  left join approvals p on p.bank_id = $1 and p.recipient = g.recipient`

interface StandingRow extends ConsentColumns, JoinedApproval {
  ord: string
  given_at: Date | null
  enabled: boolean
  recipient_sub: string | null
}

function standingOf(row: StandingRow): TokenStanding | undefined {
  if (!row.enabled || row.recipient_sub === null) return undefined
  return {
    record: recordOf(row),
    approval: joinedApprovalOf(row),
    sub: row.recipient_sub,
    ...(row.given_at === null ? {} : { given: row.given_at }),
  }
}
