import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isMainThread } from 'node:worker_threads'
import { verifierCrypto } from '../src/cli/verifier_crypto.ts'
import { parsePolicy } from '../src/merkle/policy.ts'
import { nodeHasher } from '../src/storage/node_crypto.ts'
import { openSource } from '../src/verifier/open_source.ts'
import { treesInThreads, workOnTrees } from '../src/verifier/threads.ts'
import { verifyLedger } from '../src/verifier/verify.ts'

/** A process that verifies the ledger in a folder, as `countersign verify` does, and tells how fast and with what memory. */
export interface VerifyFigures {
  /** Entries a second, by the clock. */
  readonly per_s: number
  /** Entries a second of the processor time of the busiest thread: what it would be if nothing else ran. Linux only, else NaN. */
  readonly cpu_per_s: number
  readonly rss_mb: number
}

if (isMainThread) await measure(process.env['FOLDER'] ?? '', Number(process.env['THREADS'] ?? '1'))
else await workOnTrees(nodeHasher)

async function measure(folder: string, threads: number): Promise<void> {
  const policy = parsePolicy(nodeHasher, await readFile(join(folder, 'policy'), 'utf8'))
  const module = new URL(import.meta.url)
  const began = performance.now()
  const before = Math.max(...threadSeconds())
  let busiest_s = 0
  const report = await verifyLedger(openSource(folder), {
    policy,
    crypto: verifierCrypto,
    openTrees: threads > 1 ? treesInThreads({ module, folder, count: threads - 1 }) : undefined,
    watch(done, size) {
      if (size - done < 256) busiest_s = Math.max(...threadSeconds()) - before
    },
  })
  const took_s = (performance.now() - began) / 1_000
  if (!report.verified) throw new Error(JSON.stringify(report.findings))
  const entries = report.ledger?.size ?? 0
  const figures: VerifyFigures = {
    per_s: entries / took_s,
    cpu_per_s: entries / busiest_s,
    rss_mb: process.resourceUsage().maxRSS / 1_024,
  }
  process.send?.(figures, () => process.disconnect())
}

/** The processor time of each thread of this process so far, seconds: /proc/<pid>/task/<tid>/stat has it in ticks of 10 ms. */
function threadSeconds(): number[] {
  const tasks = '/proc/self/task'
  if (!existsSync(tasks)) return [NaN]
  return readdirSync(tasks).map((thread) => {
    const stat = readFileSync(join(tasks, thread, 'stat'), 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11]) + Number(fields[12])) / 100
  })
}
