import type { VerifyJws } from '../ledger/bank_jws.ts'
import type { PublicJwk } from '../ledger/entry.ts'
import { noteText } from '../ledger/embedded_note.ts'
import { activeKeys } from '../ledger/key.ts'
import { openCheckpoint, type Checkpoint } from '../merkle/checkpoint.ts'
import { encodeBase64, readText, type Text } from '../merkle/encoding.ts'
import { MerkleError } from '../merkle/errors.ts'
import { equalBytes, type Hash, type Hasher } from '../merkle/hash.ts'
import { noteVerifier } from '../merkle/note.ts'
import {
  openUnderPolicy,
  quorumMet,
  type Policy,
  type WitnessedCheckpoint,
} from '../merkle/policy.ts'
import { formatVkey, type VerifyEd25519 } from '../merkle/vkey.ts'
import { reportOf, type Check, type Finding, type Freshness, type Report } from './report.ts'
import { limits, SourceError, type LedgerSource } from './source.ts'
import { sealWalk, type Kept } from './sealed_walk.ts'
import { treesHere, type OpenTrees } from './trees.ts'
import { startWalk, walkLedger, type Walk } from './walk.ts'

/** How hashes are computed and signatures verified. */
export interface Crypto {
  readonly hasher: Hasher
  readonly verifyEd25519: VerifyEd25519
  readonly verifyJws: VerifyJws
}

interface Trusted {
  /** The bank's key, as the bank itself gave it. */
  readonly bankKey?: PublicJwk | undefined
  readonly policy: Policy
  readonly crypto: Crypto
}

/** How far the clock of a witness may be ahead of ours, seconds. What is further ahead would be fresh for longer than it is. */
const clock_ahead_s_max = 300

interface Newest extends WitnessedCheckpoint {
  readonly note: string
}

interface Earlier {
  readonly note: string
  readonly checkpoint: Checkpoint
}

/** Signed notes that the ledger must stand by, how the work is done, and where it is gone on from. */
interface Verifying extends Trusted {
  /** Checkpoints of the ledger that were seen or kept before. */
  readonly earlier?: readonly Text[] | undefined
  readonly freshness?: Freshness | undefined
  readonly openTrees?: OpenTrees | undefined
  /** A walk that was interrupted, or that ended at a smaller size. */
  readonly kept?: Kept | undefined
  /** Told after each full bundle of a ledger of `size` entries; `seal` gives the lines to go on from, for `openWalk`. */
  readonly watch?: ((done: number, size: number, seal: Seal) => void | Promise<void>) | undefined
}

export type Seal = () => Promise<Iterable<string>>

/** A walk that was kept cannot be gone on with here. */
export class KeptRefused extends Error {
  override readonly name = 'KeptRefused'
}

/**
 * Checks a ledger from its files and nothing else: the newest checkpoint under the policy, every file it covers, the tree, and
 * every rule. With earlier checkpoints of the ledger, also that it has only been appended to since; with `freshness`, that a
 * quorum has seen the checkpoint of late. Whatever is wrong with the ledger is a finding of the report, not an error. Throws
 * `KeptRefused`.
 */
export async function verifyLedger(
  source: LedgerSource,
  { earlier: earlierNotes = [], freshness, kept, openTrees, watch, ...trusted }: Verifying,
): Promise<Report> {
  const findings: Finding[] = []
  const newest = await finding(findings, 'checkpoint', () => openNewest(source, trusted))
  if (newest === undefined) return reportOf({ source, findings })
  const { checkpoint, note } = newest
  const { size } = checkpoint
  if (freshness !== undefined) findings.push(...compareAge(newest, freshness, trusted.policy))
  const earlier: Earlier[] = kept === undefined ? [] : [openKept(kept, newest, trusted)]
  for (const earlierNote of earlierNotes) {
    const opened = await finding(findings, 'history', () =>
      openEarlier(earlierNote, newest, trusted),
    )
    if (opened !== undefined) earlier.push(opened)
  }
  const rootsAt = [size, ...earlier.map((one) => one.checkpoint.size)]
  const begun = kept === undefined ? startWalk() : goOn(kept.walk, rootsAt)
  const resumedAt = begun.edge.size
  const walk = await finding(findings, 'files', async () => {
    await walkLedger(
      source,
      begun,
      { size, rootsAt },
      {
        ...trusted.crypto,
        openTrees: openTrees ?? treesHere(trusted.crypto.hasher),
        watch: (at, settle) =>
          watch?.(at.edge.size, size, async () => {
            await settle()
            return sealWalk({ walk: at, note })
          }),
      },
    )
    return begun
  })
  if (walk !== undefined) findings.push(...compare(newest, walk, trusted))
  findings.push(...earlier.flatMap((one) => compareHistory(newest, one, walk)).slice(0, forks_max))
  return reportOf({
    ...{ source, findings, newest, walk, freshness, resumedAt },
    earlier: earlier.map((one) => one.checkpoint),
  })
}

