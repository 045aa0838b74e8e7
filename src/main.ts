import { hkdfSync } from 'node:crypto'
import { once } from 'node:events'
import type { Server } from 'node:http'
import { openAuthorization } from './authorization/authorization.ts'
import { moveTokenKeys, startTokenKeys } from './authorization/rotate_keys.ts'
import { openBanks } from './banks/port.ts'
import { openWitnessCalls } from './banks/witness_calls.ts'
import { openDoor } from './broker/append.ts'
import { ledgerOrigin, type Broker } from './broker/broker.ts'
import { startHousekeeping } from './broker/housekeeping.ts'
import { ledgerKey } from './broker/ledger_keys.ts'
import { openSigner, type LedgerKey } from './broker/signing.ts'
import { openWitnessing, unwitnessed } from './broker/witnessing.ts'
import type { Config } from './config.ts'
import { unlimited, type RateLimiting } from './http/limits.ts'
import { createMtlsServer, createServer } from './http/server.ts'
import { backupWhenDue } from './recovery/backup.ts'
import { openLog, type Log } from './observe/log.ts'
import type { Archive } from './storage/archive.ts'
import { openArchive } from './storage/archive_place.ts'
import { classOf } from './storage/clients.ts'
import { openDatabase, type Database } from './storage/database.ts'
import { openDoorConnections } from './storage/door_connections.ts'
import { openEarlyCheck } from './storage/early_check.ts'
import { findLedger } from './storage/ledgers.ts'
import { isDatabaseUrl, openMarks } from './storage/marks_place.ts'
import { pendingMigrations } from './storage/migrate.ts'
import { memoryCounters, postgresCounters } from './storage/rate_counters.ts'
import { openRefusalCounter } from './storage/refusals.ts'
import { unfitness } from './storage/readiness.ts'
import { findRestore } from './storage/restoring.ts'
import { openVault } from './storage/vault.ts'

/** The broker cannot start; the message says what to do. */
export class CannotStart extends Error {
  override readonly name = 'CannotStart'
}

/** A broker's insides without its server: what `serve` listens with, and what each other command needs. */
export interface Composed {
  readonly broker: Broker
  readonly log: Log
  readonly limiting: RateLimiting
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
  // Pools of their own, so that neither banks that hang nor a flood of requests can keep signing from a connection.
  const archive = archiveOf(config)
  const db = openDatabase(config.databaseUrl, { archive })
  const askingDb = openDatabase(config.databaseUrl, { connections_max: 6 })
  const signingDb = openDatabase(config.databaseUrl, { connections_max: 2 })
  const limitsDb = openDatabase(config.databaseUrl, { connections_max: 4 })
  const databases = [config.databaseUrl, config.marks].filter(isDatabaseUrl)
  const witnessDb = openDatabase(config.databaseUrl, { connections_max: 3 })
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
    limiting: limitingOf(config, limitsDb),
    fetchKeySet: banks.fetchKeySet,
    async close() {
      await door.close()
      await witnessing.close()
      await connections.close()
      await marks.close()
      for (const { knex } of [db, askingDb, signingDb, limitsDb, witnessDb]) await knex.destroy()
      banks.close()
      witnessCalls.gateway.close()
      archive?.close()
    },
  }
}

function archiveOf({ archive }: Config): Archive | undefined {
  return archive.place === undefined ? undefined : openArchive(archive.place, archive)
}

function limitingOf({ rateLimits, masterKey }: Config, db: Database): RateLimiting {
  const { kept, budgets } = rateLimits
  switch (kept) {
    case 'off':
      return unlimited
    case 'memory':
      return { counter: memoryCounters(), budgets }
    case 'postgres': {
      const secret = Buffer.from(hkdfSync('sha256', masterKey, '', 'countersign rate limits', 32))
      return { counter: postgresCounters(db, { secret }), budgets }
    }
  }
}

/** A broker that is listening. `close` drains: requests in hand are answered, batches in flight committed. */
export interface Serving {
  readonly url: string
  close(): Promise<void>
}

