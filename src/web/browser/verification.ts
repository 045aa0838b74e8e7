import { CanonicalError } from '../../ledger/canonical.ts'
import { readEntry } from '../../ledger/entry.ts'
import { MerkleError, type MerkleErrorCode } from '../../merkle/errors.ts'
import { encodeBase64 } from '../../merkle/encoding.ts'
import type { Hash, Hasher } from '../../merkle/hash.ts'
import { openUnderPolicy, type Policy, type WitnessedCheckpoint } from '../../merkle/policy.ts'
import { checkInclusion } from '../../merkle/proof.ts'
import { parseTlogProof, type TlogProof } from '../../merkle/tlog_proof.ts'
import { leafHash } from '../../merkle/tree.ts'
import type { VerifyEd25519 } from '../../merkle/vkey.ts'

/** How this page computes hashes and verifies signatures. */
export interface PageCrypto {
  readonly hasher: Hasher
  readonly verifyEd25519: VerifyEd25519
}

/** What is checked of an entry here, in this order, in words. A check that fails leaves those after it not done. */
export const entryChecks = {
  entry: 'The bytes are one well-formed entry, and it is the one at this number.',
  signature: 'The checkpoint is signed by the ledger’s key in your policy.',
  quorum: 'As many witnesses cosigned the checkpoint as your policy asks for.',
  inclusion:
    'The hash of the bytes, computed here, leads through the proof to the root that was signed.',
  history: 'The signed tree and the largest one this browser has seen are one history.',
} as const

export type EntryCheck = keyof typeof entryChecks

export type Status = 'passed' | 'failed' | 'not_done'

/** What came of the checks. `tree` is there once its checkpoint was found good. */
export interface Verification {
  readonly steps: Readonly<Record<EntryCheck, Status>>
  /** What failed, in words. */
  readonly detail?: string
  readonly leaf?: string
  readonly tree?: WitnessedCheckpoint & { readonly note: string }
}

/** Verified, proven wrong, or not checked to the end: which is neither. */
export type Outcome = 'verified' | 'failed' | 'incomplete'

export function outcomeOf({ steps }: Pick<Verification, 'steps'>): Outcome {
  const all = Object.values(steps)
  if (all.includes('failed')) return 'failed'
  return all.includes('not_done') ? 'incomplete' : 'verified'
}

/** A policy as far as it is about one bank's ledger: what another ledger says, however well it is signed, is no answer. */
export const policyFor = (policy: Policy, bank: string): Policy => ({
  ...policy,
  logs: policy.logs.filter(({ vkey }) => vkey.name.endsWith(`/ledger/${bank}`)),
})

const nothingDone: Verification['steps'] = {
  entry: 'not_done',
  signature: 'not_done',
  quorum: 'not_done',
  inclusion: 'not_done',
  history: 'not_done',
}

/**
 * Checks that `bytes` are entry `index` of a ledger under `policy`, by the tlog-proof served with them. Whatever is wrong is a
 * step that failed, not an error. `history` is left to whoever remembers one.
 */
export function verifyEntry(
  { hasher, verifyEd25519 }: PageCrypto,
  {
    policy,
    index,
    bytes,
    tlogProof,
  }: { policy: Policy; index: number; bytes: Uint8Array; tlogProof: string },
): Verification {
  const wrong = whatIsWrongWith(index, bytes)
  if (wrong !== undefined) return { steps: { ...nothingDone, entry: 'failed' }, detail: wrong }
  const leaf = leafHash(hasher, bytes)
  const soFar = { entry: 'passed', leaf: encodeBase64(leaf) } as const
  let proof: TlogProof
  let tree: WitnessedCheckpoint
  try {
    proof = parseTlogProof(tlogProof)
    tree = openUnderPolicy(verifyEd25519, policy, proof.checkpoint)
  } catch (error) {
    const { steps, detail } = signatureFailure(error)
    return { steps: { ...nothingDone, entry: 'passed', ...steps }, detail, leaf: soFar.leaf }
  }
  const signed = { ...nothingDone, entry: 'passed', signature: 'passed', quorum: 'passed' } as const
  const found = { leaf: soFar.leaf, tree: { ...tree, note: proof.checkpoint } }
  const detail = whyNotIncluded(hasher, { leaf, index, proof, tree })
  return detail === undefined
    ? { steps: { ...signed, inclusion: 'passed' }, ...found }
    : { steps: { ...signed, inclusion: 'failed' }, detail, ...found }
}

function whatIsWrongWith(index: number, bytes: Uint8Array): string | undefined {
  try {
    const { n } = readEntry(bytes)
    return n === index ? undefined : `The entry says that its number is ${n}, not ${index}.`
  } catch (error) {
    if (!(error instanceof CanonicalError)) throw error
    return `The bytes are not those of an entry: ${error.message}.`
  }
}

function whyNotIncluded(
  hasher: Hasher,
  {
    leaf,
    index,
    proof,
    tree,
  }: { leaf: Hash; index: number; proof: TlogProof; tree: WitnessedCheckpoint },
): string | undefined {
  if (proof.index !== index) return `The proof is for entry ${proof.index}, not for ${index}.`
  try {
    checkInclusion(hasher, { leaf, index, tree: tree.checkpoint, proof: proof.proof })
    return undefined
  } catch (error) {
    if (!(error instanceof MerkleError)) throw error
    return `These bytes are not entry ${index} of the tree that was signed: ${error.message}.`
  }
}

/** Which check a checkpoint failed, and how to say so. */
export function signatureFailure(error: unknown): {
  steps: Partial<Verification['steps']>
  detail: string
} {
  if (!(error instanceof MerkleError)) throw error
  if (error.code === 'quorum')
    return {
      steps: { signature: 'passed', quorum: 'failed' },
      detail: 'Fewer witnesses cosigned the checkpoint than your policy asks for.',
    }
  const words = signatureWords[error.code] ?? 'The proof cannot be read'
  return { steps: { signature: 'failed' }, detail: `${words}: ${error.message}.` }
}

const signatureWords: Partial<Record<MerkleErrorCode, string>> = {
  signature: 'A signature on the checkpoint is bad: it was changed, or another key made it',
  unsigned: 'The key in your policy did not sign the checkpoint',
  origin: 'The checkpoint is of another ledger than your policy names',
}