/** One fork is proof enough; a ledger that forked early has one for each later checkpoint. */
const forks_max = 3

/** The checkpoint of a walk that was kept. */
function openKept({ note, walk }: Kept, newest: Newest, trusted: Trusted): Earlier {
  const { origin, size } = newest.checkpoint
  try {
    const before = openEarlier(note, newest, trusted)
    if (walk.edge.size <= size) return before
  } catch (error) {
    if (!(error instanceof MerkleError)) throw error
    throw new KeptRefused(`it is not of ${origin} under this policy: ${error.message}`)
  }
  throw new KeptRefused(
    `it holds ${walk.edge.size} entries of ${origin}, and the checkpoint has only ${size}: entries may have been taken back`,
  )
}

/** A walk that has gone by a size whose root is now asked for did not keep it. */
function goOn(walk: Walk, rootsAt: readonly number[]): Walk {
  const missed = rootsAt.find((size) => size < walk.edge.size && !walk.roots.has(size))
  if (missed === undefined) return walk
  throw new KeptRefused(
    `it has gone by ${missed} entries, whose root is now asked for: begin anew with that checkpoint`,
  )
}

/** What is wrong with the ledger becomes a finding. Any other error is a bug. */
async function finding<T>(
  findings: Finding[],
  check: Check,
  work: () => T | Promise<T>,
): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof MerkleError) && !(error instanceof SourceError)) throw error
    findings.push({ check, detail: error.message })
    return undefined
  }
}

async function openNewest(source: LedgerSource, { policy, crypto }: Trusted): Promise<Newest> {
  const note = readText(await source.read('checkpoint', limits.checkpoint_bytes_max))
  return { note, ...openUnderPolicy(crypto.verifyEd25519, policy, note) }
}

/** The check `freshness`: whoever shows an old checkpoint for ever hides what came after it. */
export function compareAge(
  { cosigners }: Pick<WitnessedCheckpoint, 'cosigners'>,
  { max_age_s, now }: Freshness,
  policy: Policy,
): Finding[] {
  const now_s = now / 1_000
  const recent = cosigners.filter(
    ({ time }) => time >= now_s - max_age_s && time <= now_s + clock_ahead_s_max,
  )
  const fresh = quorumMet(
    policy,
    recent.map(({ name }) => name),
  )
  if (fresh) return []
  const detail = `too few witnesses cosigned it in the last ${max_age_s} s: it may be an old checkpoint, shown in place of a newer one`
  return [{ check: 'freshness', detail }]
}

/** An earlier checkpoint counts once the ledger has signed it: what it has signed, it must stand by. */
function openEarlier(
  earlier: Text,
  { checkpoint: { origin } }: Newest,
  { policy, crypto }: Trusted,
): Earlier {
  const note = readText(earlier)
  const logKeys = policy.logs.map(({ vkey }) => noteVerifier(vkey, crypto.verifyEd25519))
  return { note, checkpoint: openCheckpoint(note, { origin, logKeys }).checkpoint }
}

