import type { ChildProcess } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../src/config.ts'
import { formatPolicy } from '../src/merkle/policy.ts'
import { endProcess, startModule } from './module_process.ts'

/** A broker in a process of its own. */
export interface BrokerProcess {
  readonly url: string
  readonly child: ChildProcess
  /** SIGTERM, which drains. */
  stop(): Promise<void>
}

/**
 * Starts `countersign serve` for a sandbox's configuration on another port, and returns once it listens. Its issuer stays the
 * configuration's, as behind a load balancer. `folder` is where its keys are written.
 */
export async function startBroker(
  config: Config,
  { port, folder }: { port: number; folder: string },
): Promise<BrokerProcess> {
  const env = await environmentOf({ ...config, port }, folder)
  const { child } = await startModule('sandbox/broker_main', env)
  return {
    url: `${config.tls === undefined ? 'http' : 'https'}://${config.host}:${port}`,
    child,
    stop: () => endProcess(child),
  }
}

/** The environment that says what a configuration says. Secrets go to files that their owner alone can read. */
export async function environmentOf(
  config: Config,
  folder: string,
): Promise<Record<string, string>> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const file = async (name: string, content: string) => {
    const path = join(folder, name)
    await writeFile(path, content, { mode: 0o600 })
    return path
  }
  return {
    DATABASE_URL: config.databaseUrl,
    ISSUER: config.issuer,
    HOST: config.host,
    PORT: String(config.port),
    ...(await tlsEnvironment(config, file)),
    BANKS_FILE: config.banksFile,
    MASTER_KEY_FILE: await file('master.key', config.masterKey.toString('base64url')),
    LEDGER_KEY_FILE: await file('ledger.key', config.ledgerSeed.toString('base64url')),
    CLIENT_KEY_FILE: await file('client_key.json', JSON.stringify(config.clientKey)),
    MARKS: config.marks,
    ...(await witnessEnvironment(config, file)),
    EPOCH_SECONDS: String(config.epochSeconds),
    STATEMENT_SLACK_SECONDS: String(config.statementSlackSeconds),
    RATE_LIMITS: config.rateLimits.kept,
    RATE_LIMITS_FILE: await file('rate_limits.json', JSON.stringify(config.rateLimits.budgets)),
    FREQUENCY_LIMIT: String(config.readsPerDay ?? 0),
    LOG_LEVEL: config.logLevel,
  }
}

async function witnessEnvironment(
  { witnesses }: Config,
  file: (name: string, content: string) => Promise<string>,
): Promise<Record<string, string>> {
  if (witnesses === undefined) return {}
  const { policy, cadence_s } = witnesses
  return {
    WITNESS_POLICY_FILE: await file('witness_policy', formatPolicy(policy)),
    WITNESS_CADENCE_FILE: await file('witness_cadence.json', JSON.stringify(cadence_s)),
  }
}

/** What a broker at https is told. It trusts its own certificate, which the sandbox's banks have too. */
async function tlsEnvironment(
  { tls, mtls }: Config,
  file: (name: string, content: string) => Promise<string>,
): Promise<Record<string, string>> {
  if (tls === undefined || mtls.origin === undefined) return {}
  const certificate = await file('server.crt', tls.cert)
  return {
    TLS_CERTIFICATE_FILE: certificate,
    TLS_KEY_FILE: await file('server.key', tls.key),
    MTLS_ORIGIN: mtls.origin,
    MTLS_PORT: String(mtls.port),
    MTLS_CA_FILE: await file('authorities.crt', mtls.authorities.join('\n')),
    NODE_EXTRA_CA_CERTS: certificate,
  }
}
