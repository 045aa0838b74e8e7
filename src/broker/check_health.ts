import { unwitnessedMs } from '../storage/cosignatures.ts'
import { readLeaves } from '../storage/ledgers.ts'
import { lostWords } from '../storage/lost_entries.ts'
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

/** The banks of whose ledgers this process found signed entries that cannot be had, and cannot still. */
export async function checkLost({ db, bankPort }: Broker): Promise<Unhealthy[]> {
  const checks = [...bankPort.banks.keys()].map(async (bank) => {
    const lost = db.lost?.someOf(bank)
    // Read again, which takes back what was noted of them, if they are there by now.
    if (lost !== undefined) await readLeaves(db, bank, { at: lost.ns }).catch(() => undefined)
    const still = db.lost?.someOf(bank)
    return still === undefined ? [] : [{ bank, why: lostWords(still.ns, still.why) }]
  })
  return (await Promise.all(checks)).flat()
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
