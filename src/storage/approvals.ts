import { runNumbered, type Tx } from './database.ts'
import {
  approvalColumns,
  approvalOf,
  approvalValues,
  saveApprovalSql,
  type ApprovalRow,
} from './approval_row.ts'
import type { ApprovalRecord } from './ledger_state.ts'

/** A bank's approval of a recipient as it stands. It decides nothing for good: the door reads it again, under the lock. */
export async function findApproval(
  tx: Tx,
  bank: string,
  recipient: string,
): Promise<ApprovalRecord | undefined> {
  const { rows } = await tx.raw<{ rows: ApprovalRow[] }>(
    `select ${approvalColumns} from approvals p where p.bank_id = ? and p.recipient = ?`,
    [bank, recipient],
  )
  return rows[0] && approvalOf(rows[0])
}

/** Saves an approval without the door: where a ledger is rebuilt. */
export async function saveApproval(tx: Tx, bank: string, approval: ApprovalRecord): Promise<void> {
  await runNumbered(tx, saveApprovalSql, [bank, ...approvalValues(approval)])
}
