import { inBank, type Database } from './database.ts'

/** An auditor may be granted a ledger for so long at once, days. */
export const grant_days_max = 400

/** How auditors are known: by a registered client, or as a person whom the bank logged in, under a random id. */
export type AuditorKind = 'client' | 'staff'

/** Leave to read a bank's ledger as its auditor, [from, until). Times are RFC 3339 UTC. */
export interface AuditGrant {
  readonly id: string
  readonly kind: AuditorKind
  readonly auditor: string
  readonly from: string
  readonly until: string
  readonly grantedBy: string
  readonly revoked?: string
}

/** Keeps a grant. The database refuses one that is longer than it may be. */
export async function insertGrant(db: Database, bank: string, grant: AuditGrant): Promise<void> {
  await inBank(db, bank, (tx) =>
    tx.raw(
      `insert into audit_grants (bank_id, id, kind, auditor, starts_at, ends_at, granted_by) values (?, ?, ?, ?, ?, ?, ?)`,
      [bank, grant.id, grant.kind, grant.auditor, grant.from, grant.until, grant.grantedBy],
    ),
  )
}

const columns = 'id, kind, auditor, starts_at, ends_at, granted_by, revoked_at'

/**
 * The grant that stands now for an auditor, by the database's clock: the one of this id, or the one that stands longest. A client
 * that was disabled has none.
 */
export async function standingGrant(
  db: Database,
  bank: string,
  { kind, auditor, id = null }: Pick<AuditGrant, 'kind' | 'auditor'> & { id?: string | null },
): Promise<AuditGrant | undefined> {
  return inBank(db, bank, async (tx) => {
    const { rows } = await tx.raw<{ rows: GrantRow[] }>(
      `select ${columns} from audit_grants
       where bank_id = ? and kind = ? and auditor = ? and ends_at > clock_timestamp() and starts_at <= clock_timestamp()
         and revoked_at is null and id = coalesce(?, id)
         and (kind <> 'client' or exists (select from clients c where c.id = auditor and c.disabled_at is null))
       order by ends_at desc limit 1`,
      [bank, kind, auditor, id],
    )
    return rows[0] && grantOf(rows[0])
  })
}

/** All grants at a bank, newest first. */
export async function listGrants(db: Database, bank: string): Promise<AuditGrant[]> {
  return inBank(db, bank, async (tx) => {
    const { rows } = await tx.raw<{ rows: GrantRow[] }>(
      `select ${columns} from audit_grants where bank_id = ? order by granted_at desc, id`,
      [bank],
    )
    return rows.map(grantOf)
  })
}

/** Ends a grant now, for good. False when there is none, or it was ended before. */
export async function revokeGrant(db: Database, bank: string, id: string): Promise<boolean> {
  return inBank(db, bank, async (tx) => {
    const { rowCount } = await tx.raw<{ rowCount: number }>(
      'update audit_grants set revoked_at = clock_timestamp() where bank_id = ? and id = ? and revoked_at is null',
      [bank, id],
    )
    return rowCount === 1
  })
}

interface GrantRow {
  id: string
  kind: AuditorKind
  auditor: string
  starts_at: Date
  ends_at: Date
  granted_by: string
  revoked_at: Date | null
}

const grantOf = (row: GrantRow): AuditGrant => ({
  ...{ id: row.id, kind: row.kind, auditor: row.auditor, grantedBy: row.granted_by },
  ...{ from: row.starts_at.toISOString(), until: row.ends_at.toISOString() },
  ...(row.revoked_at === null ? {} : { revoked: row.revoked_at.toISOString() }),
})
