import type { Archive } from '../storage/archive.ts'
import type { Broker } from '../broker/broker.ts'
import { loadConfig, type Config } from '../config.ts'
import { compose } from '../compose.ts'

/** Runs one verb on a broker composed from the environment, and what a command's own options change of it; `places` are what else may open sockets. */
export async function withBroker<T>(
  work: (broker: Broker) => Promise<T>,
  changed: (config: Config) => Config = (config) => config,
  places: readonly Archive[] = [],
): Promise<T> {
  const { broker, close } = await compose(changed(loadConfig()), places)
  try {
    return await work(broker)
  } finally {
    await close()
  }
}
