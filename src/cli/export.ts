import { bankNamed, type Broker } from '../broker/broker.ts'
import { exportLedger } from '../broker/export_ledger.ts'
import type { Config } from '../config.ts'
import { ledgerFolder } from '../storage/archive.ts'
import { parseOptions, UsageError } from './arguments.ts'
import { withBroker } from './with_broker.ts'

/** `countersign export`: what is signed and not in the archive yet, of one bank or of all. */
export async function exportCommand(argv: string[]): Promise<number> {
  const options = parseOptions(argv, ['to', 'bank'])
  const [to, bank] = [options.maybe('to'), options.maybe('bank')]
  await withBroker((broker) => exportAll(broker, bank), archivedAt(to))
  return 0
}

/** The configuration, with the archive at another place. */
export const archivedAt =
  (place: string | undefined) =>
  (config: Config): Config =>
    place === undefined ? config : { ...config, archive: { ...config.archive, place } }

async function exportAll(broker: Broker, only: string | undefined): Promise<void> {
  const {
    db: { archive },
    bankPort,
  } = broker
  if (archive === undefined) throw new UsageError('--to is missing, and ARCHIVE is not set')
  const banks = only === undefined ? [...bankPort.banks.keys()] : [bankNamed(broker, only).id]
  for (const bank of banks) {
    const { size, entries } = await exportLedger(broker, bank, archive)
    const place = `${archive.place.replace(/\/$/, '')}/${ledgerFolder(bank)}`
    process.stdout.write(`${place}  ${size} entries, ${entries} of them new\n`)
  }
}
