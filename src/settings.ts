import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { BlockList, isIP } from 'node:net'
import {
  isRateLimitGroup,
  rateLimits,
  type Budget,
  type RateLimitGroup,
} from './http/rate_limits.ts'
import { MerkleError } from './merkle/errors.ts'
import { noQuorum, parsePolicy, type Policy } from './merkle/policy.ts'
import { nodeHasher } from './storage/node_crypto.ts'
import { isJsonObject, type JsonObject } from './ledger/json_object.ts'

/** Where settings are read from. */
export type Environment = Readonly<Record<string, string | undefined>>

export type Settings = ReturnType<typeof settingsOf>

/** Reads one setting at a time. What is wrong goes to `problems`, one a setting, and something empty is returned for it. */
export function settingsOf(env: Environment) {
  const problems: string[] = []
  const problem = <T>(text: string, empty: T): T => {
    problems.push(text)
    return empty
  }
  const text = (key: string): string => env[key] || problem(`${key} is not set`, '')
  const content = (key: string): string | undefined => {
    const path = text(key)
    if (path === '') return undefined
    try {
      return readFileSync(path, 'utf8').trim()
    } catch {
      return problem(`${key}: ${path} cannot be read`, undefined)
    }
  }
  /** What `parse` makes of a file; undefined is for a content that is not `what`. */
  const parsed = <T>(
    key: string,
    { empty, what, parse }: { empty: T; what: string; parse: (content: string) => T | undefined },
  ): T => {
    const found = content(key)
    return found === undefined
      ? empty
      : (parse(found) ?? problem(`${key} does not hold ${what}`, empty))
  }
  return {
    problems,
    text,
    file: (key: string): string => content(key) ?? '',
    issuer(key: string): string {
      const value = text(key)
      return value === '' || isIssuer(value) ? value : problem(`${key} is not an https origin`, '')
    },
    httpsOrigin(key: string): string {
      const value = text(key)
      return isIssuer(value) && value.startsWith('https:')
        ? value
        : problem(`${key} is not an https origin`, '')
    },
    certificates: (key: string): readonly X509Certificate[] =>
      parsed(key, { empty: [], what: 'certificates of authorities, PEM', parse: parseAuthorities }),
    addresses(key: string): (address: string) => boolean {
      const value = text(key)
      const none = () => false
      return value === ''
        ? none
        : (parseAddresses(value) ?? problem(`${key} is not a list of addresses and subnets`, none))
    },
    headerName(key: string): string {
      const value = text(key).toLowerCase()
      return value === '' || /^[a-z\d-]+$/.test(value)
        ? value
        : problem(`${key} is not the name of a header`, '')
    },
    integer(key: string, { fallback, max }: { fallback: number; max: number }): number {
      const value = Number(env[key] ?? fallback)
      return Number.isInteger(value) && value >= 1 && value <= max
        ? value
        : problem(`${key} is not an integer from 1 to ${max}`, fallback)
    },
    /** The first one is the default. */
    oneOf<T extends string>(key: string, allowed: readonly [T, ...T[]]): T {
      const value = env[key] ?? allowed[0]
      return (
        allowed.find((one) => one === value) ??
        problem(`${key} is not one of ${allowed.join(', ')}`, allowed[0])
      )
    },
    budgets: (key: string): Readonly<Record<RateLimitGroup, Budget>> =>
      parsed(key, { empty: rateLimits, what: 'limits as documented', parse: parseBudgets }),
    bytes32: (key: string): Buffer =>
      parsed(key, { empty: Buffer.alloc(0), what: '32 bytes, base64url', parse: parseBytes32 }),
    policy: (key: string): Policy =>
      parsed(key, { empty: emptyPolicy, what: 'a tlog-policy', parse: parsePolicyFile }),
    /** Whole numbers from 1, by name. */
    seconds: (key: string, { max }: { max: number }): Readonly<Record<string, number>> =>
      parsed(key, {
        empty: {},
        what: `names with whole seconds from 1 to ${max}`,
        parse: (content) => parseSeconds(content, max),
      }),
    object: (key: string): JsonObject =>
      parsed(key, { empty: {}, what: 'a JSON object', parse: parseObject }),
  }
}

function parseBytes32(content: string): Buffer | undefined {
  const bytes = Buffer.from(content, 'base64url')
  return bytes.length === 32 ? bytes : undefined
}

const emptyPolicy: Policy = { logs: [], witnesses: new Map(), groups: new Map(), quorum: noQuorum }

function parsePolicyFile(content: string): Policy | undefined {
  try {
    return parsePolicy(nodeHasher, `${content}\n`)
  } catch (error) {
    if (error instanceof MerkleError) return undefined
    throw error
  }
}

function parseSeconds(content: string, max: number): Record<string, number> | undefined {
  const found = Object.entries(parseObject(content) ?? { '': undefined })
  const good = found.filter((pair): pair is [string, number] => {
    const [, value] = pair
    return Number.isInteger(value) && Number(value) >= 1 && Number(value) <= max
  })
  return good.length === found.length ? Object.fromEntries(good) : undefined
}

function parseObject(content: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(content)
    return isJsonObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** The default's figures, with those that a file names in their place. */
function parseBudgets(content: string): Readonly<Record<RateLimitGroup, Budget>> | undefined {
  const budgets: Record<RateLimitGroup, Budget> = { ...rateLimits }
  for (const [group, changed] of Object.entries(parseObject(content) ?? { '': undefined })) {
    if (!isRateLimitGroup(group) || !isBudget(changed)) return undefined
    const budget = Object.entries({ ...budgets[group], ...changed })
    budgets[group] = Object.fromEntries(budget.filter(([, points]) => points > 0))
  }
  return budgets
}

const points_max = 1_000_000_000

function isBudget(value: unknown): value is Budget {
  return (
    isJsonObject(value) &&
    Object.entries(value).every(
      ([by, points]) =>
        ['address', 'client'].includes(by) &&
        Number.isInteger(points) &&
        Number(points) >= 0 &&
        Number(points) <= points_max,
    )
  )
}

const isIssuer = (value: string): boolean =>
  isEncryptedOrNear(value) && new URL(value).origin === value

/** A URL of https, or on this machine, where the sandbox has everything. */
export function isEncryptedOrNear(value: string): boolean {
  if (!URL.canParse(value)) return false
  const { hostname, protocol } = new URL(value)
  const loopback = ['127.0.0.1', 'localhost', '[::1]'].includes(hostname)
  return protocol === 'https:' || (protocol === 'http:' && loopback)
}

function parseAuthorities(content: string): readonly X509Certificate[] | undefined {
  const blocks = content.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  try {
    const found = blocks.map((block) => new X509Certificate(block))
    return found.length > 0 && found.every(({ ca }) => ca) ? found : undefined
  } catch {
    return undefined
  }
}

/** Addresses and subnets by commas. An IPv4 address counts as well when it comes mapped into IPv6. */
function parseAddresses(value: string): ((address: string) => boolean) | undefined {
  const list = new BlockList()
  const family = (address: string) => (isIP(address) === 6 ? 'ipv6' : 'ipv4')
  try {
    for (const one of value.split(',')) {
      const [address = '', prefix] = one.trim().split('/')
      if (prefix === undefined) list.addAddress(address, family(address))
      else if (/^\d+$/.test(prefix)) list.addSubnet(address, Number(prefix), family(address))
      else return undefined
    }
  } catch {
    return undefined
  }
  return (address) => isIP(address) !== 0 && list.check(address, family(address))
}
