import { readText } from './encoding.ts'
import { MerkleError } from './errors.ts'
import type { Hasher } from './hash.ts'
import { formatNote, noteVerifier, openNote, signNote, type Signer } from './note.ts'
import { makeVkey, type VerifyEd25519, type Vkey } from './vkey.ts'

/**
 * What a log signs beside its checkpoints, with the same key: one line of text under a title, as a signed note. A checkpoint's text
 * has three lines, and this has two, of which the first is the title: neither is ever taken for the other, though they are signed
 * alike. The key has another name here too, the log's and the title's, so that whoever looks for a checkpoint passes the note over.
 */
export interface Title {
  /** The first line, without spaces: `countersign-export/v1`. */
  readonly title: string
  /** What the log's name is followed by in that of the key: `export`. */
  readonly use: string
}

const keyFor = (hasher: Hasher, key: Omit<Vkey, 'keyId'>, { use }: Title): Vkey =>
  makeVkey(hasher, { ...key, name: `${key.name}/${use}` })

/** Signs a line under a title with a log's key, which `signer` holds. Throws `note` for a text that is no line. */
export function signLine(
  hasher: Hasher,
  { title, line, log, signer }: { title: Title; line: string; log: Vkey; signer: Signer },
): string {
  if (line.includes('\n')) throw new MerkleError('note', 'more than one line')
  const { name, keyId } = keyFor(hasher, log, title)
  const own = { name, keyId, sign: signer.sign }
  return formatNote(signNote({ text: `${title.title}\n${line}\n`, signatures: [] }, own))
}

/** The line that one of these logs signed under this title, and which. Throws `note`, `signature`, `unsigned` or `encoding`. */
export function openLine(
  note: string | Uint8Array,
  {
    title,
    logs,
    hasher,
    verifyEd25519,
  }: {
    readonly title: Title
    readonly logs: readonly Vkey[]
    readonly hasher: Hasher
    readonly verifyEd25519: VerifyEd25519
  },
): { line: string; log: Vkey } {
  const known = logs.map((log) => ({
    log,
    verifier: noteVerifier(keyFor(hasher, log, title), verifyEd25519),
  }))
  const { text, verified } = openNote(
    note,
    known.map(({ verifier }) => verifier),
  )
  const [first, line, end, ...more] = readText(text).split('\n')
  if (first !== title.title || line === undefined || end !== '' || more.length > 0)
    throw new MerkleError('note', `not a note of ${title.title}`)
  const by = known.find(({ verifier }) => verified.has(verifier))
  if (by === undefined) throw new MerkleError('unsigned', 'no known key signed the note')
  return { line, log: by.log }
}
