import { noQuorum, quorumMet, type Policy } from '../merkle/policy.ts'
import { encodeUtf8 } from '../merkle/encoding.ts'
import { formatVkey } from '../merkle/vkey.ts'
import {
  insertCosignature,
  insertSigningStop,
  insertWitnessed,
  keptNote,
  readWitnessing,
  type Cosignature,
  type SignedNote,
  type WitnessState,
} from '../storage/cosignatures.ts'
import type { Database } from '../storage/database.ts'
import { nodeHasher } from '../storage/node_crypto.ts'
import { publishCheckpoint } from '../storage/signed.ts'
import type { LedgerKey, LedgerSigner } from './signing.ts'
import {
  signedAhead,
  submitCheckpoint,
  type Submitted,
  type Submitting,
  type Witness,
  type WitnessProblem,
} from './submit_checkpoint.ts'
import type { WitnessPort } from './witness_port.ts'

/** The witnesses of every ledger of this broker, and how often each is asked. */
export interface WitnessConfig {
  readonly policy: Policy
  /** Seconds between two checkpoints of one ledger, by the witness's name in the policy. */
  readonly cadence_s: Readonly<Record<string, number>>
}

export const cadence_s_default = 1

/** How the witnesses are asked, and what they said last. Any number of processes may ask. */
export interface Witnessing {
  /** Undefined when no witnesses are configured. */
  readonly policy: Policy | undefined
  /** Names the quorum in the database; undefined when none is asked for. */
  readonly quorum: Uint8Array | undefined
  /** Begins to submit the newest checkpoint to every witness whose turn it is, and does not wait for them. */
  begin(bank: string, options?: { hurried?: boolean }): Promise<void>
  /** Asks every witness, whosever turn it is, and waits for all of them. Resolves to what contradicts the ledger. */
  ask(bank: string): Promise<string[]>
  /** Why a witness did not cosign when this process asked it last. */
  problem(bank: string, witness: string): WitnessProblem | undefined
  /** Waits for the submissions that have begun; no other does. */
  close(): Promise<void>
}

/** What is told of each answer: `outcome` is `cosigned`, `contradicted` or a problem. */
export type ObserveWitness = (
  bank: string,
  answer: { witness: string; outcome: string; changed: boolean },
) => void

const times = {
  /** A checkpoint that stays the newest is cosigned again after this long, ms: so that its age says something. */
  refresh_ms: 60_000,
  /** A turn that is nearly due is taken, or every second one would be missed, ms. */
  early_ms: 500,
  /** Witnesses that are asked at least so often are asked at once when a proof is waited for, ms. */
  hurried_ms_max: 10_000,
  /** After the first failure, ms; doubled at each further one, with jitter of half of it either way. */
  backoff_ms: 1_000,
  backoff_ms_max: 300_000,
} as const

interface Asked {
  running: Promise<Submitted> | undefined
  failures: number
  /** On the clock of `performance.now()`. */
  notBefore: number
  problem: WitnessProblem | undefined
}

interface Way extends Omit<Submitting, 'vkey'> {
  readonly signer: LedgerSigner
  readonly keys: ReadonlyMap<string, LedgerKey>
  readonly config: WitnessConfig
  readonly quorum: Uint8Array | undefined
  readonly witnesses: readonly Witness[]
  readonly observe: ObserveWitness
  readonly asked: Map<string, Asked>
}

/** A broker without witnesses: nobody is asked, and no quorum is needed. */
export const unwitnessed: Witnessing = {
  policy: undefined,
  quorum: undefined,
  begin: () => Promise.resolve(),
  ask: () => Promise.resolve([]),
  problem: () => undefined,
  close: () => Promise.resolve(),
}

export function openWitnessing(
  config: WitnessConfig,
  by: {
    db: Database
    signer: LedgerSigner
    keys: ReadonlyMap<string, LedgerKey>
    port: WitnessPort
    now: () => number
    observe: ObserveWitness
    /** A submission could not be made or stored. */
    failed: (bank: string, error: unknown) => void
  },
): Witnessing {
  const { policy } = config
  const witnesses = [...policy.witnesses].flatMap(([name, { vkey, url }]) =>
    url === undefined ? [] : [{ name, vkey, url }],
  )
  const quorum = policy.quorum === noQuorum ? undefined : quorumName(policy)
  const asked = new Map<string, Asked>()
  const way: Way = { ...by, config, quorum, witnesses, asked }
  let closed = false
  return {
    policy,
    quorum,
    async begin(bank, { hurried = false } = {}) {
      if (closed) return
      const found = await readWitnessing(by.db, bank, witnesses.map(vkeyOf))
      if (found === undefined) return
      for (const witness of witnesses) {
        if (isResting(askedOf(way, bank, witness))) continue
        const size = turnOf(way, witness, { ...found, hurried })
        if (size === undefined) continue
        submit(way, bank, { witness, size, ...found }).catch((error: unknown) =>
          by.failed(bank, error),
        )
      }
    },
    ask: (bank) => askAll(way, bank),
    problem: (bank, name) => asked.get(`${bank} ${name}`)?.problem,
    async close() {
      closed = true
      await Promise.allSettled([...asked.values()].flatMap(({ running }) => running ?? []))
    },
  }
}

const vkeyOf = ({ vkey }: Witness) => formatVkey(vkey)

/** Policies that any set of witnesses satisfies or fails alike have one name, as far as they are written alike. */
function quorumName({ witnesses, groups, quorum }: Policy): Uint8Array {
  const keys = [...witnesses].map(([name, { vkey }]) => [name, formatVkey(vkey)])
  return nodeHasher.sha256(encodeUtf8(JSON.stringify([keys, [...groups], quorum])))
}

