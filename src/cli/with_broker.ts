import type { Broker } from '../broker/broker.ts'
import { loadConfig } from '../config.ts'
import { compose } from '../main.ts'

/** Runs one verb on a broker composed from the environment. */
export async function withBroker<T>(work: (broker: Broker) => Promise<T>): Promise<T> {
  const { broker, close } = await compose(loadConfig())
  try {
    return await work(broker)
  } finally {
    await close()
  }
}
