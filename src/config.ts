import { createPrivateKey, X509Certificate } from 'node:crypto'
import { statement_slack_s } from './broker/reconcile_statements.ts'
import type { WitnessConfig } from './broker/witnessing.ts'
import { rateLimits, type Budget, type RateLimitGroup } from './http/rate_limits.ts'
import { isEncryptedOrNear, settingsOf, type Environment, type Settings } from './settings.ts'

/** What the broker is told from outside. The only reader of the environment; parsed once, and frozen. */
export interface Config {
  /** `DATABASE_URL`, or a file that holds it, `DATABASE_URL_FILE`: PostgreSQL ≥ 15, as countersign_service or a member of it. */
  readonly databaseUrl: string
  /** `ISSUER`: the issuer identifier (RFC 8414), an https origin without a path; http only on loopback. */
  readonly issuer: string
  /** `HOST` and `PORT`: where to listen. Default 127.0.0.1 and 8080. */
  readonly host: string
  readonly port: number
  /** `TLS_CERTIFICATE_FILE` and `TLS_KEY_FILE`, PEM, both or neither: the server speaks https itself. */
  readonly tls?: { readonly cert: string; readonly key: string }
  /** How clients come with certificates (RFC 8705). */
  readonly mtls: {
    /** `MTLS_ORIGIN`: the https origin at which TLS asks for a client certificate. */
    readonly origin?: string
    /** `MTLS_PORT`: where this server listens for it. Without, a proxy does. */
    readonly port?: number
    /** `MTLS_CA_FILE`, PEM: the authorities whose certificates `tls_client_auth` goes by. */
    readonly authorities: readonly X509Certificate[]
    /**
     * `PROXY_ADDRESSES`, addresses and subnets by commas: who ends TLS for us. From there, and from nowhere else, `X-Forwarded-For`
     * tells where a request comes from, and the header named by `PROXY_CERTIFICATE_HEADER`, if any, the client certificate
     * (RFC 9440).
     */
    readonly proxies?: { readonly have: (address: string) => boolean; readonly header?: string }
  }
  /** `BANKS_FILE`: the bank directory (docs/operating.md). */
  readonly banksFile: string
  /** `MASTER_KEY_FILE`: 32 bytes, base64url. Wraps the key of every link, and the keys of tokens. */
  readonly masterKey: Buffer
  /** `LEDGER_KEY_FILE`: 32 bytes, base64url. The Ed25519 key of each ledger is derived from it. */
  readonly ledgerSeed: Buffer
  /** `CLIENT_KEY_FILE`: a private JWK, ES256 or EdDSA, by which the broker is known to banks. */
  readonly clientKey: Record<string, unknown>
  /**
   * `CLIENT_CERTIFICATE_FILE` and `CLIENT_CERTIFICATE_KEY_FILE`, PEM, both or neither: for banks that authenticate their
   * clients by mutual TLS only.
   */
  readonly clientCertificate?: { readonly cert: string; readonly key: string }
  /** `MARKS`: a folder, or the URL of a database that does not share the ledger's backups. */
  readonly marks: string
  /**
   * `WITNESS_POLICY_FILE`: a tlog-policy (c2sp.org/tlog-policy) with the witnesses that are asked to cosign, each with a URL, and the
   * quorum that is waited for. `WITNESS_CADENCE_FILE`: `{"<witness>":seconds}`, how often each is asked at most. Default 1.
   */
  readonly witnesses?: WitnessConfig
  /** `EPOCH_SECONDS`: how often totals are published while a ledger grows. Default 3,600. */
  readonly epochSeconds: number
  /** `STATEMENT_SLACK_SECONDS`: how far banks' clocks may be from ours, and how long we may wait for a bank. Default 120. */
  readonly statementSlackSeconds: number
  /** How ledgers are archived. */
  readonly archive: {
    /** `ARCHIVE`: a folder, or `s3://bucket/prefix`. Absent: they are not, but where a command says where. */
    readonly place?: string
    /** `ARCHIVE_ENDPOINT`: the https origin of S3-compatible storage that is not AWS's; http only on loopback. */
    readonly endpoint?: string
    /** `ARCHIVE_SECONDS` and `ARCHIVE_ENTRIES`: an export is due after so long, or so many entries. Default 3600 and 65,536. */
    readonly seconds: number
    readonly entries: number
  }
  /** How what no ledger holds is backed up. */
  readonly backup: {
    /** `BACKUP`: a folder, or `s3://bucket/prefix`. Absent: it is not, but where a command says where. */
    readonly place?: string
    /** `BACKUP_KEY_FILE`: 32 bytes, base64url. Encrypts backups. */
    readonly key?: Buffer
    /** `BACKUP_SECONDS`: how often. Default 86,400. */
    readonly seconds: number
  }
  /** Where requests are counted, and how many of each group are answered in a window. Default: the figures of rate_limits.ts. */
  readonly rateLimits: {
    /** `RATE_LIMITS`: in the `memory` of each process, which is the default, in `postgres` for all of them, or `off`. */
    readonly kept: (typeof limitsKept)[number]
    /** `RATE_LIMITS_FILE`: other figures than the default's, `{"<group>":{"address":n,"client":n}}`; 0 is no limit. */
    readonly budgets: Readonly<Partial<Record<RateLimitGroup, Budget>>>
  }
  /** `FREQUENCY_LIMIT`: reads of one consent a day while the customer is not there. Absent, or 0: as many as one likes. */
  readonly readsPerDay?: number
  /** `LOG_LEVEL`: pino's. Default info. */
  readonly logLevel: string
  /** Banks and this server may be on loopback over http. Set by the sandbox alone; no environment variable does. */
  readonly sandbox: boolean
}

