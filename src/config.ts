import { readFileSync } from 'node:fs'

/** What the broker is told from outside. The only reader of the environment; parsed once, and frozen. */
export interface Config {
  /** `DATABASE_URL`, or a file that holds it, `DATABASE_URL_FILE`: PostgreSQL ≥ 15, as countersign_service or a member of it. */
  readonly databaseUrl: string
  /** `ISSUER`: the issuer identifier (RFC 8414), an https origin without a path; http only on loopback. */
  readonly issuer: string
  /** `HOST` and `PORT`: where to listen. Default 127.0.0.1 and 8080. */
  readonly host: string
  readonly port: number
  /** `BANKS_FILE`: the bank directory (docs/operating.md). */
  readonly banksFile: string
  /** `MASTER_KEY_FILE`: 32 bytes, base64url. Wraps the key of every link. */
  readonly masterKey: Buffer
  /** `LEDGER_KEY_FILE`: 32 bytes, base64url. The Ed25519 key of each ledger is derived from it. */
  readonly ledgerSeed: Buffer
  /** `TOKEN_KEYS_FILE`: a JWK Set of ES256 keys; the first is private and signs, all are published. */
  readonly tokenKeys: readonly Record<string, unknown>[]
  /** `CLIENT_KEY_FILE`: a private JWK, ES256 or EdDSA, by which the broker is known to banks. */
  readonly clientKey: Record<string, unknown>
  /**
   * `CLIENT_CERTIFICATE_FILE` and `CLIENT_CERTIFICATE_KEY_FILE`, PEM, both or neither: for banks that authenticate their
   * clients by mutual TLS only.
   */
  readonly clientCertificate?: { readonly cert: string; readonly key: string }
  /** `MARKS`: a folder, or the URL of a database that does not share the ledger's backups. */
  readonly marks: string
  /** `EPOCH_SECONDS`: how often totals are published while a ledger grows. Default 3600. */
  readonly epochSeconds: number
  /** `LOG_LEVEL`: pino's. Default info. */
  readonly logLevel: string
  /** Banks and this server may be on loopback over http. Set by the sandbox alone; no environment variable does. */
  readonly sandbox: boolean
}

/** Everything that is wrong with the environment, at once. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

type Environment = Readonly<Record<string, string | undefined>>

/** Whether the environment names a database: without one, `npm start` is the sandbox. */
export function isConfigured(env: Environment = process.env): boolean {
  return env['DATABASE_URL'] !== undefined || env['DATABASE_URL_FILE'] !== undefined
}

/** `DATABASE_OWNER_URL`: the owner of the tables, for `countersign migrate` alone. Throws `ConfigError`. */
export function loadOwnerUrl(env: Environment = process.env): string {
  const url = env['DATABASE_OWNER_URL']
  if (url === undefined) throw new ConfigError('DATABASE_OWNER_URL is not set')
  return url
}

/** Reads the configuration. Throws `ConfigError` naming every missing or malformed setting. */
export function loadConfig(env: Environment = process.env): Config {
  const problems: string[] = []
  const problem = <T>(text: string, value: T): T => {
    problems.push(text)
    return value
  }
  const text = (key: string): string => env[key] ?? problem(`${key} is not set`, '')
  const integer = (key: string, fallback: number, max: number): number => {
    const value = Number(env[key] ?? fallback)
    return Number.isInteger(value) && value >= 1 && value <= max
      ? value
      : problem(`${key} is not an integer from 1 to ${max}`, fallback)
  }
  const file = (key: string): string => {
    const path = text(key)
    if (path === '') return ''
    try {
      return readFileSync(path, 'utf8').trim()
    } catch {
      return problem(`${key}: ${path} cannot be read`, '')
    }
  }
  const key32 = (key: string): Buffer => {
    const content = file(key)
    const bytes = Buffer.from(content, 'base64url')
    if (content !== '' && bytes.length !== 32)
      problems.push(`${key} does not hold 32 bytes, base64url`)
    return bytes
  }
  const json = (key: string): Record<string, unknown> => {
    const content = file(key)
    try {
      const value: unknown = JSON.parse(content === '' ? '{}' : content)
      if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value }
    } catch {
      // Said below, like any other content that is no object.
    }
    return problem(`${key} does not hold a JSON object`, {})
  }
  const certificate = (): Pick<Config, 'clientCertificate'> => {
    const keys = ['CLIENT_CERTIFICATE_FILE', 'CLIENT_CERTIFICATE_KEY_FILE'] as const
    if (keys.every((key) => env[key] === undefined)) return {}
    return { clientCertificate: { cert: file(keys[0]), key: file(keys[1]) } }
  }
  const issuer = text('ISSUER')
  if (issuer !== '' && !isIssuer(issuer)) problems.push('ISSUER is not an https origin')
  const tokenKeys = json('TOKEN_KEYS_FILE')['keys']
  if (env['TOKEN_KEYS_FILE'] !== undefined && !isKeyList(tokenKeys))
    problems.push('TOKEN_KEYS_FILE holds no keys')
  const config: Config = {
    databaseUrl:
      env['DATABASE_URL_FILE'] === undefined ? text('DATABASE_URL') : file('DATABASE_URL_FILE'),
    issuer,
    host: env['HOST'] ?? '127.0.0.1',
    port: integer('PORT', 8080, 65_535),
    banksFile: text('BANKS_FILE'),
    masterKey: key32('MASTER_KEY_FILE'),
    ledgerSeed: key32('LEDGER_KEY_FILE'),
    tokenKeys: isKeyList(tokenKeys) ? tokenKeys : [],
    clientKey: json('CLIENT_KEY_FILE'),
    ...certificate(),
    marks: text('MARKS'),
    epochSeconds: integer('EPOCH_SECONDS', 3_600, 86_400),
    logLevel: env['LOG_LEVEL'] ?? 'info',
    sandbox: false,
  }
  if (problems.length > 0)
    throw new ConfigError(`the broker cannot start:\n- ${problems.join('\n- ')}`)
  return Object.freeze(config)
}

function isIssuer(value: string): boolean {
  if (!URL.canParse(value)) return false
  const url = new URL(value)
  const loopback = ['127.0.0.1', 'localhost', '[::1]'].includes(url.hostname)
  return (
    (url.protocol === 'https:' || (url.protocol === 'http:' && loopback)) && url.origin === value
  )
}

function isKeyList(value: unknown): value is Record<string, unknown>[] {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((one) => typeof one === 'object' && one !== null)
  )
}
