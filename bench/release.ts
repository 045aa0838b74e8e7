import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { openAuthorization } from '../src/authorization/authorization.ts'
import { compose } from '../src/main.ts'
import { environmentOf } from '../sandbox/broker_process.ts'
import {
  grantMany,
  openTokenMint,
  type CrowdConsent,
  type TokenMint,
} from '../sandbox/many_consents.ts'
import { answerOf, endProcess, startModule } from '../sandbox/module_process.ts'
import { rungs, type Order, type Rung, type Slice } from './orders.ts'
import type { Stage } from './stage.ts'
import { median } from './statistics.ts'
import { tokenKeysNow } from '../sandbox/token_keys.ts'

const consents_per_bank = 300
const rounds = 7
const warm_seconds = 0.5
/** Proofs made for the first slice of a rung, a second; for later ones, by what the one before used. */
const first_per_s = 9_000

export interface ReleaseFigures {
  readonly per_s: number
  readonly p50_ms: number
  readonly p99_ms: number
  readonly ledger_ratio: number
  readonly naive_ratio: number
  readonly auth_ratio: number
  /** Requests a second of each rung. */
  readonly rungs: Readonly<Record<Rung, number>>
}

/** Measures the five rungs in alternating rounds, and gives medians: of rates, and of the rounds' own ratios. */
export async function measureRelease(
  stage: Stage,
  { seconds }: { seconds: number },
): Promise<{ release: ReleaseFigures; rss_bytes: number }> {
  const config = await stage.database('release')
  const composed = await compose(config)
  const authorization = openAuthorization(composed.broker, {
    keys: await tokenKeysNow(composed.broker),
    nonceKey: Buffer.alloc(32),
  })
  const consents: CrowdConsent[] = []
  for (const bank of composed.broker.bankPort.banks.keys())
    consents.push(...(await grantMany(composed.broker, { bank, count: consents_per_bank })))
  const mint = await openTokenMint(composed.broker, authorization)
  const server = await startModule('bench/rung_server', {
    ...(await environmentOf(config, join(stage.folder, 'rung_server'))),
    LOG_LEVEL: 'info',
  })
  const load = await startModule('bench/load')
  try {
    const slices = await alternate(
      { server: server.child, load: load.child, ports: server.first as Record<Rung, number> },
      { consents: shuffled(consents), mint, issuer: config.issuer, seconds },
    )
    return { release: figuresOf(slices), rss_bytes: await settle(server.child) }
  } finally {
    await endProcess(load.child)
    await endProcess(server.child)
    await composed.close()
  }
}

interface Processes {
  readonly server: ChildProcess
  readonly load: ChildProcess
  readonly ports: Readonly<Record<Rung, number>>
}

interface Plan {
  readonly consents: readonly CrowdConsent[]
  readonly mint: TokenMint
  readonly issuer: string
  readonly seconds: number
}

async function alternate(
  { server, load, ports }: Processes,
  { consents, mint, issuer, seconds }: Plan,
): Promise<Record<Rung, Slice[]>> {
  const slices: Record<Rung, Slice[]> = { A: [], B: [], C: [], D: [], N: [] }
  for (let round = 0; round < rounds; round++) {
    const tokens = consents.map((one) => mint.tokenOf(one))
    for (const rung of Object.keys(rungs) as Rung[]) {
      const rate = (slices[rung].at(-1)?.per_s ?? first_per_s) * 1.5
      const count = Math.ceil(rate * (seconds + warm_seconds))
      await settle(server)
      await tell(load, {
        prepare: { port: ports[rung], path: rungs[rung], issuer, tokens, key: mint.key, count },
      })
      const slice = (await tell(load, { run: { warm_seconds, seconds } })) as Slice
      if (Object.keys(slice.others).length > 0)
        throw new Error(`rung ${rung} answered ${JSON.stringify(slice.others)}`)
      slices[rung].push(slice)
    }
  }
  return slices
}

async function tell(child: ChildProcess, order: Order): Promise<unknown> {
  const answer = answerOf(child)
  child.send(order)
  return answer
}

/** The server works off what is left over, and tells its memory. */
async function settle(server: ChildProcess): Promise<number> {
  const answer = answerOf(server)
  server.send('settle')
  return ((await answer) as { rss_bytes: number }).rss_bytes
}

function figuresOf(slices: Readonly<Record<Rung, readonly Slice[]>>): ReleaseFigures {
  const rate = (rung: Rung) => median(slices[rung].map(({ per_s }) => per_s))
  const ratio = (over: Rung, under: Rung) =>
    median(slices[over].map(({ per_s }, i) => per_s / (slices[under][i]?.per_s ?? NaN)))
  return {
    per_s: rate('D'),
    p50_ms: median(slices.D.map(({ p50_ms }) => p50_ms)),
    p99_ms: median(slices.D.map(({ p99_ms }) => p99_ms)),
    ledger_ratio: ratio('D', 'C'),
    naive_ratio: ratio('D', 'N'),
    auth_ratio: ratio('B', 'A'),
    rungs: { A: rate('A'), B: rate('B'), C: rate('C'), D: rate('D'), N: rate('N') },
  }
}

/** So that requests of all banks come mixed, and each consent's far apart. */
function shuffled<T>(values: readonly T[]): T[] {
  return values
    .map((value) => ({ value, place: Math.random() }))
    .toSorted((a, b) => a.place - b.place)
    .map(({ value }) => value)
}
