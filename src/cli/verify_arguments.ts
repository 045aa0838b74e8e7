import { availableParallelism } from 'node:os'
import type { PublicJwk } from '../ledger/entry.ts'
import type { Policy } from '../merkle/policy.ts'
import type { Freshness } from '../verifier/report.ts'
import {
  integerOf,
  parsePlaceAndOptions,
  readFileArgument,
  UsageError,
  type Arguments,
} from './arguments.ts'
import { readPolicyFile } from './policy_file.ts'

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

const names = ['policy', 'bank-key', 'against', 'max-age', 'threads', 'resume']

const threads_allowed = { min: 1, max: 64 }

/** Reads the arguments, and options that are named in `more` beside those of every verification. Throws `UsageError`. */
export function readVerifyArguments(
  argv: readonly string[],
  more: readonly string[] = [],
): { given: VerifyArguments; options: Arguments } {
  const { place, options } = parsePlaceAndOptions(argv, [...names, ...more], ['json'])
  const policyFile = options.maybe('policy')
  if (policyFile === undefined)
    throw new UsageError('--policy is needed: it says which keys to trust')
  const policy = readPolicyFile(policyFile)
  const [bankKey, earlier] = ['bank-key', 'against'].map((name) => {
    const path = options.maybe(name)
    return path === undefined ? undefined : readFileArgument(path)
  })
  const given: VerifyArguments = {
    place,
    policy,
    json: options.flag('json'),
    freshness: freshnessOf(options.maybe('max-age'), policy),
    bankKey: bankKey && publicKeyOf(bankKey),
    earlier,
    threads: threadsOf(options.maybe('threads')),
    resume: options.maybe('resume'),
  }
  return { given, options }
}

const threadsOf = (given: string | undefined): number =>
  given === undefined ? availableParallelism() : integerOf('threads', given, threads_allowed)

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
