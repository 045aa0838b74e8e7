import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'

/**
 * Starts a module of the build, named as `sandbox/bank_stub`, in a process of its own, and returns once that has sent its first
 * message, which is passed on. Its standard output, the log, is dropped. Rejects when it ends before.
 */
export async function startModule(
  name: string,
  env: Readonly<Record<string, string | undefined>> = {},
  args: readonly string[] = [],
): Promise<{ child: ChildProcess; first: unknown }> {
  const child = fork(builtModule(name), args, {
    env: { ...process.env, ...env },
    execArgv: [],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const first = await answerOf(child)
  return { child, first }
}

/** The next message of a process. Rejects when it ends instead. */
export async function answerOf(child: ChildProcess): Promise<unknown> {
  const told = new AbortController()
  const ended = once(child, 'exit', { signal: told.signal }).then(() => {
    throw new Error(`${child.spawnfile} ${child.spawnargs.join(' ')} ended with ${child.exitCode}`)
  })
  ended.catch(() => undefined)
  try {
    const [message]: unknown[] = await Promise.race([once(child, 'message'), ended])
    return message
  } finally {
    told.abort()
  }
}

/** Ends a process that this one started, and waits until it is gone. */
export async function endProcess(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM') {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill(signal)
  await gone
}

/** Sources may be run as they are, by jest for one; processes always run the build. */
function builtModule(name: string): URL {
  const found = [`../${name}.js`, `../dist/${name}.js`]
    .map((path) => new URL(path, import.meta.url))
    .find((url) => existsSync(url))
  if (found === undefined) throw new Error(`${name} is not built: run "npm run build"`)
  return found
}
