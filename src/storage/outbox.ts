import type { Tx } from './database.ts'

/** Something that must happen elsewhere because of something that happened here. */
export interface Task {
  readonly id: string
  readonly task: 'bank_token.revoke'
  /** What it is about: here, the id of the bank token. */
  readonly about: string
  /** How often it failed. */
  readonly attempts: number
}

/** The most overdue task that no other process has in hand, locked until the transaction ends. Given-up ones stay. */
export async function takeTask(
  tx: Tx,
  bank: string,
  { attempts_max }: { attempts_max: number },
): Promise<Task | undefined> {
  const { rows } = await tx.raw<{ rows: Task[] }>(
    `select id, task, about, attempts from outbox
     where bank_id = ? and done_at is null and due_at <= clock_timestamp() and attempts < ?
     order by due_at limit 1 for update skip locked`,
    [bank, attempts_max],
  )
  return rows[0]
}

export async function finishTask(tx: Tx, bank: string, id: string): Promise<void> {
  await tx.raw(`update outbox set done_at = clock_timestamp() where bank_id = ? and id = ?`, [
    bank,
    id,
  ])
}

/** Counts a failed attempt; the next comes after `delay_ms`. */
export async function postponeTask(
  tx: Tx,
  bank: string,
  { id, delay_ms }: { id: string; delay_ms: number },
): Promise<void> {
  await tx.raw(
    `update outbox set attempts = attempts + 1, due_at = clock_timestamp() + make_interval(secs => ?)
     where bank_id = ? and id = ?`,
    [delay_ms / 1_000, bank, id],
  )
}
