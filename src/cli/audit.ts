import { bankNamed } from '../broker/broker.ts'
import { indexProgress, restartIndex } from '../storage/audit_index.ts'
import { parseOptions, UsageError } from './arguments.ts'
import { withBroker } from './with_broker.ts'

/** `countersign audit reindex`: what entries are found by is made anew, by brokers that run; the ledger is not touched. */
export async function auditCommand([action, ...argv]: string[]): Promise<number> {
  if (action !== 'reindex') throw new UsageError('audit reindex')
  const bank = parseOptions(argv, ['bank']).one('bank')
  const { signed } = await withBroker(async (broker) => {
    bankNamed(broker, bank)
    await restartIndex(broker.db, bank)
    return indexProgress(broker.db, bank)
  })
  process.stdout.write(`${signed} entries of ${bank} are being indexed anew\n`)
  return 0
}