function askedOf({ asked }: Way, bank: string, { name }: Witness): Asked {
  const key = `${bank} ${name}`
  const found = asked.get(key)
  if (found !== undefined) return found
  const made: Asked = { running: undefined, failures: 0, notBefore: 0, problem: undefined }
  asked.set(key, made)
  return made
}

const isResting = ({ running, notBefore }: Asked) =>
  running !== undefined || performance.now() < notBefore

const cadence_ms = ({ config }: Way, name: string) =>
  (config.cadence_s[name] ?? cadence_s_default) * 1_000

/**
 * The size to submit to a witness now, if it is its turn. A quorum must cosign one size together: where witnesses that come
 * seldom have cosigned a size, those that come often are given that one before they go on.
 */
function turnOf(
  way: Way,
  { name, vkey }: Witness,
  {
    newest,
    witnesses: states,
    hurried,
  }: { newest: SignedNote; witnesses: ReadonlyMap<string, WitnessState>; hurried: boolean },
): number | undefined {
  const cadence = cadence_ms(way, name)
  const own = states.get(formatVkey(vkey))
  const { size, age_ms } = own ?? { size: 0, age_ms: Infinity }
  const waits = hurried && cadence <= times.hurried_ms_max ? 0 : cadence - times.early_ms
  if (age_ms < waits) return undefined
  const seldom = way.witnesses.filter((other) => cadence_ms(way, other.name) > cadence)
  const anchor = Math.max(0, ...seldom.map((other) => states.get(vkeyOf(other))?.size ?? 0))
  if (size < anchor) return anchor
  if (size < newest.size) return newest.size
  return age_ms >= Math.max(cadence, times.refresh_ms) ? newest.size : undefined
}

/** Submits one size to one witness, and acts on what it says. */
function submit(
  way: Way,
  bank: string,
  {
    witness,
    size,
    newest,
    witnesses: states,
  }: {
    witness: Witness
    size: number
    newest: SignedNote
    witnesses: ReadonlyMap<string, WitnessState>
  },
): Promise<Submitted> {
  const own = askedOf(way, bank, witness)
  const work = async () => {
    const signed = size === newest.size ? undefined : await keptNote(way.db, bank, size)
    const sent = signed ?? (await publishCheckpoint(way.db, bank)) ?? newest
    const hint = states.get(vkeyOf(witness))?.size ?? 0
    const vkey = way.keys.get(bank)?.vkey ?? ''
    const submitted = await submitCheckpoint({ ...way, vkey }, bank, {
      witness,
      signed: sent,
      hint,
    })
    await act(way, bank, { witness, submitted })
    return submitted
  }
  const running = work().finally(() => (own.running = undefined))
  own.running = running
  return running
}

async function act(
  way: Way,
  bank: string,
  { witness, submitted }: { witness: Witness; submitted: Submitted },
): Promise<void> {
  const own = askedOf(way, bank, witness)
  const problem = submitted.kind === 'failed' ? submitted.problem : undefined
  const changed = own.problem !== problem
  own.problem = problem
  own.failures = submitted.kind === 'cosigned' ? 0 : own.failures + 1
  const pause = submitted.kind === 'failed' ? submitted.retryAfter_ms : undefined
  own.notBefore =
    performance.now() + Math.max(restOf(own.failures), Math.min(pause ?? 0, 3_600_000))
  const outcome = problem ?? submitted.kind
  way.observe(bank, { witness: witness.name, outcome, changed })
  if (submitted.kind === 'cosigned') await store(way, bank, submitted.cosignature)
  if (submitted.kind === 'contradicted') await stopFor(way, bank, submitted.why)
}

function restOf(failures: number): number {
  if (failures === 0) return 0
  const rest = Math.min(times.backoff_ms * 2 ** (failures - 1), times.backoff_ms_max)
  return rest * (0.5 + Math.random())
}

async function store({ db, config, quorum }: Way, bank: string, cosignature: Cosignature) {
  const cosigners = await insertCosignature(db, bank, cosignature)
  const names = [...config.policy.witnesses]
    .filter(([, { vkey }]) => cosigners.includes(formatVkey(vkey)))
    .map(([name]) => name)
  if (quorum !== undefined && quorumMet(config.policy, names))
    await insertWitnessed(db, bank, { policy: quorum, size: cosignature.size })
}

/** In this process at once, and in the others before they sign again: nobody signs on what a witness has contradicted. */
async function stopFor({ db, signer }: Way, bank: string, why: string): Promise<void> {
  if (signer.stopped(bank) !== undefined) return
  signer.stop(bank, why)
  await insertSigningStop(db, bank, why)
}

async function askAll(way: Way, bank: string): Promise<string[]> {
  const found = await readWitnessing(way.db, bank, way.witnesses.map(vkeyOf))
  const answers = await Promise.all(
    way.witnesses.map(async (witness): Promise<string | undefined> => {
      if (found === undefined) return seenBefore(way, bank, witness)
      const submitted = await submit(way, bank, { witness, size: found.newest.size, ...found })
      return submitted.kind === 'contradicted' ? submitted.why : undefined
    }),
  )
  return answers.filter((why) => why !== undefined)
}

/** Of a ledger that has signed nothing yet a witness can know nothing. */
async function seenBefore(way: Way, bank: string, witness: Witness): Promise<string | undefined> {
  const vkey = way.keys.get(bank)?.vkey
  const size = vkey && (await signedAhead({ ...way, vkey }, witness, { size: 0 }))
  if (typeof size !== 'number') return undefined
  const why = `the witness ${witness.name} has cosigned ${size} entries, and none are signed here: the ledger was rolled back`
  await stopFor(way, bank, why)
  return why
}
