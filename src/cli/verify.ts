import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import type { JWK } from 'jose'
import type { PublicJwk } from '../ledger/entry.ts'
import { MerkleError } from '../merkle/errors.ts'
import { parsePolicy, type Policy } from '../merkle/policy.ts'
import { nodeHasher } from '../storage/node_crypto.ts'
import { reportText } from '../verifier/report_text.ts'
import { openSource } from '../verifier/source.ts'
import type { Freshness } from '../verifier/report.ts'
import { verifyLedger } from '../verifier/verify.ts'
import { UsageError } from './arguments.ts'
import { readAsAuditor, type Get } from './auditor.ts'
import { verifierCrypto as crypto } from './verifier_crypto.ts'

/** What `countersign verify` takes. */
export const verifyUsage =
  '<url or folder> --policy <file> [--bank-key <jwk file>] [--json] [--client <id> --client-key <jwk file>] [--against <checkpoint file>] [--max-age <duration>]'

/**
 * Verifies a ledger and writes the report to `out`, as text or as one line of JSON. Resolves to the exit code: 0 when nothing
 * was found wrong, 1 when something was. Throws `UsageError`.
 */
export async function verifyCommand(argv: string[], out: NodeJS.WritableStream): Promise<number> {
  const { place, getEntries, json, ...trusted } = await readArguments(argv)
  const report = await verifyLedger(openSource(place, { getEntries }), { ...trusted, crypto })
  out.write(json ? `${JSON.stringify(report)}\n` : reportText(report))
  return report.verified ? 0 : 1
}

async function readArguments(argv: string[]) {
  const { values, positionals } = parse(argv)
  const { against, json, client, 'client-key': keyFile, 'bank-key': bankKey } = values
  const [place, ...more] = positionals
  if (place === undefined || more.length > 0) throw new UsageError('one URL or folder is needed')
  if (values.policy === undefined)
    throw new UsageError('--policy is needed: it says which keys to trust')
  const policy = policyOf(await readArgument(values.policy))
  return {
    place,
    json,
    policy,
    freshness: freshnessOf(values['max-age'], policy),
    getEntries: await auditorOf(place, { client, keyFile }),
    bankKey: bankKey === undefined ? undefined : publicKeyOf(await readArgument(bankKey)),
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
        client: { type: 'string' },
        'client-key': { type: 'string' },
        against: { type: 'string' },
        'bank-key': { type: 'string' },
        'max-age': { type: 'string' },
      },
    })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
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

const seconds = { s: 1, m: 60, h: 3_600, d: 86_400 } as const

/** `90s`, `10m`, `2h`, `7d`: how old the cosignatures of the quorum may be now. */
function freshnessOf(duration: string | undefined, { quorum }: Policy): Freshness | undefined {
  if (duration === undefined) return undefined
  const [, count, unit = ''] = /^([1-9]\d{0,5})([smhd])$/.exec(duration) ?? []
  if (count === undefined)
    throw new UsageError('--max-age is a whole number and s, m, h or d, such as 10m')
  if (quorum === 'none')
    throw new UsageError('--max-age is of cosignatures, and the policy asks for none')
  return { max_age_s: Number(count) * seconds[unit as keyof typeof seconds], now: Date.now() }
}

/** Entries over HTTP are read as a registered client, when one is named. */
async function auditorOf(
  place: string,
  { client, keyFile }: { client: string | undefined; keyFile: string | undefined },
): Promise<Get | undefined> {
  if (client === undefined && keyFile === undefined) return undefined
  if (client === undefined || keyFile === undefined)
    throw new UsageError('--client and --client-key go together')
  const key = privateKeyOf(await readArgument(keyFile))
  if (!URL.canParse(place)) throw new UsageError('a client reads from a URL only')
  return readAsAuditor(new URL(place), { clientId: client, key })
}

function publicKeyOf(file: Buffer): PublicJwk {
  try {
    const key: unknown = JSON.parse(file.toString())
    if (typeof key === 'object' && key !== null && 'kty' in key && !('d' in key))
      return Object.fromEntries(Object.entries(key).map(([name, value]) => [name, String(value)]))
  } catch {
    // Said below: whatever is not such an object is no public key.
  }
  throw new UsageError('the bank key is not a public JWK')
}

function privateKeyOf(file: Buffer): JWK {
  try {
    const key: unknown = JSON.parse(file.toString())
    if (isPrivateJwk(key)) return key
  } catch {
    // Said below: whatever is not such an object is no private key.
  }
  throw new UsageError('the client key is not a private JWK')
}

const isPrivateJwk = (value: unknown): value is JWK =>
  typeof value === 'object' && value !== null && 'd' in value && 'kty' in value