const limitsKept = ['memory', 'postgres', 'off'] as const

/** Everything that is wrong with the environment, at once. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

/** Whether the environment names a database: without one, `npm start` is the sandbox. */
export function isConfigured(env: Environment = process.env): boolean {
  return env['DATABASE_URL'] !== undefined || env['DATABASE_URL_FILE'] !== undefined
}

/** `DATABASE_OWNER_URL`: the owner of the tables, for `countersign migrate` and `detach` alone. Throws `ConfigError`. */
export function loadOwnerUrl(env: Environment = process.env): string {
  const url = env['DATABASE_OWNER_URL']
  if (url === undefined) throw new ConfigError('DATABASE_OWNER_URL is not set')
  return url
}

/** Reads the configuration. Throws `ConfigError` naming every missing or malformed setting. */
export function loadConfig(env: Environment = process.env): Config {
  const read = settingsOf(env)
  const config: Config = {
    databaseUrl:
      env['DATABASE_URL_FILE'] === undefined
        ? read.text('DATABASE_URL')
        : read.file('DATABASE_URL_FILE'),
    issuer: read.issuer('ISSUER'),
    host: env['HOST'] ?? '127.0.0.1',
    port: read.integer('PORT', { fallback: 8080, max: 65_535 }),
    ...serverCertificate(env, read),
    mtls: mutualTls(env, read),
    banksFile: read.text('BANKS_FILE'),
    masterKey: read.bytes32('MASTER_KEY_FILE'),
    ledgerSeed: read.bytes32('LEDGER_KEY_FILE'),
    clientKey: read.object('CLIENT_KEY_FILE'),
    ...clientCertificate(env, read),
    marks: read.text('MARKS'),
    ...witnessConfig(env, read),
    epochSeconds: read.integer('EPOCH_SECONDS', { fallback: 3_600, max: 86_400 }),
    statementSlackSeconds: read.integer('STATEMENT_SLACK_SECONDS', {
      fallback: statement_slack_s,
      max: 3_600,
    }),
    rateLimits: {
      kept: read.oneOf('RATE_LIMITS', limitsKept),
      budgets:
        env['RATE_LIMITS_FILE'] === undefined ? rateLimits : read.budgets('RATE_LIMITS_FILE'),
    },
    archive: archiveConfig(env, read),
    backup: backupConfig(env, read),
    ...readsPerDay(env, read),
    logLevel: env['LOG_LEVEL'] ?? 'info',
    sandbox: false,
  }
  if (read.problems.length > 0)
    throw new ConfigError(`the broker cannot start:\n- ${read.problems.join('\n- ')}`)
  return Object.freeze(config)
}

function clientCertificate(
  env: Environment,
  { file }: Settings,
): Pick<Config, 'clientCertificate'> | undefined {
  const keys = ['CLIENT_CERTIFICATE_FILE', 'CLIENT_CERTIFICATE_KEY_FILE'] as const
  if (keys.every((key) => env[key] === undefined)) return undefined
  return { clientCertificate: { cert: file(keys[0]), key: file(keys[1]) } }
}