/** The checks `tree`, `rules` and `identity`. */
function compare(newest: Newest, walk: Walk, trusted: Trusted): Finding[] {
  const { checkpoint } = newest
  const { state, violation, wrongTile } = walk
  const findings: Finding[] = []
  if (!isRoot(walk, checkpoint))
    findings.push({ check: 'tree', detail: 'the entries do not hash to the root that is signed' })
  if (wrongTile !== undefined)
    findings.push({ check: 'tree', detail: `${wrongTile} does not hold the hashes of the entries` })
  if (violation !== undefined) {
    const { index, rule, detail } = violation
    findings.push({ check: 'rules', index, rule, detail })
  }
  const { bankKey } = trusted
  const named = state.genesis?.bank_key
  if (bankKey !== undefined && named !== undefined && !isSameKey(bankKey, named))
    findings.push({
      check: 'identity',
      detail: "the first entry names another key than the bank's",
    })
  const origin = state.genesis?.origin
  if (origin !== checkpoint.origin)
    findings.push({
      check: 'identity',
      detail: `the first entry opens ${origin ?? 'no ledger'}, not ${checkpoint.origin}`,
    })
  findings.push(...checkPredecessor(walk, trusted), ...checkRestores(walk))
  const keys = activeKeys(state.keys.ledger)
  if (
    origin === checkpoint.origin &&
    violation === undefined &&
    !keys.some((key) => isSignedBy(key, newest, trusted))
  )
    findings.push({
      check: 'identity',
      detail: `the checkpoint is not signed by ${keys.join(' or ')}, which the entries name`,
    })
  return findings
}

/** The last checkpoint of the ledger before this one holds too, where the policy knows that ledger; else it is only said. */
function checkPredecessor({ state }: Walk, { policy, crypto }: Trusted): Finding[] {
  const before = state.genesis?.predecessor
  if (before === undefined) return []
  try {
    openUnderPolicy(crypto.verifyEd25519, policy, noteText(before.checkpoint) ?? '')
    return []
  } catch (error) {
    if (!(error instanceof MerkleError)) throw error
    if (error.code === 'origin') return []
    return [
      {
        check: 'identity',
        detail: `the ledger that this one follows does not hold: ${error.message}`,
      },
    ]
  }
}

/** What the ledger was restored to is what it still begins with. */
function checkRestores(walk: Walk): Finding[] {
  return [...walk.state.restores].flatMap(([n, { checkpoint }]) => {
    if (n > (walk.violation?.index ?? Infinity)) return []
    const [, , root] = noteText(checkpoint)?.split('\n') ?? []
    const computed = walk.roots.get(n)
    return computed !== undefined && encodeBase64(computed) === root
      ? []
      : [{ check: 'tree', detail: `entry ${n} says it was restored to another ledger than this` }]
  })
}

/** Whether two public keys are one, whatever else is said of them (RFC 7638 §3.2). */
const isSameKey = (a: PublicJwk, b: PublicJwk): boolean =>
  ['kty', 'crv', 'x', 'y', 'n', 'e'].every((member) => a[member] === b[member])

function isRoot(walk: Walk, { size, root }: { size: number; root: Hash }): boolean {
  const computed = walk.roots.get(size)
  return computed !== undefined && equalBytes(computed, root)
}

/** Whether the key that the entries name is one that the policy trusts, and signed the checkpoint. */
function isSignedBy(
  key: string,
  { note, checkpoint }: Newest,
  { policy, crypto }: Trusted,
): boolean {
  const vkey = policy.logs.map((log) => log.vkey).find((known) => formatVkey(known) === key)
  if (vkey === undefined) return false
  try {
    const logKeys = [noteVerifier(vkey, crypto.verifyEd25519)]
    openCheckpoint(note, { origin: checkpoint.origin, logKeys })
    return true
  } catch (error) {
    if (error instanceof MerkleError) return false
    throw error
  }
}

/** The check `history`: an earlier checkpoint is a beginning of the newest, or the ledger told two stories. */
function compareHistory(newest: Newest, earlier: Earlier, walk: Walk | undefined): Finding[] {
  const { checkpoint } = newest
  const { size, root } = earlier.checkpoint
  const notes = [earlier.note, newest.note] as const
  const fail = (detail: string): Finding[] => [{ check: 'history', detail, notes }]
  if (size > checkpoint.size)
    return fail(`it had ${size} entries and now has ${checkpoint.size}: entries were taken back`)
  if (size === checkpoint.size)
    return equalBytes(root, checkpoint.root)
      ? []
      : fail(`it signed two different ledgers of ${size} entries: this is a fork`)
  if (walk === undefined || isRoot(walk, { size, root })) return []
  return fail(`its first ${size} entries are not those that it signed earlier: this is a fork`)
}
