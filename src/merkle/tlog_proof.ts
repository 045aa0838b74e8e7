import {
  decodeBase64,
  decodeHash,
  encodeBase64,
  parseDecimal,
  readText,
  splitAtBlankLine,
} from './encoding.ts'
import type { Text } from './encoding.ts'
import { MerkleError } from './errors.ts'
import type { Hash, Hasher } from './hash.ts'
import { openUnderPolicy } from './policy.ts'
import type { Policy, WitnessedCheckpoint } from './policy.ts'
import { checkInclusion, proofHashesMax } from './proof.ts'
import type { VerifyEd25519 } from './vkey.ts'

/**
 * The proof that an entry is in a log (c2sp.org/tlog-proof@v1). `checkpoint` is the signed note,
 * verbatim. `extra` holds the entry itself when we write it, and proves nothing: whoever checks the
 * proof hashes it himself.
 */
export interface TlogProof {
  readonly extra?: Uint8Array
  readonly index: number
  readonly proof: readonly Hash[]
  readonly checkpoint: string
}

const header = 'c2sp.org/tlog-proof@v1'

/** The file `.tlog-proof`. */
export function formatTlogProof({ extra, index, proof, checkpoint }: TlogProof): string {
  const lines = [
    header,
    ...(extra === undefined ? [] : [`extra ${encodeBase64(extra)}`]),
    `index ${index}`,
    ...proof.map(encodeBase64),
  ]
  return `${lines.join('\n')}\n\n${checkpoint}`
}

/** Whether a text begins as a tlog-proof that carries its entry does. */
export const carriesEntry = (text: string): boolean => text.startsWith(`${header}\nextra `)

/**
 * Parses the file by its form alone; `checkTlogProof` says what it is worth. Throws `tlog_proof` or
 * `encoding`.
 */
export function parseTlogProof(input: Text): TlogProof {
  const parts = splitAtBlankLine(readText(input))
  const [first, ...lines] = parts?.lines ?? []
  if (parts === undefined || first !== header) {
    throw new MerkleError('tlog_proof', 'not a tlog-proof')
  }
  const extra = takeField(lines, 'extra')
  const index = takeField(lines, 'index')
  if (index === undefined) throw new MerkleError('tlog_proof', 'the index is missing')
  if (lines.length > proofHashesMax) throw new MerkleError('tlog_proof', 'the proof is too long')
  return {
    ...(extra === undefined ? {} : { extra: decodeBase64(extra) }),
    index: parseDecimal(index),
    proof: lines.map(decodeHash),
    checkpoint: parts.rest,
  }
}

/** Takes the value of the next line, if that is the line of this field. */
function takeField(lines: string[], field: string): string | undefined {
  return lines[0]?.startsWith(`${field} `) ? lines.shift()?.slice(field.length + 1) : undefined
}

/**
 * Returns the checkpoint if the proof shows that `leaf`, hashed by the caller from the entry it
 * has, is in a log under this policy: signed by the log, cosigned by a quorum, and included. Throws
 * what `openUnderPolicy` throws, or `proof`.
 */
export function checkTlogProof(
  { hasher, verifyEd25519 }: { readonly hasher: Hasher; readonly verifyEd25519: VerifyEd25519 },
  claim: { readonly policy: Policy; readonly tlogProof: TlogProof; readonly leaf: Hash },
): WitnessedCheckpoint {
  const { policy, tlogProof, leaf } = claim
  const { index, proof, checkpoint } = tlogProof
  const opened = openUnderPolicy(verifyEd25519, policy, checkpoint)
  checkInclusion(hasher, { leaf, index, tree: opened.checkpoint, proof })
  return opened
}
