import { decodeHash, encodeBase64, parseDecimal, readText, splitAtBlankLine } from './encoding.ts'
import type { Text } from './encoding.ts'
import { MerkleError } from './errors.ts'
import type { Hash } from './hash.ts'
import { proofHashesMax } from './proof.ts'

/**
 * The body of a request to a witness (c2sp.org/tlog-witness): the checkpoint, and the proof that it
 * extends size `old`.
 */
export interface AddCheckpoint {
  readonly old: number
  readonly proof: readonly Hash[]
  readonly checkpoint: string
}

export function formatAddCheckpoint({ old, proof, checkpoint }: AddCheckpoint): string {
  const lines = [`old ${old}`, ...proof.map(encodeBase64)]
  return `${lines.join('\n')}\n\n${checkpoint}`
}

/**
 * Parses a request body by its form alone; the checkpoint is kept verbatim. Throws `add_checkpoint`
 * or `encoding`.
 */
export function parseAddCheckpoint(input: Text): AddCheckpoint {
  const parts = splitAtBlankLine(readText(input))
  if (parts === undefined)
    throw new MerkleError('add_checkpoint', 'no blank line before the checkpoint')
  const [first = '', ...proof] = parts.lines
  if (!first.startsWith('old ')) throw new MerkleError('add_checkpoint', 'the old size is missing')
  if (proof.length > proofHashesMax)
    throw new MerkleError('add_checkpoint', 'the proof is too long')
  return {
    old: parseDecimal(first.slice('old '.length)),
    proof: proof.map(decodeHash),
    checkpoint: parts.rest,
  }
}
