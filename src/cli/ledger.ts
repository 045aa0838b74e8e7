import { initMark, openLedger } from '../broker/open_ledger.ts'
import { parseOptions, UsageError } from './arguments.ts'
import { withBroker } from './with_broker.ts'

/** `countersign ledger open | init-mark`. */
export async function ledgerCommand([action, ...argv]: string[]): Promise<number> {
  switch (action) {
    case 'open':
      return open(parseOptions(argv, ['bank']).one('bank'))
    case 'init-mark':
      return setMark(parseOptions(argv, ['bank']).one('bank'))
    default:
      throw new UsageError('ledger open, or ledger init-mark')
  }
}

async function open(bank: string): Promise<number> {
  const opened = await withBroker((broker) => openLedger(broker, bank))
  process.stdout.write(
    opened ? `the ledger of ${bank} is open\n` : `the ledger of ${bank} was open already\n`,
  )
  return 0
}

async function setMark(bank: string): Promise<number> {
  const set = await withBroker((broker) => initMark(broker, bank))
  process.stdout.write(set ? `the mark of ${bank} is set\n` : `${bank} has a mark, which stays\n`)
  return set ? 0 : 1
}
