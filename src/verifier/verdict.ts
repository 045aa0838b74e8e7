import { CanonicalError } from '../ledger/canonical.ts'
import { readEntry, type Entry } from '../ledger/entry.ts'
import type { Summary } from '../ledger/summary.ts'
import type { Totals } from '../ledger/totals.ts'
import { encodeBase64 } from '../merkle/encoding.ts'
import { MerkleError } from '../merkle/errors.ts'
import { equalBytes } from '../merkle/hash.ts'
import type { Policy, WitnessedCheckpoint } from '../merkle/policy.ts'
import { checkTlogProof, parseTlogProof } from '../merkle/tlog_proof.ts'
import { leafHash } from '../merkle/tree.ts'
import type { Crypto } from './verify.ts'

/** Under what a file is checked: the keys that are trusted. */
export type Trust = {
  readonly policy: Policy
  readonly crypto: Pick<Crypto, 'hasher' | 'verifyEd25519'>
}

/** What a saved file proves. What is wrong with it is said in `findings`, and then it proves nothing. */
export interface Verdict {
  readonly verified: boolean
  readonly findings: readonly string[]
  readonly ledger?: {
    readonly origin: string
    readonly size: number
    /** Base64, as in the checkpoint. */
    readonly root: string
    readonly cosigners: WitnessedCheckpoint['cosigners']
  }
  readonly range?: Pick<Summary, 'from_index' | 'to_index' | 'from' | 'to'>
  readonly totals?: Totals
  /** What is proven, and what is not, in words. */
  readonly proven: readonly string[]
  readonly unproven: readonly string[]
}

/** A file that does not prove what it says. */
export class NotProven extends Error {
  override readonly name = 'NotProven'
}

/** An entry whose inclusion was proven. */
export interface OpenedEntry {
  readonly entry: Entry
  readonly bytes: Uint8Array
  readonly opened: WitnessedCheckpoint
}

/**
 * Opens a tlog-proof that carries its entry: the entry is hashed here, is included under a checkpoint that satisfies the policy, and
 * is in its place. Throws `NotProven`, `MerkleError` or `CanonicalError`.
 */
export function openProof(proof: string, { policy, crypto }: Trust): OpenedEntry {
  const tlogProof = parseTlogProof(proof)
  const { extra: bytes, index } = tlogProof
  if (bytes === undefined) throw new NotProven('a proof does not carry its entry')
  const leaf = leafHash(crypto.hasher, bytes)
  const opened = checkTlogProof(crypto, { policy, tlogProof, leaf })
  const entry = readEntry(bytes)
  if (entry.n !== index) throw new NotProven(`entry ${index} says that it is entry ${entry.n}`)
  return { entry, bytes, opened }
}

/** The ledger that an opened proof is of. */
export function ledgerOf({ opened }: OpenedEntry): NonNullable<Verdict['ledger']> {
  const { checkpoint, cosigners } = opened
  const { origin, size, root } = checkpoint
  return { origin, size, root: encodeBase64(root), cosigners }
}

/** The ledger that all proofs of a file are of, under one checkpoint. Throws `NotProven`. */
export function oneLedger(
  proven: readonly OpenedEntry[],
  origin: string,
): NonNullable<Verdict['ledger']> {
  const [first] = proven
  if (first === undefined) throw new NotProven('there is no proof in it')
  const { checkpoint } = first.opened
  for (const { opened } of proven)
    must(
      opened.checkpoint.size === checkpoint.size &&
        equalBytes(opened.checkpoint.root, checkpoint.root),
      'its proofs are under different checkpoints',
    )
  must(checkpoint.origin === origin, `its proofs are of ${checkpoint.origin}, not of ${origin}`)
  return ledgerOf(first)
}

/** Turns what is wrong with a file into a finding. Any other error is a bug. */
export function verdictOf(work: () => Omit<Verdict, 'verified' | 'findings'>): Verdict {
  try {
    return { verified: true, findings: [], ...work() }
  } catch (error) {
    if (
      error instanceof NotProven ||
      error instanceof MerkleError ||
      error instanceof CanonicalError
    )
      return { verified: false, findings: [error.message], proven: [], unproven: [] }
    throw error
  }
}

export function must(holds: boolean, otherwise: string): asserts holds {
  if (!holds) throw new NotProven(otherwise)
}

/** What no file of ours proves, in words. */
export const neverProven = {
  classes:
    'A class is what the bank signed of a recipient; that the recipient is of that class, no total proves.',
  releases: 'Releases are authorised: that data arrived, or what became of it then, is not said.',
} as const
