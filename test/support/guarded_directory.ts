import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Waits for the end of its input, which is the end of whoever holds the other side, however that one ends. */
const script = `
  cat
  data=$(readlink -f "$1/data")
  pid=$(head -n 1 "$data/postmaster.pid")
  case $(ps -p "$pid" -o args=) in
    *"$data"*)
      kill -INT "$pid"
      while kill -0 "$pid"; do sleep 0.1; done ;;
  esac
  for attempt in 1 2 3 4 5 6 7 8 9; do # an initdb that lost its starter may still be writing
    rm -rf "$data" "$1" && break
    sleep 0.5
  done
`

/**
 * A new path for an embedded PostgreSQL. Nothing under it stays, process or file, once this process has ended, by kill -9
 * too; `clean` does the same at once.
 */
export function guardedDirectory(): { directory: string; clean: () => Promise<void> } {
  const directory = join(tmpdir(), `countersign-test-${randomBytes(8).toString('hex')}`)
  const guard = spawn('sh', ['-c', script, 'sh', directory], {
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  guard.unref()
  const clean = async () => {
    guard.ref()
    guard.stdin.end()
    if (guard.exitCode === null && guard.signalCode === null) await once(guard, 'exit')
  }
  return { directory, clean }
}
