import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import type { Class } from '../../src/consent/class.ts'
import type { Cluster } from '../../src/consent/cluster.ts'
import type { RequestedTerms } from '../../src/consent/terms.ts'
import { approval_typ } from '../../src/ledger/approval.ts'
import type { PublicJwk } from '../../src/ledger/entry.ts'
import { replayEntry, startReplay, type Replay } from '../../src/ledger/replay.ts'
import { statement_typ } from '../../src/ledger/statement.ts'
import { rootOfInteractions } from '../../src/merkle/interactions.ts'
import { openWitnessCalls } from '../../src/banks/witness_calls.ts'
import { openDoor } from '../../src/broker/append.ts'
import type { Bank, BankPort, StaffPort } from '../../src/broker/bank_port.ts'
import type { Broker } from '../../src/broker/broker.ts'
import { ledgerKey } from '../../src/broker/ledger_keys.ts'
import { openLedger } from '../../src/broker/open_ledger.ts'
import { openSigner } from '../../src/broker/signing.ts'
import { openWitnessing, unwitnessed, type WitnessConfig } from '../../src/broker/witnessing.ts'
import { insertRequested } from '../../src/storage/consents.ts'
import { openDatabase, inBank } from '../../src/storage/database.ts'
import { openDoorConnections } from '../../src/storage/door_connections.ts'
import { openEarlyCheck } from '../../src/storage/early_check.ts'
import { random128, routed } from '../../src/storage/ids.ts'
import { verifyJws } from '../../src/storage/jws.ts'
import { readLeaves, findLedger } from '../../src/storage/ledgers.ts'
import { openLostEntries } from '../../src/storage/lost_entries.ts'
import type { MarkStore } from '../../src/storage/marks.ts'
import { nodeHasher } from '../../src/storage/node_crypto.ts'
import { openRefusalCounter } from '../../src/storage/refusals.ts'
import { openVault } from '../../src/storage/vault.ts'

/** One bank of a test, with the private key that signs its approvals. */
export interface TestBank extends Bank {
  approve(claims: {
    recipient: string
    class: Class
    purposes: string[]
    clusters: Cluster[]
    keys?: string[]
    iat?: number
  }): string
  /** A statement of what it served under these ids. */
  state(range: { from: string; to: string }, interactions: readonly string[]): string
  /** Whatever the bank signs; what is not said is as it should be. */
  sign(typ: string, claims: Readonly<Record<string, unknown>>): string
}

export const originOf = (bank: string) => `broker.example/ledger/${bank}`

export function testBank(id: string): TestBank {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const key = publicKey.export({ format: 'jwk' }) as PublicJwk
  const signed = (typ: string, claims: Readonly<Record<string, unknown>>) => {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const iat = Math.floor(Date.now() / 1000)
    const input = `${part({ alg: 'ES256', typ })}.${part({ iss: id, aud: originOf(id), iat, ...claims })}`
    const signature = sign('sha256', Buffer.from(input), {
      key: privateKey,
      dsaEncoding: 'ieee-p1363',
    })
    return `${input}.${signature.toString('base64url')}`
  }
  return {
    id,
    legalName: `${id} National Association`,
    lei: '7H6GLXDRUGQFU57RNE97',
    issuer: 'https://bank.example',
    fdxBaseUrl: 'https://bank.example/fdx/v6',
    key,
    staff: {
      issuer: 'https://bank.example',
      ...{ claim: 'roles', auditor: ['auditor'], scopes: [], acr: [] },
    },
    approve: (claims) => signed(approval_typ, { keys: [], ...claims }),
    state: (range, interactions) =>
      signed(statement_typ, {
        ...range,
        count: interactions.length,
        root: Buffer.from(rootOfInteractions(nodeHasher, interactions)).toString('base64url'),
      }),
    sign: signed,
  }
}

/** Marks in memory, for tests that are not about where marks are kept. */
export function memoryMarks(): MarkStore & {
  readonly marks: Map<string, { size: number; root: string }>
} {
  const marks = new Map<string, { size: number; root: string }>()
  return {
    marks,
    read: (origin) => Promise.resolve(marks.get(origin)),
    replace(origin, old, next) {
      const found = marks.get(origin)
      if (found?.size !== old?.size || found?.root !== old?.root) return Promise.resolve(false)
      marks.set(origin, next)
      return Promise.resolve(true)
    },
  }
}

export interface TestBroker extends Broker {
  readonly alarms: string[]
  /** What each witness said, in order: `<bank>: <witness>: <outcome>`. */
  readonly answers: string[]
  close(): Promise<void>
}

