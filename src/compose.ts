import { openBanks } from './banks/port.ts'
import { openWitnessCalls } from './banks/witness_calls.ts'
import { openDoor } from './broker/append.ts'
import { ledgerOrigin, type Broker } from './broker/broker.ts'
import { ledgerKey } from './broker/ledger_keys.ts'
import { openSigner, type LedgerKey } from './broker/signing.ts'
import { openWitnessing, unwitnessed } from './broker/witnessing.ts'
import type { Config } from './config.ts'
import { openLog, type Log } from './observe/log.ts'
import type { Archive } from './storage/archive.ts'
import { openArchive } from './storage/archive_place.ts'
import { classOf } from './storage/clients.ts'
import { openDatabase } from './storage/database.ts'
import { openDoorConnections } from './storage/door_connections.ts'
import { openEarlyCheck } from './storage/early_check.ts'
import { openLostEntries } from './storage/lost_entries.ts'
import { isDatabaseUrl, openMarks } from './storage/marks_place.ts'
import { openRefusalCounter } from './storage/refusals.ts'
import { openVault } from './storage/vault.ts'

/** A broker's insides without its server: what `serve` in main.ts listens with, and what each other command needs. */
export interface Composed {
  readonly broker: Broker
  readonly log: Log
  /** What is at a client's `jwks_uri`. */
  readonly fetchKeySet: (uri: string) => Promise<unknown>
  close(): Promise<void>
}

/**
 * Puts a broker together from its configuration. Nothing is written, and nothing listens. `places` are what else may open sockets
 * in this process.
 */
export async function compose(config: Config, places: readonly Archive[] = []): Promise<Composed> {
  const log = openLog(config.logLevel)
  const archive = archiveOf(config)
  // Pools of their own, so that neither banks that hang nor a flood of requests can keep signing from a connection.
  const db = openDatabase(config.databaseUrl, { archive, lost: openLostEntries(log.alarm) })
  const askingDb = openDatabase(config.databaseUrl, { connections_max: 6 })
  const signingDb = openDatabase(config.databaseUrl, { connections_max: 2 })
  const witnessDb = openDatabase(config.databaseUrl, { connections_max: 3 })
  const databases = [config.databaseUrl, config.marks].filter(isDatabaseUrl)
  const { witnesses, sandbox } = config
  const urls = [...(witnesses?.policy.witnesses.values() ?? [])].flatMap(({ url }) => url ?? [])
  const witnessCalls = openWitnessCalls(urls, { sandbox })
  const banks = openBanks(
    { ...config, databases },
    {
      onStray: ({ channel, target }) =>
        log.alarm('egress', `${channel} reached ${target} around the gateway`),
      others: [...(archive === undefined ? [] : [archive]), ...places, witnessCalls.gateway],
    },
  )
  const ids = [...banks.port.banks.keys()]
  const keys = new Map<string, LedgerKey>(
    ids.map((bank) => [bank, ledgerKey(config.ledgerSeed, ledgerOrigin(config.issuer, bank))]),
  )
  const marks = openMarks(config.marks)
  const signer = openSigner(signingDb, { keys, marks: marks.store, alarm: log.alarm })
  const witnessing =
    witnesses === undefined
      ? unwitnessed
      : openWitnessing(witnesses, {
          ...{ db: witnessDb, signer, keys, port: witnessCalls, now: Date.now },
          observe: log.witnessAnswered,
          failed: (bank, error) => log.failed('witness', bank, error),
        })
  const connections = openDoorConnections(config.databaseUrl, { connections_max: ids.length + 2 })
  const door = openDoor(connections, signer)
  const broker: Broker = {
    db,
    askingDb,
    door,
    signer,
    keys,
    marks: marks.store,
    bankPort: banks.port,
    witnessing,
    vault: openVault(config.masterKey),
    earlyCheck: openEarlyCheck(db),
    countRefusal: openRefusalCounter(db),
    classOf: (client) => classOf(db, client),
    issuer: config.issuer,
    ...(config.readsPerDay === undefined ? {} : { readsPerDay: config.readsPerDay }),
    observe: { dropped: log.dropped, reconciled: log.reconciled, alarm: log.alarm },
    now: Date.now,
  }
  return {
    broker,
    log,
    fetchKeySet: banks.fetchKeySet,
    async close() {
      await door.close()
      await witnessing.close()
      await connections.close()
      await marks.close()
      for (const { knex } of [db, askingDb, signingDb, witnessDb]) await knex.destroy()
      banks.close()
      witnessCalls.gateway.close()
      archive?.close()
    },
  }
}

function archiveOf({ archive }: Config): Archive | undefined {
  return archive.place === undefined ? undefined : openArchive(archive.place, archive)
}
