#!/usr/bin/env node
import { ConfigError } from '../config.ts'
import { UsageError } from './arguments.ts'
import { commands } from './commands.ts'

const [name = '', ...argv] = process.argv.slice(2)
const command = Object.hasOwn(commands, name) ? commands[name] : undefined

try {
  if (command === undefined) {
    process.stderr.write(usage())
    process.exitCode = 2
  } else process.exitCode = await command.run(argv)
} catch (error) {
  // What a person can mend is said in words; anything else is a bug and shows where.
  const plain =
    error instanceof UsageError ||
    error instanceof ConfigError ||
    process.env['DEBUG'] === undefined
  process.stderr.write(
    `${error instanceof Error ? (plain ? error.message : error.stack) : String(error)}\n`,
  )
  process.exitCode = error instanceof UsageError ? 2 : 1
}

function usage(): string {
  const lines = Object.entries(commands).map(
    ([key, { usage: args, what }]) => `  countersign ${key} ${args}\n      ${what}\n`,
  )
  return `usage:\n${lines.join('')}`
}
