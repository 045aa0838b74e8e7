import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { existsSync } from 'node:fs'
import { freePorts } from '../sandbox/free_ports.ts'
import { withBankStub } from '../sandbox/many_consents.ts'
import { endProcess } from '../sandbox/module_process.ts'
import { startPostgres } from '../sandbox/postgres.ts'
import { createDatabase, databaseUrl } from '../sandbox/postgres_database.ts'
import { openWorld } from '../sandbox/world.ts'
import type { Config } from '../src/config.ts'

/** The broker's, four banks' and the Messenger's. */
const world_ports = 6

/** What measurements stand on: the sandbox's world with a stub for the banks' data, and databases to be used up. */
export interface Stage {
  /** Where files may be put until `close`. */
  readonly folder: string
  /** A configuration on a database and marks of its own: four ledgers just opened, or those of another one, closed before. */
  database(name: string, from?: Config): Promise<Config>
  close(): Promise<void>
}

/** Sets the stage under `.countersign/bench`, on the disk that `npm start` uses too. */
export async function setStage(): Promise<Stage> {
  const folder = join(process.cwd(), '.countersign', 'bench')
  await clear(folder)
  const world = await openWorld({ directory: folder, port: await freePorts(world_ports) })
  const { config, stub } = await withBankStub(world.config, join(folder, 'stub_banks.json'))
  return {
    folder,
    async database(name, from = config) {
      const template = new URL(from.databaseUrl).pathname.slice(1)
      await createDatabase(world.ownerUrl, name, { template })
      const marks = join(folder, `marks-${name}`)
      await cp(from.marks, marks, { recursive: true })
      // All load comes from one address, and the cost of a request is what is measured.
      const rateLimits = { ...config.rateLimits, kept: 'off' } as const
      return { ...config, rateLimits, databaseUrl: databaseUrl(config.databaseUrl, name), marks }
    },
    async close() {
      await endProcess(stub)
      await world.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Removes what a run that was interrupted has left, a running server included. */
async function clear(folder: string): Promise<void> {
  const postgres = join(folder, 'postgres')
  if (existsSync(postgres)) await (await startPostgres({ directory: postgres })).stop()
  await rm(folder, { recursive: true, force: true })
}
