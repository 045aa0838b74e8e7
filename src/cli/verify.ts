import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { MerkleError } from '../merkle/errors.ts'
import { parsePolicy, type Policy } from '../merkle/policy.ts'
import { verifyJws } from '../storage/jws.ts'
import { nodeHasher, verifyEd25519 } from '../storage/node_crypto.ts'
import { reportText } from '../verifier/report_text.ts'
import { openSource } from '../verifier/source.ts'
import { verifyLedger } from '../verifier/verify.ts'
import { UsageError } from './arguments.ts'

const usage =
  'usage: countersign verify <url or folder> --policy <file> [--json] [--token-file <file>] [--against <checkpoint file>]'

/**
 * Verifies a ledger and writes the report to `out`, as text or as one line of JSON. Resolves to the exit code: 0 when nothing
 * was found wrong, 1 when something was, 2 when the command was called wrongly.
 */
export async function verifyCommand(argv: string[], out: NodeJS.WritableStream): Promise<number> {
  try {
    const { place, token, policy, earlier, json } = await readArguments(argv)
    const crypto = { hasher: nodeHasher, verifyEd25519, verifyJws }
    const report = await verifyLedger(openSource(place, { token }), { policy, earlier, crypto })
    out.write(json ? `${JSON.stringify(report)}\n` : reportText(report))
    return report.verified ? 0 : 1
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    out.write(`${error.message}\n${usage}\n`)
    return 2
  }
}

async function readArguments(argv: string[]) {
  const { values, positionals } = parse(argv)
  const { policy, against, json, 'token-file': tokenFile } = values
  const [place, ...more] = positionals
  if (place === undefined || more.length > 0) throw new UsageError('one URL or folder is needed')
  if (policy === undefined) throw new UsageError('--policy is needed: it says which keys to trust')
  return {
    place,
    json,
    policy: policyOf(await readArgument(policy)),
    token: tokenFile === undefined ? undefined : (await readArgument(tokenFile)).toString().trim(),
    earlier: against === undefined ? undefined : await readArgument(against),
  }
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        policy: { type: 'string' },
        json: { type: 'boolean', default: false },
        'token-file': { type: 'string' },
        against: { type: 'string' },
      },
    })
  } catch (error) {
    throw new UsageError(String(error))
  }
}

async function readArgument(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch {
    throw new UsageError(`${path} cannot be read`)
  }
}

function policyOf(file: Buffer): Policy {
  try {
    return parsePolicy(nodeHasher, file)
  } catch (error) {
    if (error instanceof MerkleError) throw new UsageError(`the policy is wrong: ${error.message}`)
    throw error
  }
}
