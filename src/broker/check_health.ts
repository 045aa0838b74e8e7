import { unwitnessedMs } from '../storage/cosignatures.ts'
import { unsignedMs } from '../storage/signed.ts'
import { limits } from './append.ts'
import type { Broker } from './broker.ts'

/** What is wrong with a bank's ledger. */
export interface Unhealthy {
  readonly bank: string
  readonly why: string
}

/** The banks whose ledger is not being signed in order. Throws when the database does not answer. */
export async function checkHealth(broker: Broker): Promise<Unhealthy[]> {
  const checks = [...broker.bankPort.banks.keys()].map(async (bank) => {
    const why = await whyUnsigned(broker, bank)
    return why === undefined ? [] : [{ bank, why }]
  })
  return (await Promise.all(checks)).flat()
}

/** The banks of whose ledgers this process looked for signed entries that are nowhere. */
export function checkLost({ db, bankPort }: Broker): Unhealthy[] {
  return [...bankPort.banks.keys()].flatMap((bank) => {
    const why = db.lost?.whyOf(bank)
    return why === undefined ? [] : [{ bank, why }]
  })
}

/** How long a quorum may be behind before someone should look, ms. */
const unwitnessed_ms_max = 60_000

/** The banks with entries that no quorum of witnesses has seen for a minute. Their data is released all the same. */
export async function checkWitnesses(broker: Broker): Promise<Unhealthy[]> {
  const { quorum } = broker.witnessing
  if (quorum === undefined) return []
  const checks = [...broker.bankPort.banks.keys()].map(async (bank) => {
    const waiting = await unwitnessedMs(broker.db, bank, quorum)
    return waiting > unwitnessed_ms_max
      ? [{ bank, why: `no quorum of witnesses has cosigned for ${waiting} ms` }]
      : []
  })
  return (await Promise.all(checks)).flat()
}

async function whyUnsigned({ db, signer }: Broker, bank: string): Promise<string | undefined> {
  const waiting = await unsignedMs(db, bank)
  if (waiting === undefined) return 'no ledger is open'
  const stopped = signer.stopped(bank)
  if (stopped !== undefined) return stopped
  return waiting > limits.unsigned_ms_max
    ? `the ledger has not been signed for ${waiting} ms`
    : undefined
}
