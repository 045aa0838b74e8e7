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
