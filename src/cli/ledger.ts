import { initMark, openLedger } from '../broker/open_ledger.ts'
import { parseOptions, UsageError } from './arguments.ts'
import { withBroker } from './with_broker.ts'

export async function openLedgerCommand(
  action: string | undefined,
  argv: string[],
): Promise<number> {
  if (action !== 'open') throw new UsageError('ledger open, or ledger init-mark')
  const bank = parseOptions(argv, ['bank']).one('bank')
  const opened = await withBroker((broker) => openLedger(broker, bank))
  process.stdout.write(
    opened ? `the ledger of ${bank} is open\n` : `the ledger of ${bank} was open already\n`,
  )
  return 0
}

export async function initMarkCommand(argv: string[]): Promise<number> {
  const bank = parseOptions(argv, ['bank']).one('bank')
  const set = await withBroker((broker) => initMark(broker, bank))
  process.stdout.write(set ? `the mark of ${bank} is set\n` : `${bank} has a mark, which stays\n`)
  return set ? 0 : 1
}
