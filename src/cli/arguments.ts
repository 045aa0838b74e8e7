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
}

/** Parses `--name value` options, of the given names only. Throws `UsageError`. */
export function parseOptions(argv: readonly string[], names: readonly string[]): Arguments {
  const values = parse(argv, names)
  return {
    one(name) {
      const [value, ...more] = values.get(name) ?? []
      if (value === undefined) throw new UsageError(`--${name} is missing`)
      if (more.length > 0) throw new UsageError(`--${name} is given twice`)
      return value
    },
    all: (name) => values.get(name) ?? [],
  }
}

function parse(argv: readonly string[], names: readonly string[]): Map<string, string[]> {
  const options = Object.fromEntries(
    names.map((name) => [name, { type: 'string', multiple: true } as const]),
  )
  try {
    const { values } = parseArgs({ args: [...argv], options, strict: true })
    return new Map(Object.entries(values).map(([name, given]) => [name, given ?? []]))
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

/** A file named by an argument. Throws `UsageError` when it cannot be read. */
export function readArgumentFile(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    throw new UsageError(`${path} cannot be read`)
  }
}
