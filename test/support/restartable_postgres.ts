import { execFile } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { startPostgres, type Postgres } from '../../sandbox/postgres.ts'
import { migrate } from '../../src/storage/migrate.ts'
import { guardedDirectory } from './guarded_directory.ts'

const run = promisify(execFile)

/** A PostgreSQL of one test's own, to be killed and rolled back. Its URLs outlive every restart. */
export interface RestartablePostgres {
  readonly ownerUrl: string
  readonly serviceUrl: string
  /** kill -9 of the postmaster; returns when it is gone. Its backends follow when they notice. */
  kill(): Promise<void>
  /** After `kill` or `stop`. */
  start(): Promise<void>
  stop(): Promise<void>
  /** Stops, copies the data files, starts. Keeps the newest copy only. */
  snapshot(): Promise<void>
  /** Stops if it runs, puts the copied files back, starts: the database as it was at `snapshot`. */
  restore(): Promise<void>
  /** Stops and deletes everything. */
  drop(): Promise<void>
}

/** Starts one with the database `countersign` migrated. */
export async function restartablePostgres(
  settings: Readonly<Record<string, string>> = {},
): Promise<RestartablePostgres> {
  const { directory, clean } = guardedDirectory()
  const copy = join(directory, 'snapshot')
  let postgres: Postgres

  const start = async () => {
    postgres = await startPostgres({ directory, port: postgres.port, settings })
  }
  const stop = () => postgres.stop()
  const copyFiles = async (from: string, to: string) => {
    await rm(to, { recursive: true, force: true })
    await run('cp', ['-a', from, to]) // keeps the owner, whom PostgreSQL insists on
  }
  try {
    postgres = await startPostgres({ directory, settings })
    await migrate(postgres.ownerUrl)
  } catch (error) {
    await clean()
    throw error
  }
  return {
    ownerUrl: postgres.ownerUrl,
    serviceUrl: postgres.serviceUrl,
    start,
    stop,
    async kill() {
      process.kill(postgres.pid, 'SIGKILL')
      await stop()
    },
    async snapshot() {
      await stop()
      await copyFiles(postgres.data, copy)
      await start()
    },
    async restore() {
      await stop()
      await copyFiles(copy, postgres.data)
      await start()
    },
    drop: () => stop().finally(clean),
  }
}
