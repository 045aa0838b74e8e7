import { eraseLink } from '../broker/erase_link.ts'
import { count } from '../ledger/words.ts'
import { bankIdOf } from '../storage/ids.ts'
import { parseOptions, UsageError } from './arguments.ts'
import { withBroker } from './with_broker.ts'

/** `countersign erase`: the customer behind a consent is erased at its bank. Idempotent. */
export async function eraseCommand(argv: string[]): Promise<number> {
  const options = parseOptions(argv, ['consent'], ['without-bank'])
  const consentId = options.one('consent')
  const bank = bankIdOf(consentId)
  if (bank === undefined) throw new UsageError(`${consentId} is not a consent id`)
  const withoutBank = options.flag('without-bank')
  const { erased } = await withBroker((broker) =>
    eraseLink(broker, { bank, consentId, withoutBank }),
  )
  process.stdout.write(
    erased === 0
      ? `the link behind ${consentId} was erased before\n`
      : `the link behind ${consentId} is erased, with ${count(erased, 'consent')}\n`,
  )
  return 0
}