function archiveConfig(env: Environment, read: Settings): Config['archive'] {
  const [place, endpoint] = ['ARCHIVE', 'ARCHIVE_ENDPOINT']
  return {
    ...(env[place] === undefined ? {} : { place: read.text(place) }),
    ...(env[endpoint] === undefined ? {} : { endpoint: read.issuer(endpoint) }),
    seconds: read.integer('ARCHIVE_SECONDS', { fallback: 3_600, max: 86_400 }),
    entries: read.integer('ARCHIVE_ENTRIES', { fallback: 65_536, max: 10_000_000 }),
  }
}

function witnessConfig(env: Environment, read: Settings): Pick<Config, 'witnesses'> {
  if (env['WITNESS_POLICY_FILE'] === undefined) return {}
  const policy = read.policy('WITNESS_POLICY_FILE')
  for (const [name, { url = '' }] of policy.witnesses)
    if (!isEncryptedOrNear(url)) read.problems.push(`WITNESS_POLICY_FILE: ${name} has no https URL`)
  const cadence_s =
    env['WITNESS_CADENCE_FILE'] === undefined
      ? {}
      : read.seconds('WITNESS_CADENCE_FILE', { max: 86_400 })
  for (const name of Object.keys(cadence_s))
    if (!policy.witnesses.has(name))
      read.problems.push(`WITNESS_CADENCE_FILE: ${name} is no witness of the policy`)
  return { witnesses: { policy, cadence_s } }
}

function backupConfig(env: Environment, read: Settings): Config['backup'] {
  const [place, key] = ['BACKUP', 'BACKUP_KEY_FILE']
  return {
    ...(env[place] === undefined ? {} : { place: read.text(place) }),
    ...(env[place] === undefined && env[key] === undefined ? {} : { key: read.bytes32(key) }),
    seconds: read.integer('BACKUP_SECONDS', { fallback: 86_400, max: 2_592_000 }),
  }
}

function readsPerDay(env: Environment, { integer }: Settings): Pick<Config, 'readsPerDay'> {
  const key = 'FREQUENCY_LIMIT'
  return env[key] === undefined || env[key] === '0'
    ? {}
    : { readsPerDay: integer(key, { fallback: 1, max: 1_000_000 }) }
}

function serverCertificate(env: Environment, read: Settings): Pick<Config, 'tls'> | undefined {
  const keys = ['TLS_CERTIFICATE_FILE', 'TLS_KEY_FILE'] as const
  if (keys.every((key) => env[key] === undefined)) return undefined
  const tls = { cert: read.file(keys[0]), key: read.file(keys[1]) }
  if (tls.cert !== '' && tls.key !== '' && !isCertifiedKey(tls))
    read.problems.push(`${keys[1]} does not hold the key of the certificate in ${keys[0]}`)
  return { tls }
}

function isCertifiedKey({ cert, key }: { cert: string; key: string }): boolean {
  try {
    return new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))
  } catch {
    return false
  }
}

function mutualTls(env: Environment, read: Settings): Config['mtls'] {
  const has = (key: string) => env[key] !== undefined
  for (const [key, needed] of [
    ['MTLS_PORT', 'TLS_CERTIFICATE_FILE'],
    ['MTLS_PORT', 'MTLS_ORIGIN'],
    ['PROXY_CERTIFICATE_HEADER', 'PROXY_ADDRESSES'],
  ] as const)
    if (has(key) && !has(needed)) read.problems.push(`${key} is set, and ${needed} is not`)
  if (has('MTLS_ORIGIN') && !has('MTLS_PORT') && !has('PROXY_CERTIFICATE_HEADER'))
    read.problems.push('MTLS_ORIGIN is set, and neither MTLS_PORT nor PROXY_CERTIFICATE_HEADER is')
  if (has('MTLS_PORT') && Number(env['MTLS_PORT']) === Number(env['PORT'] ?? 8080))
    read.problems.push('MTLS_PORT is PORT')
  return {
    ...(has('MTLS_ORIGIN') ? { origin: read.httpsOrigin('MTLS_ORIGIN') } : {}),
    ...(has('MTLS_PORT')
      ? { port: read.integer('MTLS_PORT', { fallback: 8443, max: 65_535 }) }
      : {}),
    authorities: has('MTLS_CA_FILE') ? read.certificates('MTLS_CA_FILE') : [],
    ...(has('PROXY_ADDRESSES') ? { proxies: proxiesOf(env, read) } : {}),
  }
}

function proxiesOf(env: Environment, read: Settings): NonNullable<Config['mtls']['proxies']> {
  const have = read.addresses('PROXY_ADDRESSES')
  const key = 'PROXY_CERTIFICATE_HEADER'
  return env[key] === undefined ? { have } : { have, header: read.headerName(key) }
}
