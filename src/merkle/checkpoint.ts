import { decodeHash, encodeBase64, parseDecimal, readText } from './encoding.ts'
import type { Text } from './encoding.ts'
import { MerkleError } from './errors.ts'
import { formatNote, openNote, signNote } from './note.ts'
import type { Signer, Verifier } from './note.ts'
import type { TreeHead } from './proof.ts'

/**
 * What a log signs (c2sp.org/tlog-checkpoint): the root of its tree at a size. We write and accept
 * no extension lines.
 */
export interface Checkpoint extends TreeHead {
  readonly origin: string
}

/**
 * The three lines that are signed. Throws `checkpoint` or `encoding` for what `parseCheckpoint`
 * would refuse.
 */
export function formatCheckpoint({ origin, size, root }: Checkpoint): string {
  const body = `${origin}\n${size}\n${encodeBase64(root)}\n`
  parseCheckpoint(body)
  return body
}

/** Parses the text of a checkpoint's note. Throws `checkpoint` or `encoding`. */
export function parseCheckpoint(body: string): Checkpoint {
  const [origin = '', size = '', root = '', ...rest] = readText(body).split('\n')
  if (origin === '') throw new MerkleError('checkpoint', 'a checkpoint has no origin')
  if (rest.length !== 1 || rest[0] !== '') {
    throw new MerkleError('checkpoint', 'a checkpoint is not three lines')
  }
  return { origin, size: parseDecimal(size), root: decodeHash(root) }
}

/** The signed note of a checkpoint. */
export function signCheckpoint(checkpoint: Checkpoint, signer: Signer): string {
  return formatNote(signNote({ text: formatCheckpoint(checkpoint), signatures: [] }, signer))
}

/**
 * Opens a signed checkpoint of the log `origin`: signed by one of its `logKeys`, and by those of
 * `witnesses` whose good signatures are returned as `cosignatures`. Throws `unsigned` if no log key
 * signed, `signature` if a signature by any of these keys is bad, `origin` for the checkpoint of
 * another log, `checkpoint`, `note` or `encoding` if it is malformed.
 */
export function openCheckpoint(
  note: Text,
  by: {
    readonly origin: string
    readonly logKeys: readonly Verifier[]
    readonly witnesses?: readonly Verifier[]
  },
): { checkpoint: Checkpoint; cosignatures: ReadonlyMap<Verifier, Uint8Array> } {
  const { origin, logKeys, witnesses = [] } = by
  const { text, verified } = openNote(note, [...logKeys, ...witnesses])
  if (!logKeys.some((key) => verified.has(key))) {
    throw new MerkleError('unsigned', 'the log did not sign the checkpoint')
  }
  const checkpoint = parseCheckpoint(text)
  if (checkpoint.origin !== origin) {
    throw new MerkleError('origin', `a checkpoint of ${checkpoint.origin}, not of ${origin}`)
  }
  const cosignatures = new Map([...verified].filter(([key]) => witnesses.includes(key)))
  return { checkpoint, cosignatures }
}
