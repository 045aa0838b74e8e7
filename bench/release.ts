import { openAuthorization } from '../src/authorization/authorization.ts'
import { compose } from '../src/compose.ts'
import {
  grantMany,
  openTokenMint,
  type CrowdConsent,
  type TokenMint,
} from '../sandbox/many_consents.ts'
import { rungs, type Rung, type Slice } from './orders.ts'
import { startProcesses, type Processes } from './processes.ts'
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
  const processes = await startProcesses(stage, config)
  try {
    const plan = { consents: shuffled(consents), mint, issuer: config.issuer, seconds }
    const slices = await alternate(processes, plan)
    return { release: figuresOf(slices), rss_bytes: await processes.settle() }
  } finally {
    await processes.close()
    await composed.close()
  }
}

interface Plan {
  readonly consents: readonly CrowdConsent[]
  readonly mint: TokenMint
  readonly issuer: string
  readonly seconds: number
}

async function alternate(
  processes: Processes,
  { consents, mint, issuer, seconds }: Plan,
): Promise<Record<Rung, Slice[]>> {
  const slices: Record<Rung, Slice[]> = { A: [], B: [], C: [], D: [], N: [] }
  for (let round = 0; round < rounds; round++) {
    const tokens = consents.map((one) => mint.tokenOf(one))
    for (const rung of Object.keys(rungs) as Rung[]) {
      const rate = (slices[rung].at(-1)?.per_s ?? first_per_s) * 1.5
      const count = Math.ceil(rate * (seconds + warm_seconds))
      const to = { port: processes.ports[rung], path: rungs[rung], issuer, count }
      slices[rung].push(
        await processes.slice(
          { ...to, calls: { tokens, key: mint.key } },
          { warm_seconds, seconds },
        ),
      )
    }
  }
  return slices
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
