#!/usr/bin/env node
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
  if (error instanceof UsageError) {
    process.stderr.write(`${error.message}\nusage: countersign ${name} ${command?.usage}\n`)
    process.exitCode = 2
  } else {
    // It knows errors of everywhere, which a command that succeeds need not load.
    const { explain } = await import('./explain.ts')
    process.stderr.write(`${explain(error)}\n`)
    process.exitCode = 1
  }
}

function usage(): string {
  const lines = Object.entries(commands).map(
    ([key, { usage: args, what }]) => `  countersign ${key} ${args}\n      ${what}\n`,
  )
  return `usage:\n${lines.join('')}`
}
