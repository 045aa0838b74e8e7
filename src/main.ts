import { hkdfSync } from 'node:crypto'
import { once } from 'node:events'
import type { Server } from 'node:http'
import { openAuthorization } from './authorization/authorization.ts'
import { moveTokenKeys, startTokenKeys } from './authorization/rotate_keys.ts'
import type { Broker } from './broker/broker.ts'
import { startHousekeeping } from './broker/housekeeping.ts'
import { CannotStart } from './cannot_start.ts'
import { compose } from './compose.ts'
import type { Config } from './config.ts'
import { unlimited, type RateLimiting } from './http/limits.ts'
import { createMtlsServer, createServer } from './http/server.ts'
import { backupWhenDue } from './recovery/backup.ts'
import { openArchive } from './storage/archive_place.ts'
import { openDatabase, type Database } from './storage/database.ts'
import { findLedger } from './storage/ledgers.ts'
import { pendingMigrations } from './storage/migrate.ts'
import { memoryCounters, postgresCounters } from './storage/rate_counters.ts'
import { unfitness } from './storage/readiness.ts'
import { findRestore } from './storage/restores.ts'

/** A broker that is listening. `close` drains: requests in hand are answered, batches in flight committed. */
export interface Serving {
  readonly url: string
  close(): Promise<void>
}

/** Starts the broker. Throws `CannotStart` with every reason at once; it never makes or mends a ledger on its own. */
export async function serve(config: Config): Promise<Serving> {
  const backups = backupsOf(config)
  const composed = await compose(config, backups === undefined ? [] : [backups.place])
  const { broker, log, fetchKeySet } = composed
  const limitsDb = openDatabase(config.databaseUrl, { connections_max: 4 })
  const limiting = limitingOf(config, limitsDb)
  const close = async () => {
    await composed.close()
    await limitsDb.knex.destroy()
    backups?.place.close()
  }
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
      },
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** How requests are counted. `db` is asked where all processes count together. */
export function limitingOf({ rateLimits, masterKey }: Config, db: Database): RateLimiting {
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
