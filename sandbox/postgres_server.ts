import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { open, readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Account } from './postgres_account.ts'
import { postgresEnvironment } from './postgres_binaries.ts'
import type { Cluster, Role } from './postgres_cluster.ts'

const start_ms_max = 60_000
const predecessor_ms_max = 15_000
const log_characters_shown = 8_192

/** A server that answered. */
export interface Server {
  /** The superuser's session that claims the server for as long as we live. */
  readonly session: pg.Client
  readonly port: number
  readonly pid: number
  /** Absent for a server that another process started. */
  readonly child?: ChildProcess
}

export interface Launch {
  readonly postgres: string
  readonly account: Account | undefined
  readonly port: number | undefined
  readonly settings: Readonly<Record<string, string>>
}

export function urlOf(role: Role, port: number, { passwords }: Cluster): string {
  const database = role === 'postgres' ? 'postgres' : 'countersign'
  return `postgres://${role}:${passwords[role]}@127.0.0.1:${port}/${database}`
}

/** What may stand in the way of a start and passes: a predecessor that ends or recovers, its last backends, a port just taken. */
const passing = /"postmaster\.pid" already exists|pre-existing shared memory|Address already in use/

/** Adopts the cluster's server if one runs, else launches it. */
export async function openServer(cluster: Cluster, launch: Launch): Promise<Server> {
  const deadline = Date.now() + predecessor_ms_max
  for (;;) {
    const adopted = await adopt(cluster)
    if (adopted !== undefined) return adopted
    try {
      return await launchServer(cluster, launch)
    } catch (error) {
      if (!passing.test(String(error)) || Date.now() > deadline) throw error
    }
    await sleep(100)
  }
}

/** The server that postmaster.pid tells of, if it runs, is this cluster's and takes sessions. */
async function adopt(cluster: Cluster): Promise<Server | undefined> {
  const { port } = await readPidFile(cluster)
  const server = port ? await connect(port, cluster).catch(() => undefined) : undefined
  if (server !== undefined) await claim(server.session)
  return server
}

async function launchServer(cluster: Cluster, launch: Launch): Promise<Server> {
  const port = launch.port ?? (await freePort())
  const log = await open(cluster.log, 'a', 0o600)
  await log.truncate()
  const child = spawnServer(cluster, { ...launch, port, log: log.fd })
  let ended: string | undefined
  child.once('error', (error) => (ended = error.message))
  child.once('exit', (code, signal) => (ended = `postgres ended with ${signal ?? code}`))
  await log.close()
  const deadline = Date.now() + start_ms_max
  for (;;) {
    const server = await connect(port, cluster).catch(() => undefined)
    if (server !== undefined && server.pid === child.pid) {
      await claim(server.session)
      return { ...server, child }
    }
    await server?.session.end() // a predecessor that answers after all: the child will end of it
    if (ended === undefined && Date.now() > deadline) {
      child.kill('SIGQUIT')
      ended = `postgres took no session within ${start_ms_max} ms`
    }
    if (ended !== undefined) {
      const said = (await readFile(cluster.log, 'utf8')).slice(-log_characters_shown)
      throw new Error(`${ended}\n${said}`.trimEnd())
    }
    await sleep(25)
  }
}

function spawnServer(
  cluster: Cluster,
  { postgres, account, port, settings, log }: Launch & { port: number; log: number },
): ChildProcess {
  const parameters = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: 200,
    ...settings,
  }
  const flags = Object.entries(parameters).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  return spawn(postgres, ['-D', cluster.data, ...flags], {
    cwd: '/',
    detached: true, // a Ctrl-C must not reach it before the server above has drained
    env: postgresEnvironment,
    stdio: ['ignore', log, log],
    ...account,
  })
}

/** A superuser's session, once it is certain that this cluster's server, not another, holds the port. */
async function connect(port: number, cluster: Cluster): Promise<Server> {
  const session = new pg.Client({
    connectionString: urlOf('postgres', port, cluster),
    connectionTimeoutMillis: 2_000,
  })
  session.on('error', () => undefined) // it ends with its server
  try {
    await session.connect()
    const { rows } = await session.query<{ data_directory: string }>('show data_directory')
    assert.equal(rows[0]?.data_directory, cluster.data, `another PostgreSQL holds port ${port}`)
    const { pid } = await readPidFile(cluster)
    assert(pid)
    return { session, port, pid }
  } catch (error) {
    await session.end()
    throw error
  }
}

/**
 * One living process a server: a second one would stop it under the first. PostgreSQL drops the lock with the session, so
 * a process that was killed holds nothing once its session's end is noticed.
 */
async function claim(session: pg.Client): Promise<void> {
  try {
    await session.query(`set lock_timeout = '1s'; select pg_advisory_lock(hashtext('countersign'))`)
  } catch (cause) {
    await session.end()
    throw new Error('another running process uses it; stop that one first', { cause })
  }
}

/** PostgreSQL's fast shutdown, awaited. A server that is gone already is as good. */
export async function stopServer({ pid, child }: Server, cluster: Cluster): Promise<void> {
  if (child !== undefined) {
    if (child.kill('SIGINT')) await once(child, 'exit')
    return
  }
  const runs = (signal: NodeJS.Signals | 0) => {
    try {
      return process.kill(pid, signal)
    } catch {
      return false
    }
  }
  if (!existsSync(pidFile(cluster)) || !runs('SIGINT')) return
  while (existsSync(pidFile(cluster)) && runs(0)) await sleep(10)
}

const pidFile = (cluster: Cluster) => join(cluster.data, 'postmaster.pid')

/** Nothing where the file is missing or not yet written in full. */
async function readPidFile(cluster: Cluster): Promise<{ pid?: number; port?: number }> {
  const file = await readFile(pidFile(cluster), 'utf8').catch(() => '')
  const [pid, , , port] = file.split('\n').map(Number)
  return pid && port ? { pid, port } : {}
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  await once(probe.close(), 'close')
  assert(address !== null && typeof address === 'object')
  return address.port
}
