import { sumRootText } from '../merkle/sum_tree.ts'
import { nodeHasher } from '../storage/node_crypto.ts'
import type { Broker } from './broker.ts'

/**
 * Adds an `epoch` entry, totals and the root of their sum tree and nothing else, which anyone may be shown with its proof: when the ledger has grown since
 * the newest one and that is at least `age_ms` old. Any number of processes may ask; one entry comes of it.
 */
export async function writeEpoch(broker: Broker, bank: string, age_ms: number): Promise<boolean> {
  const outcome = await broker.door.append(bank, {
    names: { epoch: true },
    decide({ closed, newestEpoch, edge, sums, at }) {
      if (closed) return {}
      if (newestEpoch !== undefined && newestEpoch.n === edge.size - 1) return {}
      if (newestEpoch !== undefined && Date.parse(at) - Date.parse(newestEpoch.at) < age_ms)
        return {}
      const sum = sumRootText(nodeHasher, sums.edge)
      return { entry: { kind: 'epoch', body: { size: edge.size, sum } } }
    },
  })
  return outcome.kind === 'entered'
}
