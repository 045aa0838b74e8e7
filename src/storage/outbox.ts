import type { Tx } from './database.ts'

/** Something that must happen elsewhere because of something that happened here. */
export interface Task {
  readonly id: string
  readonly task: 'bank_token.revoke' | 'link.remove'
  /** What it is about: the id of the bank token, or of the link. */
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

/** Which task ends a bank's tokens there. */
const revokeTask = (token: string): string => `bank_token.revoke ${token}`

/**
 * Which tasks can still be put off, or dropped. One that is due may have been begun by a process that was killed before it noted
 * so: then the bank knows, and nobody here does.
 */
export const notBegun = 'done_at is null and attempts = 0 and due_at > clock_timestamp()'

/**
 * Has tokens ended at the bank after `delay_ms`, unless a grant claims them before. Asked again it counts from then, and returns
 * `put off`; once that may have begun it changes nothing, waits for nobody who has it in hand, and returns `begun`.
 */
export async function revokeUnlessClaimed(
  tx: Tx,
  bank: string,
  { token, delay_ms }: { token: string; delay_ms: number },
): Promise<'made' | 'put off' | 'begun'> {
  const made = await tx.raw<{ rowCount: number }>(
    `insert into outbox (bank_id, id, task, about, due_at)
     values (?, ?, 'bank_token.revoke', ?, clock_timestamp() + make_interval(secs => ?)) on conflict do nothing`,
    [bank, revokeTask(token), token, delay_ms / 1_000],
  )
  if (made.rowCount === 1) return 'made'
  const changed = await tx.raw<{ rowCount: number }>(
    `with task as (
       select bank_id, id from outbox where bank_id = ? and id = ? and ${notBegun} for update skip locked
     )
     update outbox o set due_at = clock_timestamp() + make_interval(secs => ?) from task
     where o.bank_id = task.bank_id and o.id = task.id`,
    [bank, revokeTask(token), delay_ms / 1_000],
  )
  return changed.rowCount === 1 ? 'put off' : 'begun'
}

/** Has what `revokeUnlessClaimed` put off done now. */
export async function revokeNow(tx: Tx, bank: string, token: string): Promise<void> {
  await tx.raw(
    `with task as (
       select bank_id, id from outbox where bank_id = ? and id = ? and ${notBegun} for update skip locked
     )
     update outbox o set due_at = clock_timestamp() from task where o.bank_id = task.bank_id and o.id = task.id`,
    [bank, revokeTask(token)],
  )
}

/** Has the link of ended tokens removed, where no consent names it. */
export async function removeLinkOf(tx: Tx, bank: string, token: string): Promise<void> {
  await tx.raw(
    `insert into outbox (bank_id, id, task, about)
     select t.bank_id, 'link.remove ' || t.id, 'link.remove', t.link_id from bank_tokens t
     where t.bank_id = ? and t.id = ?
       and not exists (select from consents c where c.bank_id = t.bank_id and c.link_id = t.link_id)
     on conflict do nothing`,
    [bank, token],
  )
}

/** Has the links removed on which nothing stands: what they were made for is not in the ledger that a backup was joined to. */
export async function removeUnusedLinks(tx: Tx, bank: string): Promise<void> {
  await tx.raw(
    `insert into outbox (bank_id, id, task, about)
     select l.bank_id, 'link.remove ' || l.id, 'link.remove', l.id from links l
     where l.bank_id = ?
       and not exists (select from consents c where c.bank_id = l.bank_id and c.link_id = l.id)
       and not exists (select from bank_tokens t where t.bank_id = l.bank_id and t.link_id = l.id and t.ended_at is null)
     on conflict do nothing`,
    [bank],
  )
}

/** A task that is not to be done after all. */
export async function dropTask(tx: Tx, bank: string, id: string): Promise<void> {
  await tx.raw('delete from outbox where bank_id = ? and id = ?', [bank, id])
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
