import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'

/** The command was called wrongly. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** Values by option name; an option may be given several times. */
export interface Arguments {
  /** The one value of an option. Throws `UsageError` when it is absent, or given twice. */
  one(name: string): string
  /** All values of an option, none included. */
  all(name: string): readonly string[]
  /** The one value of an option, or none. Throws `UsageError` when it is given twice. */
  maybe(name: string): string | undefined
  /** Whether a flag, which has no value, is given. */
  flag(name: string): boolean
}

/** Parses `--name value` options and `--name` flags, of the given names only. Throws `UsageError`. */
export function parseOptions(
  argv: readonly string[],
  names: readonly string[],
  flags: readonly string[] = [],
): Arguments {
  const { values, given } = parse(argv, names, flags)
  const maybe = (name: string) => {
    const [value, ...more] = values.get(name) ?? []
    if (more.length > 0) throw new UsageError(`--${name} is given twice`)
    return value
  }
  return {
    one(name) {
      const value = maybe(name)
      if (value === undefined) throw new UsageError(`--${name} is missing`)
      return value
    },
    all: (name) => values.get(name) ?? [],
    maybe,
    flag: (name) => given.has(name),
  }
}

function parse(argv: readonly string[], names: readonly string[], flags: readonly string[]) {
  const options = Object.fromEntries([
    ...names.map((name) => [name, { type: 'string', multiple: true }] as const),
    ...flags.map((name) => [name, { type: 'boolean', multiple: true }] as const),
  ])
  try {
    const { values } = parseArgs({ args: [...argv], options, strict: true })
    const given = Object.entries(values).map(([name, all]) => [name, [all ?? []].flat()] as const)
    return {
      values: new Map(given.map(([name, all]) => [name, all.filter(isText)])),
      given: new Set(given.map(([name]) => name)),
    }
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

const isText = (value: unknown): value is string => typeof value === 'string'

/** A file named by an argument. Throws `UsageError` when it cannot be read. */
export function readArgumentFile(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    throw new UsageError(`${path} cannot be read`)
  }
}
