import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { generateKey } from '../../sandbox/banks/bank_keys.ts'
import { environmentOf } from '../../sandbox/broker_process.ts'
import type { Broker } from '../../src/broker/broker.ts'
import type { Config } from '../../src/config.ts'
import { compose } from '../../src/compose.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { testBank, type TestBank } from '../support/test_broker.ts'

/** The built command line. */
export const program = join(import.meta.dirname, '../../dist/src/cli/countersign.js')

/** What a command answered. */
export interface Answer {
  readonly code: unknown
  readonly out: string
  readonly err: string
}

/** Runs the built program with this environment and nothing of ours in it. One that has not ended in 30 s has no code. */
export async function countersign(
  env: Readonly<Record<string, string>>,
  ...argv: string[]
): Promise<Answer> {
  const child = spawn(process.execPath, [program, ...argv], {
    env: { ...env, PATH: process.env['PATH'] },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 30_000,
  })
  const closed = once(child, 'close')
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)])
  const [code]: unknown[] = await closed
  return { code, out, err }
}

/** An operator at a shell: a database, two banks in the directory, keys, and no ledger opened yet. */
export interface Operator {
  readonly database: TestDatabase
  readonly config: Config
  readonly env: Readonly<Record<string, string>>
  readonly banks: readonly [TestBank, TestBank]
  countersign(...argv: string[]): Promise<Answer>
  /** Keeps a file for a command to read, and returns its path. */
  file(name: string, content: string): Promise<string>
  /** A broker of this configuration, in the test's own process. */
  readonly broker: Broker
  close(): Promise<void>
}

export async function operator(options: { migrated?: boolean } = {}): Promise<Operator> {
  const database = await testDatabase(options)
  const folder = await mkdtemp(join(tmpdir(), 'countersign-cli-'))
  const file = async (name: string, content: string) => {
    await writeFile(join(folder, name), content)
    return join(folder, name)
  }
  const banks = [testBank('first-bank'), testBank('other-bank')] as const
  const config: Config = {
    databaseUrl: database.serviceUrl,
    issuer: 'https://broker.example',
    host: '127.0.0.1',
    port: 8080,
    banksFile: await file('banks.json', directoryOf(banks)),
    masterKey: randomBytes(32),
    ledgerSeed: randomBytes(32),
    clientKey: { ...(await generateKey()) },
    marks: join(folder, 'marks'),
    epochSeconds: 3_600,
    statementSlackSeconds: 120,
    archive: { seconds: 3_600, entries: 65_536 },
    backup: { seconds: 86_400 },
    rateLimits: { kept: 'off', budgets: {} },
    logLevel: 'silent',
    mtls: { authorities: [] },
    sandbox: false,
  }
  const env = await environmentOf(config, join(folder, 'keys'))
  const { broker, close } = await compose(config)
  return {
    database,
    config,
    env,
    banks,
    file,
    countersign: (...argv) => countersign(env, ...argv),
    broker,
    async close() {
      await close()
      await database.drop()
      await rm(folder, { recursive: true })
    },
  }
}

const directoryOf = (banks: readonly TestBank[]): string =>
  JSON.stringify(
    banks.map(({ id, legalName, lei, key }) => ({
      id,
      legal_name: legalName,
      lei,
      issuer: `https://${id}.example`,
      fdx_base_url: `https://${id}.example/fdx/v6`,
      key,
    })),
  )