/** A broker process's insides over a real database, with ledgers opened for its banks. */
export async function testBroker(
  serviceUrl: string,
  {
    banks,
    bankPort,
    marks = memoryMarks(),
    seed = randomBytes(32),
    master = randomBytes(32),
    classOf = () => 'messaging_platform',
    opened = true,
    witnesses,
    now = Date.now,
  }: {
    banks: readonly Bank[]
    bankPort?: Omit<BankPort, 'banks'>
    marks?: MarkStore
    seed?: Buffer
    master?: Buffer
    classOf?: (client: string) => Class
    /** Whether ledgers are opened. */
    opened?: boolean
    witnesses?: WitnessConfig
    now?: () => number
  },
): Promise<TestBroker> {
  const askingDb = openDatabase(serviceUrl, { connections_max: 6 })
  const connections = openDoorConnections(serviceUrl, { connections_max: 4 })
  const keys = new Map(banks.map((bank) => [bank.id, ledgerKey(seed, originOf(bank.id))]))
  const alarms: string[] = []
  const lost = openLostEntries((bank, why) => alarms.push(`${bank}: ${why}`))
  const db = openDatabase(serviceUrl, { lost })
  const signer = openSigner(db, {
    keys,
    marks,
    alarm: (bank, why) => alarms.push(`${bank}: ${why}`),
  })
  const door = openDoor(connections, signer)
  const urls = [...(witnesses?.policy.witnesses.values() ?? [])].flatMap(({ url }) => url ?? [])
  const calls = openWitnessCalls(urls, { sandbox: true })
  const answers: string[] = []
  const witnessing =
    witnesses === undefined
      ? unwitnessed
      : openWitnessing(witnesses, {
          ...{ db, signer, keys, port: calls, now: Date.now },
          observe: (bank, { witness, outcome }) => answers.push(`${bank}: ${witness}: ${outcome}`),
          failed: (bank, error) => alarms.push(`${bank}: ${String(error)}`),
        })
  const broker: TestBroker = {
    db,
    askingDb,
    door,
    signer,
    keys,
    marks,
    alarms,
    answers,
    witnessing,
    vault: openVault(master),
    issuer: 'https://broker.example',
    now,
    earlyCheck: openEarlyCheck(db),
    countRefusal: openRefusalCounter(db),
    classOf: (client) => Promise.resolve(classOf(client)),
    observe: {
      dropped: () => undefined,
      reconciled: () => undefined,
      alarm: (bank, why) => alarms.push(`${bank}: ${why}`),
    },
    bankPort: {
      banks: new Map(banks.map((bank) => [bank.id, bank])),
      ...(bankPort ?? unreachableBanks),
    },
    async close() {
      await door.close()
      await witnessing.close()
      calls.gateway.close()
      await connections.close()
      await db.knex.destroy()
      await askingDb.knex.destroy()
    },
  }
  try {
    for (const bank of opened ? banks : []) await openLedger(broker, bank.id)
  } catch (error) {
    await broker.close()
    throw error
  }
  return broker
}

const unreachable = () => Promise.reject(new Error('this test reaches no bank'))

/** Banks at which nobody of the staff logs in. */
export const unreachableStaff: StaffPort = {
  start: unreachable,
  finish: unreachable,
  logoutUrl: unreachable,
}

const unreachableBanks: Omit<BankPort, 'banks'> = {
  staff: unreachableStaff,
  startLogin: unreachable,
  finishLogin: unreachable,
  accounts: unreachable,
  transactions: unreachable,
  refresh: unreachable,
  revoke: unreachable,
}

/** Replays a ledger from the database: the checker of every rule, called after each step that matters. */
export async function replayLedger(broker: Broker, bank: string): Promise<Replay> {
  const state = startReplay()
  const size = (await findLedger(broker.db, bank))?.size ?? 0
  for (let from = 0; from < size; from += 1_000) {
    const page = await readLeaves(broker.db, bank, { from, to: Math.min(size, from + 1_000) })
    for (const leaf of page) replayEntry(state, leaf, verifyJws)
  }
  return state
}

/** A requested consent's row, as PAR leaves it. */
export async function requestedConsent(
  broker: Broker,
  { bank, recipient }: { bank: string; recipient: string },
): Promise<string> {
  const id = routed(bank, random128())
  const requested: RequestedTerms = {
    recipient,
    bank,
    clusters: ['ACCOUNT_BASIC', 'BALANCES', 'TRANSACTIONS'],
    purpose: 'https://w3id.org/dpv#RequestedServiceProvision',
    lookback_days: 90,
    one_time: false,
    duration_days: 90,
    delivery: 'in_thread',
  }
  await inBank(broker.db, bank, (tx) => insertRequested(tx, { id, requested }))
  return id
}
