import { MerkleError } from '../../merkle/errors.ts'
import { openUnderPolicy, type Policy, type WitnessedCheckpoint } from '../../merkle/policy.ts'
import { proveConsistency, type TileReader } from '../../merkle/proof.ts'
import { compareWithSeen, type Compared, type SignedTree } from './history.ts'
import type { Remembered } from './remembered.ts'
import { askFreshText, servedTiles } from './served.ts'
import type { PageCrypto } from './verification.ts'

/** The newest signed tree, opened under the pinned policy and held against what this browser has seen. */
export interface NewestTree extends WitnessedCheckpoint {
  readonly note: string
  readonly compared: Compared
  readonly tiles: TileReader
}

/** Why a checkpoint is not accepted, in words for the reader. */
export class TreeRefused extends Error {
  override readonly name = 'TreeRefused'
  readonly notes: readonly [string, string] | undefined

  constructor(message: string, notes?: readonly [string, string]) {
    super(message)
    this.notes = notes
  }
}

/**
 * Reads the newest checkpoint of a bank's ledger and checks it. Throws `TreeRefused` for one that the policy does not accept, that
 * contradicts what was seen before, or that is smaller: entries were taken back. Throws `NotServed` when there is none.
 */
export async function newestTree(
  crypto: PageCrypto,
  { bank, policy, remembered }: { bank: string; policy: Policy; remembered: Remembered },
): Promise<NewestTree> {
  const note = await askFreshText(`/ledger/${bank}/checkpoint`)
  const opened = openChecked(crypto, policy, note)
  const seen = remembered.seen(bank)
  if (seen !== undefined && opened.checkpoint.size < seen.size)
    throw new TreeRefused(
      `The newest checkpoint has ${opened.checkpoint.size} entries. This browser has seen one of ${seen.size}: entries were taken back.`,
      [seen.note, note],
    )
  const tiles = servedTiles(bank)
  const tree = { ...opened.checkpoint, note }
  const compared = await rememberTree(crypto, { bank, tree, tiles, remembered })
  if (compared.status === 'failed')
    throw new TreeRefused(compared.detail ?? 'This is a fork.', compared.notes)
  return { ...opened, note, compared, tiles }
}

function openChecked(
  { verifyEd25519 }: PageCrypto,
  policy: Policy,
  note: string,
): WitnessedCheckpoint {
  try {
    return openUnderPolicy(verifyEd25519, policy, note)
  } catch (error) {
    if (!(error instanceof MerkleError)) throw error
    throw new TreeRefused(
      `The newest checkpoint is not one that your policy accepts: ${error.message}.`,
    )
  }
}

/** Holds a tree that was opened under the policy against the largest seen, by proofs made from tiles; remembers the larger. */
export async function rememberTree(
  { hasher }: PageCrypto,
  {
    bank,
    tree,
    tiles,
    remembered,
  }: { bank: string; tree: SignedTree; tiles: TileReader; remembered: Remembered },
): Promise<Compared> {
  const compared = await compareWithSeen(hasher, {
    seen: remembered.seen(bank),
    tree,
    prove: (from, to) => proveConsistency(hasher, tiles, { from, to }),
  })
  if (compared.status === 'passed') remembered.setSeen(bank, compared.seen)
  return compared
}
