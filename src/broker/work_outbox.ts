import { endBankToken, findBankToken, isInUse } from '../storage/bank_tokens.ts'
import { inBank, type Tx } from '../storage/database.ts'
import { allowIdle } from '../storage/idle_limit.ts'
import { removeUnusedLink } from '../storage/links.ts'
import {
  dropTask,
  finishTask,
  postponeTask,
  removeLinkOf,
  takeTask,
  type Task,
} from '../storage/outbox.ts'
import { openTokens } from './bank_tokens.ts'
import { bankNamed, type Broker } from './broker.ts'

export const limits = {
  tasks_per_turn_max: 256,
  /** About a month of hourly attempts. What fails then is left to the operator. */
  attempts_max: 720,
  backoff_ms_min: 1_000,
  backoff_ms_max: 3_600_000,
  /** Longer than any exchange with a bank that the gateway allows. */
  task_idle_ms: 30_000,
} as const

/**
 * Does what is due of one bank's outbox, one task after the other, and returns how many were done. The first failure ends the
 * turn: the bank is likely to fail the others too. A task is done at least once, and by one process at a time: its row stays
 * locked from before the bank is told until the end is noted.
 */
export async function workOutbox(broker: Broker, bank: string): Promise<number> {
  let done = 0
  while (done < limits.tasks_per_turn_max) {
    const outcome = await inBank(broker.askingDb, bank, (tx) => workOne(broker, tx, bank))
    if (outcome !== 'done') break
    done += 1
  }
  return done
}

async function workOne(broker: Broker, tx: Tx, bank: string): Promise<'done' | 'failed' | 'idle'> {
  await allowIdle(tx, limits.task_idle_ms)
  const task = await takeTask(tx, bank, limits)
  if (task === undefined) return 'idle'
  const failed = await duties[task.task](broker, tx, bank, task)
  if (failed === undefined) {
    await finishTask(tx, bank, task.id)
    return 'done'
  }
  await postponeTask(tx, bank, { id: task.id, delay_ms: backoff_ms(task.attempts) })
  if (task.attempts + 1 === limits.attempts_max) {
    broker.observe.alarm(
      bank,
      `${task.task} was given up after ${limits.attempts_max} attempts: ${failed.message}`,
    )
    if (task.task === 'bank_token.revoke') await letGo(tx, bank, task.about)
  }
  return 'failed'
}

/** What each task is. Returns what failed, and is then tried again. */
const duties: Readonly<
  Record<
    Task['task'],
    (broker: Broker, tx: Tx, bank: string, task: Task) => Promise<Error | undefined>
  >
> = {
  async 'bank_token.revoke'(broker, tx, bank, { id, about }) {
    // Left by a try of a grant that was entered after all. The consent's end will have the task anew.
    if (await isInUse(tx, { bank, id: about })) {
      await dropTask(tx, bank, id)
      return undefined
    }
    const failed = await tellBank(broker, tx, bank, about)
    if (failed === undefined) await letGo(tx, bank, about)
    return failed
  },
  async 'link.remove'(_, tx, bank, { about }) {
    const outcome = await removeUnusedLink(tx, { bank, id: about })
    return outcome === 'held' ? new Error('the link is held by a grant') : undefined
  },
}

/** The bank's tokens are done with. A link that no consent names goes in a turn of its own, under the bank's lock. */
async function letGo(tx: Tx, bank: string, token: string): Promise<void> {
  await endBankToken(tx, { bank, id: token })
  await removeLinkOf(tx, bank, token)
}

/** Ends one of the bank's tokens there, now, as its task would. Returns what failed. */
export function endTokenAtBank(
  broker: Broker,
  bank: string,
  id: string,
): Promise<Error | undefined> {
  return inBank(broker.askingDb, bank, async (tx) => {
    await allowIdle(tx, limits.task_idle_ms)
    const failed = await tellBank(broker, tx, bank, id)
    if (failed === undefined) await endBankToken(tx, { bank, id })
    return failed
  })
}

/** Ends the tokens at the bank. Nothing is left to tell once they have ended, or their link's key is gone. */
async function tellBank(
  broker: Broker,
  tx: Tx,
  bank: string,
  id: string,
): Promise<Error | undefined> {
  const row = await findBankToken(tx, { bank, id })
  if (row === undefined) return undefined
  try {
    const key = broker.vault.linkKey(row.keySealed, row.linkId)
    await broker.bankPort.revoke(bankNamed(broker, bank), openTokens(key, row))
    return undefined
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}

/** Doubles with each failure up to an hour, and takes a random half of it off so that tasks do not march in step. */
export function backoff_ms(attempts: number, random: () => number = Math.random): number {
  const full = Math.min(limits.backoff_ms_max, limits.backoff_ms_min * 2 ** Math.min(attempts, 32))
  return full * (1 - random() / 2)
}