/** Starts the broker. Throws `CannotStart` with every reason at once; it never makes or mends a ledger on its own. */
export async function serve(config: Config): Promise<Serving> {
  const backups = backupsOf(config)
  const composed = await compose(config, backups === undefined ? [] : [backups.place])
  const { broker, log, limiting, fetchKeySet, close } = composed
  try {
    await refuseUnfit(broker, config)
    const keys = await startTokenKeys(broker)
    const authorization = openAuthorization(broker, {
      keys,
      nonceKey: Buffer.from(
        hkdfSync('sha256', config.masterKey, '', 'countersign dpop nonces', 32),
      ),
      mtls: config.mtls,
      keySets: { fetch: fetchKeySet, failed: log.keysFailed },
    })
    const { host, port, tls, mtls } = config
    const server = createServer(broker, authorization, log, { limiting, tls })
    const servers = [await listening(server, port, host)]
    if (tls !== undefined && mtls.port !== undefined) {
      const second = createMtlsServer(broker, authorization, log, { limiting, tls })
      servers.push(await listening(second, mtls.port, host))
    }
    const stopHousekeeping = startHousekeeping(broker, {
      epochSeconds: config.epochSeconds,
      exports: exportsOf(broker, config),
      statementSlackSeconds: config.statementSlackSeconds,
      failed: (duty, bank, error) => log.failed(duty, bank, error),
      also: {
        'token keys': () => keys.refresh(),
        'key rotation': () => moveTokenKeys(broker),
        ...(backups === undefined
          ? {}
          : { backup: async () => void (await backupWhenDue(broker, backups)) }),
      },
    })
    log.started({ url: config.issuer, banks: [...broker.bankPort.banks.keys()] })
    return {
      url: config.issuer,
      async close() {
        await Promise.all(servers.map(closeServer))
        await stopHousekeeping()
        await close()
        backups?.place.close()
      },
    }
  } catch (error) {
    await close()
    backups?.place.close()
    throw error
  }
}

function backupsOf({ archive, backup }: Config) {
  if (backup.place === undefined || backup.key === undefined) return undefined
  const place = openArchive(backup.place, { endpoint: archive.endpoint })
  return { place, key: backup.key, seconds: backup.seconds }
}

const exportsOf = ({ db: { archive } }: Broker, { archive: { seconds, entries } }: Config) =>
  archive && { archive, seconds, entries }

async function refuseUnfit(broker: Broker, config: Config): Promise<void> {
  const pending = await pendingMigrations(config.databaseUrl)
  if (pending.length > 0)
    throw new CannotStart(
      `the database lacks ${pending.join(', ')}: run "countersign migrate" as its owner`,
    )
  const reasons = await unfitness(broker.db, broker.now)
  for (const [bank, key] of broker.keys) {
    const ledger = await findLedger(broker.db, bank)
    const restore = await findRestore(broker.db, bank)
    if (restore !== undefined && restore.phase !== 'finished')
      reasons.push(`${bank} is being restored: run "countersign restore" again`)
    if (ledger === undefined)
      reasons.push(`${bank} has no ledger: run "countersign ledger open --bank ${bank}"`)
    else if (ledger.vkey !== key.vkey)
      reasons.push(
        `the ledger of ${bank} is signed by ${ledger.vkey}, and this process holds another key`,
      )
    // The gate before anything is served: a database that was rolled back stops signing here, and releasing with it. Witnesses
    // that do not answer stop nothing.
    else {
      await broker.witnessing.ask(bank)
      await broker.signer.sign(bank)
    }
  }
  if (reasons.length > 0)
    throw new CannotStart(`the broker cannot start:\n- ${reasons.join('\n- ')}`)
}

async function listening(server: Server, port: number, host: string): Promise<Server> {
  server.listen(port, host)
  await once(server, 'listening')
  return server
}

/** Idle connections are closed at once, busy ones after their answer. */
async function closeServer(server: Server): Promise<void> {
  const closed = once(server, 'close')
  server.close()
  server.closeIdleConnections()
  await closed
}
