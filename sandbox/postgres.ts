import { join, resolve } from 'node:path'
import { chooseAccount } from './postgres_account.ts'
import { findBinaries } from './postgres_binaries.ts'
import { makeDirectory, openCluster, rootsPlace } from './postgres_cluster.ts'
import { provision } from './postgres_database.ts'
import { openServer, stopServer, urlOf } from './postgres_server.ts'

export interface PostgresOptions {
  /** Holds everything, `.countersign/postgres` say; made if missing. */
  readonly directory: string
  /** A free one if not given. An adopted server keeps its own. */
  readonly port?: number
  /** Server settings beside the defaults, for tests. */
  readonly settings?: Readonly<Record<string, string>>
}

/** A running PostgreSQL. Both URLs name the database `countersign`. */
export interface Postgres {
  /** As `countersign_owner`, who may create databases and roles, and migrates. */
  readonly ownerUrl: string
  /** As `countersign_service`, who may log in and do what migrations grant, no more. */
  readonly serviceUrl: string
  readonly port: number
  readonly pid: number
  /** PostgreSQL's data directory. */
  readonly data: string
  /** Ends every session and awaits the server's exit, its data checkpointed. Drain before. */
  stop(): Promise<void>
}

/**
 * Starts the PostgreSQL under `directory`, making its cluster on the first call; one left running by a process that was
 * killed is adopted, or waited for while it ends. It listens on 127.0.0.1 only, and outlives Ctrl-C so that the server
 * above it can drain first: whoever starts it must stop it. On any failure the error says what to do.
 */
export async function startPostgres(options: PostgresOptions): Promise<Postgres> {
  const directory = resolve(options.directory)
  try {
    return await start({ ...options, directory })
  } catch (cause) {
    throw new Error(
      `The embedded PostgreSQL did not start: ${cause instanceof Error ? cause.message : String(cause)}\n` +
        `Its files are under ${directory}. With that directory deleted, while nothing uses it, the next start makes an ` +
        'empty database; with DATABASE_URL set to a PostgreSQL 15 or later, none is embedded.',
      { cause },
    )
  }
}

async function start({ directory, port, settings = {} }: PostgresOptions): Promise<Postgres> {
  const account = await chooseAccount(join(directory, 'data'))
  await makeDirectory(directory, account)
  const copies = account === undefined ? join(directory, 'binaries') : rootsPlace
  const { initdb, postgres } = await findBinaries(account, copies)
  const cluster = await openCluster(directory, { account, initdb })
  const server = await openServer(cluster, { postgres, account, port, settings })
  const ownerUrl = urlOf('countersign_owner', server.port, cluster)
  try {
    await provision(server.session, { ownerUrl, passwords: cluster.passwords })
  } catch (error) {
    await stopServer(server, cluster)
    throw error
  }
  return {
    ownerUrl,
    serviceUrl: urlOf('countersign_service', server.port, cluster),
    port: server.port,
    pid: server.pid,
    data: cluster.data,
    stop: () => stopServer(server, cluster),
  }
}
