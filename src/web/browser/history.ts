import { encodeBase64, decodeHash } from '../../merkle/encoding.ts'
import { MerkleError } from '../../merkle/errors.ts'
import { equalBytes, type Hash, type Hasher } from '../../merkle/hash.ts'
import { checkConsistency, type TreeHead } from '../../merkle/proof.ts'
import type { Status } from './verification.ts'

/** The largest tree of a ledger that this browser has checked, with the note that signed it: evidence, if another contradicts it. */
export interface Seen {
  readonly size: number
  /** Base64. */
  readonly root: string
  readonly note: string
}

/** A tree that was opened under a policy, with its note. */
export interface SignedTree extends TreeHead {
  readonly note: string
}

/** Whether two trees are one history, and the larger of them. `notes`: two signed checkpoints that contradict each other. */
export interface Compared {
  readonly status: Status
  readonly detail?: string
  readonly seen: Seen
  readonly notes?: readonly [string, string]
}

/**
 * Holds a tree against the largest seen before, by a consistency proof between their sizes, whichever is larger: `prove` gets
 * it, and rejects when it has none. A proof that cannot be had leaves the check not done, which is not a pass: whoever hides a
 * fork would answer nothing.
 */
export async function compareWithSeen(
  hasher: Hasher,
  {
    seen,
    tree,
    prove,
  }: {
    seen: Seen | undefined
    tree: SignedTree
    prove(from: number, to: number): Promise<readonly Hash[]>
  },
): Promise<Compared> {
  const newest: Seen = { size: tree.size, root: encodeBase64(tree.root), note: tree.note }
  if (seen === undefined) return { status: 'passed', seen: newest }
  const before: SignedTree = { size: seen.size, root: decodeHash(seen.root), note: seen.note }
  const [from, to] = before.size <= tree.size ? [before, tree] : [tree, before]
  const larger = to === tree ? newest : seen
  if (from.size === to.size && equalBytes(from.root, to.root)) return { status: 'passed', seen }
  const notes = [seen.note, tree.note] as const
  if (from.size === to.size)
    return {
      status: 'failed',
      detail: `The ledger signed two different trees of ${to.size} entries: this is a fork.`,
      ...{ seen, notes },
    }
  let proof: readonly Hash[]
  try {
    proof = await prove(from.size, to.size)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    return {
      status: 'not_done',
      detail: `The server gave no proof that the trees of ${from.size} and ${to.size} entries are one history: ${why}`,
      seen,
    }
  }
  try {
    checkConsistency(hasher, { from, to, proof })
    return { status: 'passed', seen: larger }
  } catch (error) {
    if (!(error instanceof MerkleError)) throw error
    return {
      status: 'failed',
      detail: `The trees of ${from.size} and ${to.size} entries are not one history: ${error.message}. Either the proof is bad, or this is a fork.`,
      ...{ seen, notes },
    }
  }
}
