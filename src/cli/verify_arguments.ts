import { readFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { parseArgs, type ParseArgsConfig } from 'node:util'
import type { PublicJwk } from '../ledger/entry.ts'
import { MerkleError } from '../merkle/errors.ts'
import { parsePolicy, type Policy } from '../merkle/policy.ts'
import { nodeHasher } from '../storage/node_crypto.ts'
import type { Freshness } from '../verifier/report.ts'
import { UsageError } from './arguments.ts'

/** What every verification takes, whatever it is of. */
export interface VerifyArguments {
  readonly place: string
  readonly policy: Policy
  readonly json: boolean
  /** The bank's key, as the bank gave it. */
  readonly bankKey: PublicJwk | undefined
  /** A checkpoint that was seen before. */
  readonly earlier: Uint8Array | undefined
  /** How old cosignatures may be. */
  readonly freshness: Freshness | undefined
  readonly threads: number
  /** The file to go on from, and to keep how far it has come in. */
  readonly resume: string | undefined
}

export const verifyArgumentsUsage =
  '--policy <file> [--bank-key <jwk file>] [--against <checkpoint file>] [--max-age <duration>] [--threads <n>] [--resume <file>] [--json]'

const options = {
  policy: { type: 'string' },
  json: { type: 'boolean', default: false },
  against: { type: 'string' },
  'bank-key': { type: 'string' },
  'max-age': { type: 'string' },
  threads: { type: 'string' },
  resume: { type: 'string' },
} as const

const threads_max = 64

/** Reads the arguments, those named in `more` too, whose values are given back. Throws `UsageError`. */
export async function readVerifyArguments<Name extends string = never>(
  argv: readonly string[],
  more: readonly Name[] = [],
): Promise<VerifyArguments & { readonly others: Readonly<Partial<Record<Name, string>>> }> {
  const others = Object.fromEntries(more.map((name) => [name, { type: 'string' as const }]))
  const { values, positionals } = parse(argv, others)
  const { against, json, threads, resume, 'bank-key': bankKey } = values
  const [place, ...rest] = positionals
  if (place === undefined || rest.length > 0) throw new UsageError('one place is needed')
  if (values.policy === undefined)
    throw new UsageError('--policy is needed: it says which keys to trust')
  const policy = policyOf(await readArgument(values.policy))
  return {
    place,
    json,
    policy,
    freshness: freshnessOf(values['max-age'], policy),
    bankKey: bankKey === undefined ? undefined : publicKeyOf(await readArgument(bankKey)),
    earlier: against === undefined ? undefined : await readArgument(against),
    threads: threadsOf(threads),
    resume,
    others: values as Partial<Record<Name, string>>,
  }
}

function parse(argv: readonly string[], more: NonNullable<ParseArgsConfig['options']>) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: { ...more, ...options },
    })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

function threadsOf(given: string | undefined): number {
  if (given === undefined) return availableParallelism()
  const threads = /^[1-9]\d?$/.test(given) ? Number(given) : NaN
  if (threads >= 1 && threads <= threads_max) return threads
  throw new UsageError(`--threads takes a number from 1 to ${threads_max}`)
}

/** A file named by an argument. Throws `UsageError` when it cannot be read. */
export async function readArgument(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch {
    throw new UsageError(`${path} cannot be read`)
  }
}

export function policyOf(file: Buffer): Policy {
  try {
    return parsePolicy(nodeHasher, file)
  } catch (error) {
    if (error instanceof MerkleError) throw new UsageError(`the policy is wrong: ${error.message}`)
    throw error
  }
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
