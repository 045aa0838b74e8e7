import type { Approval } from '../consent/terms.ts'
import { joinedApprovalOf, type JoinedApproval } from './approval_row.ts'
import { batchedByBank } from './batched.ts'
import { consentColumns, recordOf, type ConsentColumns } from './consent_row.ts'
import { inOneGo, type Database } from './database.ts'
import type { ConsentRecord } from './ledger_state.ts'

/** One request for data, before anything is fetched. */
export interface Asked {
  readonly consent: string
  readonly recipient: string
  /** The id under which the bank will see the fetch; it is noted so that the bank's statement can be matched. */
  readonly fetch: string
  readonly interaction: string
}

/** What stands behind a consent at this moment. It decides nothing for good: the door decides again, under the lock. */
export interface Standing {
  readonly record: ConsentRecord
  readonly approval: Approval | undefined
  readonly linkKey: Buffer | undefined
  readonly bankToken:
    { readonly id: string; readonly sealed: Buffer; readonly expires: number } | undefined
  /** The bank's account behind each handle, sealed under the link's key. */
  readonly accounts: Buffer | undefined
}

/** The early check: one statement for all who ask a bank at the same time. */
export type EarlyCheck = (bank: string, asked: Asked) => Promise<Standing | undefined>

const batch_max = 256

export function openEarlyCheck(db: Database): EarlyCheck {
  return batchedByBank((bank, many) => checkMany(db, bank, many), { max: batch_max })
}

/**
 * The fetches are noted with an asynchronous commit: one that a crash forgets is later reported as a fetch that the broker
 * dropped, which is what it was.
 */
async function checkMany(
  db: Database,
  bank: string,
  many: readonly Asked[],
): Promise<(Standing | undefined)[]> {
  const rows = await inOneGo<StandingRow>(db, bank, {
    name: 'early_check',
    text: checkSql,
    values: [
      many.map((one) => one.consent),
      many.map((one) => one.recipient),
      many.map((one) => one.fetch),
      many.map((one) => one.interaction),
      bank,
    ],
  })
  const byOrder = new Map(rows.map((row) => [Number(row.ord), standingOf(row)]))
  return many.map((_, i) => byOrder.get(i + 1))
}

// A disabled client is refused as one that is suspended, which it is about to be wherever it was approved.
const checkSql = `
  with asked as (
    select * from unnest($1::text[], $2::text[], $3::text[], $4::text[]) with ordinality as a(consent_id, recipient, fetch_id, interaction, ord)
  ), bank as (select $5::text as id), noted as (
    insert into fetches (bank_id, id, consent_id, interaction)
    select bank.id, a.fetch_id, a.consent_id, a.interaction from bank, asked a
    join consents c on c.bank_id = (select id from bank) and c.id = a.consent_id
  )
  select a.ord, ${consentColumns}, k.sealed as link_key,
    t.sealed as token_sealed, floor(extract(epoch from t.expires_at) * 1000)::bigint as token_expires,
    p.class, p.purposes, p.clusters, p.keys, coalesce(p.suspended_at, r.disabled_at) as suspended_at, p.iat,
    c.accounts_sealed
  from bank b cross join asked a
  join consents c on c.bank_id = b.id and c.id = a.consent_id
  left join link_keys k on k.bank_id = b.id and k.link_id = c.link_id
  left join bank_tokens t on t.bank_id = b.id and t.id = c.bank_token_id and t.ended_at is null
  left join approvals p on p.bank_id = b.id and p.recipient = a.recipient
  left join clients r on r.id = a.recipient`

interface StandingRow extends ConsentColumns, JoinedApproval {
  ord: string
  link_key: Buffer | null
  token_sealed: Buffer | null
  token_expires: string | null
  accounts_sealed: Buffer | null
}

function standingOf(row: StandingRow): Standing {
  return {
    record: recordOf(row),
    approval: joinedApprovalOf(row),
    linkKey: row.link_key ?? undefined,
    bankToken:
      row.bank_token_id === null || row.token_sealed === null
        ? undefined
        : { id: row.bank_token_id, sealed: row.token_sealed, expires: Number(row.token_expires) },
    accounts: row.accounts_sealed ?? undefined,
  }
}
