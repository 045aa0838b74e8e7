import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { MerkleError } from '../merkle/errors.ts'
import { parsePolicy } from '../merkle/policy.ts'
import { verifyJws } from '../storage/jws.ts'
import { nodeHasher, verifyEd25519 } from '../storage/node_crypto.ts'
import { reportText } from '../verifier/report_text.ts'
import { openSource } from '../verifier/source.ts'
import { verifyLedger } from '../verifier/verify.ts'

const usage = `usage: countersign verify <url or folder> --policy <file> [--json] [--token-file <file>] [--against <checkpoint file>]
`

/**
 * Verifies a ledger and writes the report to `out`, as text or as one line of JSON. Resolves to the exit code: 0 when nothing
 * was found wrong, 1 when something was, 2 when the command was called wrongly.
 */
export async function verifyCommand(argv: string[], out: NodeJS.WritableStream): Promise<number> {
  const asked = await readArguments(argv)
  if (typeof asked === 'string') {
    out.write(`${asked}\n${usage}`)
    return 2
  }
  const { place, token, policy, earlier, json } = asked
  const crypto = { hasher: nodeHasher, verifyEd25519, verifyJws }
  const report = await verifyLedger(openSource(place, { token }), { policy, earlier, crypto })
  out.write(json ? `${JSON.stringify(report)}\n` : reportText(report))
  return report.verified ? 0 : 1
}

/** What was asked for, or why it cannot be done. */
async function readArguments(argv: string[]) {
  try {
    const { values, positionals } = parseArgs({
      args: argv,
      allowPositionals: true,
      options: {
        policy: { type: 'string' },
        json: { type: 'boolean', default: false },
        'token-file': { type: 'string' },
        against: { type: 'string' },
      },
    })
    const [place, ...more] = positionals
    if (place === undefined || more.length > 0) return 'one URL or folder is needed'
    if (values.policy === undefined) return '--policy is missing: it says which key to trust'
    const token = values['token-file']
    return {
      place,
      json: values.json,
      policy: parsePolicy(nodeHasher, await readFile(values.policy)),
      token: token === undefined ? undefined : (await readFile(token, 'utf8')).trim(),
      earlier: values.against === undefined ? undefined : await readFile(values.against),
    }
  } catch (error) {
    if (error instanceof MerkleError) return `the policy cannot be used: ${error.message}`
    if (error instanceof Error && 'code' in error) return error.message
    throw error
  }
}
