import type { Tx } from './database.ts'

/** How long anyone but the door may stand still under a bank's lock, as the door itself may: everyone waits meanwhile. */
export const lock_idle_ms = 2_000

/**
 * Lets a transaction stand idle for so long, while something outside is asked under its lock. Elsewhere an idle transaction
 * is a fault and ends after seconds.
 */
export async function allowIdle(tx: Tx, idle_ms: number): Promise<void> {
  await tx.raw(`select set_config('idle_in_transaction_session_timeout', ?, true)`, [
    String(idle_ms),
  ])
}
