import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { downloadLedger } from '../sandbox/ledger_files.ts'
import { startModule } from '../sandbox/module_process.ts'
import type { Broker } from '../src/broker/broker.ts'
import { encodeBundle, parseTilePath, tileWidth } from '../src/merkle/tiles.ts'
import { databaseTiles, findLedger, readLeaves } from '../src/storage/ledgers.ts'
import { publishCheckpoint } from '../src/storage/signed.ts'
import { bank, fillTo, startAppending, type Appending } from './append.ts'
import type { Stage } from './stage.ts'
import { median } from './statistics.ts'

const small_entries = 10_000
const large_entries = 1_000_000

const rounds = 9
/** Few enough that the small ledger stays small. */
const waves_per_slice = 12
const wave_entries = 64

export interface GrowthFigures {
  /** Cost of an append in a database of a million entries, over that in one of ten thousand. */
  readonly append_growth: number
  /** Entries checked a second, from files. */
  readonly verify_per_s: number
  readonly verify_rss_mb: number
}

/**
 * Fills one of two databases, otherwise alike, to a million entries through the door, measures appends in both in turn, and
 * verifies the large ledger from its files.
 */
export async function measureGrowth(stage: Stage): Promise<GrowthFigures> {
  const smallConfig = await stage.database('small')
  const filling = await startAppending(smallConfig)
  await fillTo(filling, small_entries)
  await filling.close()
  const large = await startAppending(await stage.database('large', smallConfig))
  const small = await startAppending(smallConfig)
  try {
    await fillTo(large, large_entries)
    const append_growth = await compare(small, large)
    const files = join(stage.folder, 'large_ledger')
    await writeFiles(large.broker, files)
    return { append_growth, ...(await verifyFiles(files)) }
  } finally {
    await small.close()
    await large.close()
  }
}

async function compare(small: Appending, large: Appending): Promise<number> {
  const ratios: number[] = []
  for (let round = 0; round < rounds; round++)
    ratios.push((await sliceOf(large)) / (await sliceOf(small)))
  return median(ratios)
}

/** How long a slice of appends takes, ms. */
async function sliceOf({ broker, wave }: Appending): Promise<number> {
  await broker.signer.sign(bank)
  await wave(wave_entries)
  const began = performance.now()
  for (let i = 0; i < waves_per_slice; i++) await wave(wave_entries)
  return performance.now() - began
}

/** The ledger's files, as they are served. */
async function writeFiles({ db, signer }: Broker, folder: string): Promise<void> {
  await signer.sign(bank)
  await mkdir(folder)
  const tiles = databaseTiles(db, bank)
  await downloadLedger(folder, async (path) => {
    if (path === 'checkpoint') return new Response((await publishCheckpoint(db, bank))?.note)
    if (path === 'policy')
      return new Response(`log ${(await findLedger(db, bank))?.vkey}\nquorum none\n`)
    const tile = parseTilePath(path)
    if (tile.level !== 'entries') return new Response(Buffer.from(await tiles.readTile(tile)))
    const from = tile.index * tileWidth
    const leaves = await readLeaves(db, bank, { from, to: from + tile.width })
    return new Response(Buffer.from(encodeBundle(leaves)))
  })
}

/** Three times, each in a process of its own. */
async function verifyFiles(folder: string) {
  const runs: { per_s: number; rss_mb: number }[] = []
  for (let run = 0; run < 3; run++) {
    const { first } = await startModule('bench/verify_main', { FOLDER: folder })
    runs.push(first as { per_s: number; rss_mb: number })
  }
  return {
    verify_per_s: median(runs.map(({ per_s }) => per_s)),
    verify_rss_mb: Math.max(...runs.map(({ rss_mb }) => rss_mb)),
  }
}
