import { isClass } from '../consent/class.ts'
import { isCluster } from '../consent/cluster.ts'
import type { ApprovalRecord } from './ledger_state.ts'

/** The columns of `ApprovalRow`, of an approval `p`. */
export const approvalColumns =
  'p.recipient, p.class, p.purposes, p.clusters, p.keys, p.suspended_at, p.iat'

/** A bank's approval of a recipient, as every reader selects it. */
export interface ApprovalRow {
  recipient: string
  class: string
  purposes: string[]
  clusters: string[]
  keys: string[]
  suspended_at: Date | null
  iat: string
}

/** The approval that a row holds. */
export function approvalOf(row: ApprovalRow): ApprovalRecord {
  const { recipient, class: named, purposes, clusters, keys, suspended_at: suspended } = row
  if (!isClass(named)) throw new Error(`${recipient} is approved as ${named}`)
  return {
    recipient,
    class: named,
    purposes,
    clusters: clusters.filter(isCluster),
    keys,
    iat: Number(row.iat),
    suspended: suspended !== null,
    ...(suspended === null ? {} : { suspendedAt: suspended.toISOString() }),
  }
}

/** The columns of an approval beside a consent's, which say whose it is; nulls where there is none. */
export type JoinedApproval = Partial<Omit<ApprovalRow, 'recipient'>>

/** The approval beside a consent; undefined where its recipient has none. */
export function joinedApprovalOf(
  row: JoinedApproval & Pick<ApprovalRow, 'recipient'>,
): ApprovalRecord | undefined {
  return isApproved(row) ? approvalOf(row) : undefined
}

const isApproved = (row: JoinedApproval & Pick<ApprovalRow, 'recipient'>): row is ApprovalRow =>
  typeof row.class === 'string'

/** Saves an approval in place of the one before. `$1` is the bank, the rest are `approvalValues`. */
export const saveApprovalSql = `
  insert into approvals (bank_id, recipient, class, purposes, clusters, keys, iat, suspended_at)
  values ($1, $2, $3, $4, $5, $6, $7, $8)
  on conflict (bank_id, recipient) do update set class = excluded.class, purposes = excluded.purposes,
    clusters = excluded.clusters, keys = excluded.keys, iat = excluded.iat, suspended_at = excluded.suspended_at`

export function approvalValues(approval: ApprovalRecord): unknown[] {
  const { recipient, class: named, purposes, clusters, keys, iat, suspendedAt } = approval
  return [recipient, named, purposes, clusters, keys, iat, suspendedAt ?? null]
}
