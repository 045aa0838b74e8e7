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
  return argumentsOf(parse(argv, { names, flags, places: false }))
}

/** The same, of arguments that have one value without an option among them: the place that the command is about. */
export function parsePlaceAndOptions(
  argv: readonly string[],
  names: readonly string[],
  flags: readonly string[] = [],
): { place: string; options: Arguments } {
  const found = parse(argv, { names, flags, places: true })
  const [place, ...more] = found.places
  if (place === undefined || more.length > 0) throw new UsageError('one place is needed')
  return { place, options: argumentsOf(found) }
}

interface Given {
  readonly values: ReadonlyMap<string, readonly string[]>
  readonly given: ReadonlySet<string>
  readonly places: readonly string[]
}

function argumentsOf({ values, given }: Given): Arguments {
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

function parse(
  argv: readonly string[],
  { names, flags, places }: { names: readonly string[]; flags: readonly string[]; places: boolean },
): Given {
  const options = Object.fromEntries([
    ...names.map((name) => [name, { type: 'string', multiple: true }] as const),
    ...flags.map((name) => [name, { type: 'boolean', multiple: true }] as const),
  ])
  try {
    const { values, positionals } = parseArgs({
      ...{ args: [...argv], options, strict: true, allowPositionals: places },
    })
    const given = Object.entries(values).map(([name, all]) => [name, [all ?? []].flat()] as const)
    return {
      values: new Map(given.map(([name, all]) => [name, all.filter(isText)])),
      given: new Set(given.map(([name]) => name)),
      places: positionals,
    }
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

const isText = (value: unknown): value is string => typeof value === 'string'

/** An option's value as a whole number in the range, ends included. Throws `UsageError`. */
export function integerOf(
  name: string,
  text: string,
  { min, max }: { min: number; max: number },
): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : NaN
  if (value >= min && value <= max) return value
  throw new UsageError(`--${name} takes a whole number from ${min} to ${max}`)
}

/** A file named by an argument. Throws `UsageError` when it cannot be read. */
export function readFileArgument(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch {
    throw new UsageError(`${path} cannot be read`)
  }
}

/** The text of a file named by an argument, without the white space around it. Throws `UsageError` when it cannot be read. */
export const readTextArgument = (path: string): string => readFileArgument(path).toString().trim()
