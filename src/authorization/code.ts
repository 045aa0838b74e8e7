import type { Broker } from '../broker/broker.ts'
import { insertCode } from '../storage/authorization_codes.ts'
import { inBank } from '../storage/database.ts'
import { random256, routed } from '../storage/ids.ts'
import type { PushedRequest } from '../storage/pushed_requests.ts'

/** FAPI 2.0 §5.3.2.1 no. 11. */
const code_s_max = 60

/**
 * A code for a consent that was just granted: 256 random bits, kept by hash, good for one redemption within 60 s by the
 * recipient that pushed the request. `consentId` differs from the pushed one when the grant renewed an identical consent.
 */
export async function issueCode(
  broker: Broker,
  pushed: PushedRequest,
  consentId: string,
): Promise<string> {
  const code = routed(pushed.bank, random256())
  await inBank(broker.db, pushed.bank, (tx) =>
    insertCode(tx, pushed.bank, {
      code,
      consentId,
      clientId: pushed.clientId,
      redirectUri: pushed.redirectUri,
      codeChallenge: pushed.codeChallenge,
      ...(pushed.dpopJkt === undefined ? {} : { dpopJkt: pushed.dpopJkt }),
      lifetime_s: code_s_max,
    }),
  )
  return code
}
