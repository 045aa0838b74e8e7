import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parsePolicy } from '../src/merkle/policy.ts'
import { nodeHasher } from '../src/storage/node_crypto.ts'
import { verifierCrypto } from '../src/cli/verifier_crypto.ts'
import { openSource } from '../src/verifier/open_source.ts'
import { verifyLedger } from '../src/verifier/verify.ts'

/** A process that verifies the ledger in a folder, as `countersign verify` does, and tells how fast and with what memory. */
const folder = process.env['FOLDER'] ?? ''
const policy = parsePolicy(nodeHasher, await readFile(join(folder, 'policy'), 'utf8'))
const began = performance.now()
const report = await verifyLedger(openSource(folder), {
  policy,
  crypto: verifierCrypto,
})
const took_s = (performance.now() - began) / 1_000
if (!report.verified) throw new Error(JSON.stringify(report.findings))
process.send?.(
  {
    per_s: (report.ledger?.size ?? 0) / took_s,
    rss_mb: process.resourceUsage().maxRSS / 1_024,
  },
  () => process.disconnect(),
)
