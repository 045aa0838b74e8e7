import type { Approval } from '../consent/terms.ts'
import type { Tx } from './database.ts'
import { approvalOf, type ApprovalRow } from './door.ts'

/** A bank's approval of a recipient as it stands. It decides nothing for good: the door reads it again, under the lock. */
export async function findApproval(
  tx: Tx,
  bank: string,
  recipient: string,
): Promise<Approval | undefined> {
  const { rows } = await tx.raw<{ rows: ApprovalRow[] }>(
    `select recipient, class, purposes, clusters, keys, suspended from approvals
     where bank_id = ? and recipient = ?`,
    [bank, recipient],
  )
  return rows[0] && approvalOf(rows[0])
}
