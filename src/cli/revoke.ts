import { revokeConsent } from '../broker/revoke_consent.ts'
import { bankIdOf } from '../storage/ids.ts'
import { parseOptions, UsageError } from './arguments.ts'
import { withBroker } from './with_broker.ts'

/** `countersign revoke`: the operator ends a consent. Idempotent. */
export async function revokeCommand(argv: string[]): Promise<number> {
  const consentId = parseOptions(argv, ['consent']).one('consent')
  const bank = bankIdOf(consentId)
  if (bank === undefined) throw new UsageError(`${consentId} is not a consent id`)
  const ended = await withBroker((broker) =>
    revokeConsent(broker, { bank, consentId, by: 'operator', reason: 'BUSINESS_RULE' }),
  )
  process.stdout.write(
    `${consentId} ${ended.state} at ${ended.at}${ended.now ? '' : ' (before)'}\n`,
  )
  return 0
}
