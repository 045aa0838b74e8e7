import { join } from 'node:path'
import { openAuthorization } from '../src/authorization/authorization.ts'
import type { Broker } from '../src/broker/broker.ts'
import type { Config } from '../src/config.ts'
import { compose } from '../src/compose.ts'
import { startBroker, type BrokerProcess } from './broker_process.ts'
import { freePorts } from './free_ports.ts'
import { grantMany, openTokenMint, type CrowdConsent, type TokenMint } from './many_consents.ts'
import { endProcess } from './module_process.ts'
import { tokenKeysNow } from './token_keys.ts'

/** Broker processes side by side on one configuration, as behind a load balancer. */
export interface Fleet {
  /** The same insides in this process, which serve nobody: to grant and to look with. */
  readonly broker: Broker
  readonly issuer: string
  readonly urls: readonly string[]
  readonly mint: TokenMint
  /** The process at a place. */
  at(place: number): BrokerProcess
  /** Starts a process at a place whose own has ended, under the same URL. */
  restart(place: number): Promise<void>
  /** Consents of every bank, mixed. */
  grant(perBank: number): Promise<CrowdConsent[]>
  close(): Promise<void>
}

export async function startFleet(
  config: Config,
  { folder, processes = 3 }: { folder: string; processes?: number },
): Promise<Fleet> {
  // This process is a crowd too, whose sockets are no broker's: its tripwire says nothing.
  const composed = await compose({ ...config, logLevel: 'silent' })
  const { broker } = composed
  const authorization = openAuthorization(broker, {
    keys: await tokenKeysNow(broker),
    nonceKey: config.masterKey,
  })
  const firstPort = await freePorts(processes)
  const start = (place: number) =>
    startBroker(config, { port: firstPort + place, folder: join(folder, `broker-${place}`) })
  const running = await Promise.all(Array.from({ length: processes }, (_, place) => start(place)))
  const at = (place: number) => {
    const found = running[place]
    if (found === undefined) throw new RangeError(`there is no broker ${place}`)
    return found
  }
  return {
    broker,
    issuer: config.issuer,
    urls: running.map(({ url }) => url),
    mint: await openTokenMint(broker, authorization),
    at,
    async restart(place) {
      running[place] = await start(place)
    },
    async grant(perBank) {
      const granted: CrowdConsent[] = []
      for (const bank of broker.bankPort.banks.keys())
        granted.push(...(await grantMany(broker, { bank, count: perBank })))
      return shuffled(granted)
    },
    async close() {
      await Promise.all(running.map(({ child }) => endProcess(child)))
      await composed.close()
    },
  }
}

function shuffled<T>(values: readonly T[]): T[] {
  return values
    .map((value) => ({ value, place: Math.random() }))
    .toSorted((a, b) => a.place - b.place)
    .map(({ value }) => value)
}
