import { setMaxListeners } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { purgeBank, purgeGlobal } from '../storage/purge.ts'
import type { Archive } from '../storage/archive.ts'
import type { Broker } from './broker.ts'
import { expireConsents } from './expire_consents.ts'
import { exportWhenDue } from './export_ledger.ts'
import { indexLedger } from './index_ledger.ts'
import { reconcileStatements, statement_slack_s } from './reconcile_statements.ts'
import { sweepRefusals } from './record_refusal.ts'
import { workOutbox } from './work_outbox.ts'
import { writeEpoch } from './write_epoch.ts'

/** How often each duty is done for each bank, ms. All processes do them; each is safe to be done by several at once. */
const every_ms = { sign: 1_000, index: 1_000, sweep: 5_000, purge: 60_000 } as const

/**
 * What happens without anyone asking: signing, the index for auditors, the entries of expiries and counted refusals, epochs, the
 * outbox, exports, reconciliations, and the
 * removal of rows that can matter no more. A duty that fails is tried again at its next turn, and reported. Returns a function
 * that ends it after the turn in hand.
 */
export function startHousekeeping(
  broker: Broker,
  {
    epochSeconds,
    exports,
    statementSlackSeconds = statement_slack_s,
    failed,
    also = {},
  }: {
    epochSeconds: number
    /** Where ledgers are exported to, and when: after so many seconds, or entries. */
    exports?: { archive: Archive; seconds: number; entries: number } | undefined
    statementSlackSeconds?: number
    failed: (duty: string, bank: string, error: unknown) => void
    /** Duties of the rooms above, of no bank, each by its name. */
    also?: Readonly<Record<string, () => Promise<void>>>
  },
): () => Promise<void> {
  const stopping = new AbortController()
  setMaxListeners(0, stopping.signal) // one for each duty that rests
  const banks = [...broker.bankPort.banks.keys()]
  const repeat = async (
    ms: number,
    duty: string,
    work: (bank: string) => Promise<unknown>,
    of = banks,
  ): Promise<void> => {
    while (!stopping.signal.aborted) {
      for (const bank of of) await work(bank).catch((error: unknown) => failed(duty, bank, error))
      await sleep(ms, undefined, { signal: stopping.signal }).catch(() => undefined)
    }
  }
  const loops = [
    repeat(every_ms.sign, 'sign', async (bank) => {
      const why = await broker.signer.sign(bank)
      await broker.witnessing.begin(bank)
      if (why !== undefined) throw new Error(why)
    }),
    repeat(every_ms.index, 'audit index', (bank) => indexLedger(broker, bank)),
    repeat(every_ms.sweep, 'sweep', async (bank) => {
      await expireConsents(broker, bank)
      await sweepRefusals(broker, bank)
      await writeEpoch(broker, bank, epochSeconds * 1_000)
    }),
    repeat(every_ms.sweep, 'statements', (bank) =>
      reconcileStatements(broker, bank, { slack_s: statementSlackSeconds }),
    ),
    repeat(every_ms.sweep, 'outbox', (bank) => workOutbox(broker, bank)),
    ...(exports === undefined
      ? []
      : [repeat(every_ms.sweep, 'export', (bank) => exportWhenDue(broker, bank, exports))]),
    repeat(every_ms.purge, 'purge', (bank) => purgeBank(broker.db, bank)),
    ...Object.entries(also).map(([duty, work]) => repeat(every_ms.sweep, duty, work, ['all'])),
    repeat(every_ms.purge, 'purge', () => purgeGlobal(broker.db), ['all']),
  ]
  return async () => {
    stopping.abort()
    await Promise.all(loops)
  }
}
