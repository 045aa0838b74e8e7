import type { Broker } from '../broker/broker.ts'
import { loadConfig, type Config } from '../config.ts'
import { compose } from '../main.ts'

/** Runs one verb on a broker composed from the environment, and what a command's own options change of it. */
export async function withBroker<T>(
  work: (broker: Broker) => Promise<T>,
  changed: (config: Config) => Config = (config) => config,
): Promise<T> {
  const { broker, close } = await compose(changed(loadConfig()))
  try {
    return await work(broker)
  } finally {
    await close()
  }
}
