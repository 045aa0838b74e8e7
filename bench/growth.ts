import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { downloadLedger } from '../sandbox/ledger_files.ts'
import { startModule } from '../sandbox/module_process.ts'
import type { Broker } from '../src/broker/broker.ts'
import { encodeBundle, parseTilePath, tileWidth } from '../src/merkle/tiles.ts'
import { databaseTiles, findLedger, readLeaves } from '../src/storage/ledgers.ts'
import { publishCheckpoint } from '../src/storage/signed.ts'
import { bank, fillTo, startAppending, type Appending } from './append.ts'
import { measureAudit, type AuditFigures } from './audit.ts'
import type { Stage } from './stage.ts'
import { median } from './statistics.ts'
import type { VerifyFigures } from './verify_main.ts'

const small_entries = 10_000
const large_entries = 1_000_000

const rounds = 9
/** Few enough that the small ledger stays small. */
const waves_per_slice = 12
const wave_entries = 64

export interface GrowthFigures {
  readonly audit: AuditFigures
  /** Cost of an append in a database of a million entries, over that in one of ten thousand. */
  readonly append_growth: number
  readonly verify: Verifying
}

/**
 * Fills one of two databases, otherwise alike, to a million entries through the door, measures appends and audits in both in turn, and
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
    const audit = await measureAudit({ small, large })
    const files = join(stage.folder, 'large_ledger')
    const smallFiles = join(stage.folder, 'small_ledger')
    await writeFiles(large.broker, files)
    await writeFiles(small.broker, smallFiles)
    return { append_growth, audit, verify: await verifyFiles(files, smallFiles) }
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

/** What it takes to verify the files of a ledger, on one thread and on two. */
interface Verifying {
  readonly one_thread_per_s: number
  readonly two_threads_per_s: number
  /** The same of the processor time of the busiest thread, where other processes hold the threads up. */
  readonly one_thread_cpu_per_s: number
  readonly two_threads_cpu_per_s: number
  readonly rss_mb: number
  readonly two_threads_rss_mb: number
  /** On one thread, of a ledger of ten thousand entries. */
  readonly small_rss_mb: number
}

async function verifyFiles(large: string, small: string): Promise<Verifying> {
  const [one, two, few] = [
    await verifyRuns(large, 1),
    await verifyRuns(large, 2),
    await verifyRuns(small, 1),
  ]
  return {
    one_thread_per_s: one.per_s,
    two_threads_per_s: two.per_s,
    one_thread_cpu_per_s: one.cpu_per_s,
    two_threads_cpu_per_s: two.cpu_per_s,
    rss_mb: one.rss_mb,
    two_threads_rss_mb: two.rss_mb,
    small_rss_mb: few.rss_mb,
  }
}

/** Three times, each in a process of its own. */
async function verifyRuns(folder: string, threads: number): Promise<VerifyFigures> {
  const runs: VerifyFigures[] = []
  for (let run = 0; run < 3; run++) {
    const env = { FOLDER: folder, THREADS: String(threads) }
    const { first } = await startModule('bench/verify_main', env)
    runs.push(first as VerifyFigures)
  }
  return {
    per_s: median(runs.map(({ per_s }) => per_s)),
    cpu_per_s: median(runs.map(({ cpu_per_s }) => cpu_per_s)),
    rss_mb: Math.max(...runs.map(({ rss_mb }) => rss_mb)),
  }
}
