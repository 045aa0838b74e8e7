import { tilePath, tileWidth } from '../src/merkle/tiles.ts'
import { bank, fillTo, startAppending } from './append.ts'
import { startProcesses } from './processes.ts'
import type { Stage } from './stage.ts'
import { median } from './statistics.ts'

/** So that every tile asked for is full. */
const tiles_count = 256
const rounds = 5
const warm_seconds = 0.5
/** Requests made for a slice, a second. */
const most_per_s = 8_000
/** One request in two is for one of so many tiles. */
const hot_tiles = 4

/** Full tiles of leaf hashes a second that the broker serves over HTTP: half of them the same few, half of them any. */
export async function measureTiles(
  stage: Stage,
  { seconds }: { seconds: number },
): Promise<number> {
  const config = await stage.database('tiles')
  const filling = await startAppending(config)
  await fillTo(filling, tiles_count * tileWidth)
  await filling.broker.signer.sign(bank)
  await filling.close()
  const processes = await startProcesses(stage, config)
  try {
    const slices: number[] = []
    for (let round = 0; round < rounds; round++) {
      const { per_s } = await processes.slice(
        {
          ...{ port: processes.ports.D, issuer: config.issuer, path: `/ledger/${bank}/` },
          count: Math.ceil(most_per_s * (seconds + warm_seconds)),
          files: { names: mixed() },
        },
        { warm_seconds, seconds },
      )
      slices.push(per_s)
    }
    return median(slices)
  } finally {
    await processes.close()
  }
}

/** Every tile once, each after a hot one, in an order that no cache foresees. */
const mixed = (): string[] =>
  Array.from({ length: tiles_count }, (_, i) => [i % hot_tiles, (i * 101) % tiles_count])
    .flat()
    .map((index) => tilePath({ level: 0, index, width: tileWidth }))
