import { grant_days_max, insertGrant, type AuditGrant } from '../storage/audit_grants.ts'
import { findClient } from '../storage/clients.ts'
import { random128 } from '../storage/ids.ts'
import type { Broker } from './broker.ts'

/** No audit can be granted so; the message says why. */
export class AuditNotGranted extends Error {
  override readonly name = 'AuditNotGranted'
}

/** What is granted: times are RFC 3339 UTC, `from` now where it is not given. */
export type Granting = Pick<AuditGrant, 'kind' | 'auditor' | 'until' | 'grantedBy'> & {
  readonly from?: string
}

/**
 * Lets an auditor read a bank's ledger for a time. Grants may overlap: each stands by itself until it ends or is revoked. Throws
 * `AuditNotGranted`.
 */
export async function grantAudit(
  broker: Broker,
  bank: string,
  { from = new Date(broker.now()).toISOString(), ...granting }: Granting,
): Promise<AuditGrant> {
  const { kind, auditor, until, grantedBy } = granting
  const days = (Date.parse(until) - Date.parse(from)) / 86_400_000
  if (!broker.bankPort.banks.has(bank))
    throw new AuditNotGranted(`no bank ${bank} is in the directory`)
  if (!(days > 0)) throw new AuditNotGranted('the grant would end before it begins')
  if (days > grant_days_max)
    throw new AuditNotGranted(`an audit is granted for at most ${grant_days_max} days at once`)
  if (grantedBy.length < 1 || grantedBy.length > 200)
    throw new AuditNotGranted('who grants it is said in 1 to 200 characters')
  if (kind === 'client') await checkClient(broker, bank, auditor)
  else if (!/^[A-Za-z0-9._:~-]{1,128}$/.test(auditor))
    throw new AuditNotGranted('not the id of a person on the staff')
  const grant = { ...granting, id: random128(), from }
  await insertGrant(broker.db, bank, grant)
  return grant
}

async function checkClient({ db }: Broker, bank: string, id: string): Promise<void> {
  const client = await findClient(db, id)
  if (client?.kind !== 'auditor' || client.bank !== bank)
    throw new AuditNotGranted(`${id} is not registered as an auditor of ${bank}`)
}
