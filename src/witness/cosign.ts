import { parseAddCheckpoint } from '../merkle/add_checkpoint.ts'
import { openCheckpoint, parseCheckpoint, type Checkpoint } from '../merkle/checkpoint.ts'
import { encodeUtf8 } from '../merkle/encoding.ts'
import { MerkleError, ProofError } from '../merkle/errors.ts'
import {
  formatNote,
  formatSignature,
  noteVerifier,
  parseNote,
  type Signer,
} from '../merkle/note.ts'
import type { Peer } from '../merkle/policy.ts'
import { checkConsistency, type TreeHead } from '../merkle/proof.ts'
import { emptyRoot } from '../merkle/tree.ts'
import type { Cosigned, CosignedStore } from '../storage/cosigned.ts'
import { nodeHasher, verifyEd25519 } from '../storage/node_crypto.ts'

/** A witness: the logs it knows, its key, and what it has cosigned. */
export interface Witness {
  readonly logs: readonly Peer[]
  readonly signer: Signer
  readonly store: CosignedStore
}

/** An answer of `add-checkpoint` (c2sp.org/tlog-witness): signature lines, the size that was cosigned last, or what is wrong. */
export type Answer =
  | { readonly status: 200; readonly lines: string }
  | { readonly status: 409; readonly size: number }
  | { readonly status: 400 | 403 | 404 | 422; readonly why: string }

const nothing: TreeHead = { size: 0, root: emptyRoot(nodeHasher) }

/**
 * Cosigns a checkpoint that extends the one it cosigned last, and remembers it before it answers. Two that come at the same time
 * are taken one after the other, in however many processes. Throws when what it remembers cannot be read or written.
 */
export async function addCheckpoint(witness: Witness, body: Uint8Array): Promise<Answer> {
  const asked = read(witness, body)
  if (asked.kind === 'refused') return asked.answer
  const { old, proof, note, checkpoint } = asked
  for (;;) {
    const cosigned = await recall(witness, checkpoint.origin)
    const from = cosigned.note === undefined ? nothing : headOf(cosigned.note)
    if (from.size !== old) return { status: 409, size: from.size }
    try {
      checkConsistency(nodeHasher, { from, to: checkpoint, proof })
    } catch (error) {
      if (error instanceof ProofError) return { status: 422, why: error.message }
      throw error
    }
    // Signed first, so that what is remembered is what is shown; the signature leaves the house only once it is remembered.
    const { name, keyId } = witness.signer
    const own = { name, keyId, signature: witness.signer.sign(encodeUtf8(note.text)) }
    const next = formatNote({ text: note.text, signatures: [...note.signatures, own] })
    if (await witness.store.replace(checkpoint.origin, cosigned, next))
      return { status: 200, lines: formatSignature(own) }
  }
}

/** What is asked, if the log that signed it is one that the witness knows. */
function read({ logs }: Witness, body: Uint8Array) {
  try {
    const { old, proof, checkpoint: text } = parseAddCheckpoint(body)
    const note = parseNote(text)
    const { origin, size } = parseCheckpoint(note.text)
    const known = logs.filter(({ vkey }) => vkey.name === origin)
    if (known.length === 0) return refused(404, `no log ${origin} is known here`)
    const logKeys = known.map(({ vkey }) => noteVerifier(vkey, verifyEd25519))
    const { checkpoint } = openCheckpoint(text, { origin, logKeys })
    if (old > size) return refused(400, 'the old size is larger than that of the checkpoint')
    // Only the log's own signatures are kept: anyone may add others to what it signed.
    const signatures = note.signatures.filter(({ name, keyId }) =>
      logKeys.some((key) => key.name === name && key.keyId === keyId),
    )
    return { kind: 'asked', old, proof, note: { text: note.text, signatures }, checkpoint } as const
  } catch (error) {
    if (!(error instanceof MerkleError)) throw error
    const unsigned = error.code === 'unsigned' || error.code === 'signature'
    return refused(unsigned ? 403 : 400, error.message)
  }
}

const refused = (status: 400 | 403 | 404, why: string) =>
  ({ kind: 'refused', answer: { status, why } }) as const

/** What a witness cosigned of a log that it knows. Throws when it cannot tell: what it remembered is lost or cannot be read. */
export async function recall({ store }: Witness, origin: string): Promise<Cosigned> {
  const cosigned = await store.read(origin)
  if (cosigned === undefined) throw new Error(`what was cosigned of ${origin} is lost`)
  return cosigned
}

/** Throws `MerkleError` when what was remembered is damaged. */
const headOf = (note: string): Checkpoint => parseCheckpoint(parseNote(note).text)
