import type { Broker } from '../../src/broker/broker.ts'

/** Adds so many entries through the door, of the kind that needs no rows. */
export async function addEpochs(broker: Broker, bank: string, count: number): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, () =>
      broker.door.append(bank, {
        names: {},
        decide: ({ edge }) => ({ entry: { kind: 'epoch', body: { size: edge.size } } }),
      }),
    ),
  )
  await broker.signer.sign(bank)
}
