import { openAuthorization } from '../src/authorization/authorization.ts'
import { compose } from '../src/compose.ts'
import { insertClient, usualSecurity } from '../src/storage/clients.ts'
import { generateKey, publicKey } from '../sandbox/banks/bank_keys.ts'
import { grantMany, openTokenMint, type CrowdConsent } from '../sandbox/many_consents.ts'
import { tokenKeysNow } from '../sandbox/token_keys.ts'
import { admitted_path, type Forms, type Slice } from './orders.ts'
import { startProcesses, type Processes } from './processes.ts'
import type { Stage } from './stage.ts'
import { median } from './statistics.ts'

/** The endpoints of OAuth that are measured, each beside a handler that admits the same clients and does nothing. */
export const endpoints = ['introspection', 'token'] as const
export type Endpoint = (typeof endpoints)[number]

const paths: Readonly<Record<Endpoint, string>> = {
  introspection: '/oauth/introspect',
  token: '/oauth/token',
}

const consents_per_bank = 100
const rounds = 7
const warm_seconds = 0.5
/** Requests made for the first slice, a second; for later ones, by the fastest before. */
const first_per_s = 5_000

export interface EndpointFigures {
  readonly per_s: number
  readonly p50_ms: number
  readonly p99_ms: number
  /** Against the handler that does nothing, in the same round. */
  readonly noop_ratio: number
}

/**
 * Introspections of consents' access tokens by a resource server, of four banks mixed, and tokens of a client for itself, each with
 * an assertion of its own (and the token with a proof), in alternating rounds with the handler that does nothing.
 */
export async function measureEndpoints(
  stage: Stage,
  { asked, seconds }: { asked: readonly Endpoint[]; seconds: number },
): Promise<Partial<Record<Endpoint, EndpointFigures>>> {
  const config = await stage.database('endpoints')
  const composed = await compose(config)
  const { broker } = composed
  const consents: CrowdConsent[] = []
  for (const bank of broker.bankPort.banks.keys())
    consents.push(...(await grantMany(broker, { bank, count: consents_per_bank })))
  const keys = await tokenKeysNow(broker)
  const authorization = openAuthorization(broker, { keys, nonceKey: Buffer.alloc(32) })
  const mint = await openTokenMint(broker, authorization)
  const key = await registerClients(broker)
  const formsOf: Readonly<Record<Endpoint, () => Forms>> = {
    introspection: () => ({
      ...{ client: 'bench-resources', key, kid: 'bench', proves: false },
      members: consents.map((one) => ({ token: mint.tokenOf(one) })),
    }),
    token: () => ({
      ...{ client: 'bench-operator', key, kid: 'bench', proves: true },
      members: [{ grant_type: 'client_credentials', scope: 'registry:read' }],
    }),
  }
  const processes = await startProcesses(stage, config)
  try {
    const figures: Partial<Record<Endpoint, EndpointFigures>> = {}
    for (const endpoint of asked)
      figures[endpoint] = await measureOne(processes, {
        ...{ issuer: config.issuer, seconds },
        path: paths[endpoint],
        forms: formsOf[endpoint],
      })
    return figures
  } finally {
    await processes.close()
    await composed.close()
  }
}

/** Registers who asks, by one key, which is returned. */
async function registerClients(broker: Parameters<typeof grantMany>[0]) {
  const key = await generateKey()
  const registered = {
    ...usualSecurity,
    legalName: 'Bench, Inc.',
    lei: '7H6GLXDRUGQFU57RNE97',
    website: 'https://bench.example',
    contacts: [],
    jwks: { keys: [{ ...publicKey(key), kid: 'bench' }] },
    redirectUris: [],
  }
  const { db } = broker
  await insertClient(db, {
    ...registered,
    id: 'bench-resources',
    kind: 'resource_server',
    scopes: [],
  })
  await insertClient(db, {
    ...registered,
    id: 'bench-operator',
    kind: 'operator',
    scopes: ['registry:read'],
  })
  return key
}

/** A second. A slice that was held up must not leave the next one without requests. */
const fastest = (slices: readonly Slice[]) => Math.max(500, ...slices.map(({ per_s }) => per_s))

async function measureOne(
  { ports, slice }: Processes,
  plan: { path: string; issuer: string; forms: () => Forms; seconds: number },
): Promise<EndpointFigures> {
  const { path, issuer, seconds } = plan
  const measured: Slice[] = []
  const idle: Slice[] = []
  for (let round = 0; round < rounds; round++) {
    const forms = plan.forms()
    for (const [slices, to] of [
      [idle, { port: ports.A, path: admitted_path }],
      [measured, { port: ports.D, path }],
    ] as const) {
      const rate = 1.5 * (slices.length === 0 ? first_per_s : fastest(slices))
      const count = Math.ceil(rate * (seconds + warm_seconds))
      slices.push(await slice({ ...to, issuer, count, forms }, { warm_seconds, seconds }))
    }
  }
  return {
    per_s: median(measured.map(({ per_s }) => per_s)),
    p50_ms: median(measured.map(({ p50_ms }) => p50_ms)),
    p99_ms: median(measured.map(({ p99_ms }) => p99_ms)),
    noop_ratio: median(measured.map(({ per_s }, i) => per_s / (idle[i]?.per_s ?? NaN))),
  }
}
