import { decodeBase64, encodeBase64, encodeUtf8, readText } from './encoding.ts'
import type { Text } from './encoding.ts'
import { MerkleError } from './errors.ts'
import { isKeyName, keyTypes, readKeyId } from './vkey.ts'
import type { SignEd25519, VerifyEd25519, Vkey } from './vkey.ts'

/**
 * A signed note (c2sp.org/signed-note): `text` ends in a newline; whether the signatures are good
 * is another matter.
 */
export interface Note {
  readonly text: string
  readonly signatures: readonly Signature[]
}

/** One signature line. `signature` is what follows the key id. */
export interface Signature {
  readonly name: string
  readonly keyId: number
  readonly signature: Uint8Array
}

/** A key we know, and how it verifies the text of a note. */
export interface Verifier {
  readonly name: string
  readonly keyId: number
  verify(text: Uint8Array, signature: Uint8Array): boolean
}

/** A key we hold, and how it signs the text of a note. */
export interface Signer {
  readonly name: string
  readonly keyId: number
  sign(text: Uint8Array): Uint8Array
}

const signaturesMax = 100
const keyIdBytes = 4

/** The verifier of a log's key. Throws `vkey` for a key of another type. */
export function noteVerifier(vkey: Vkey, verifyEd25519: VerifyEd25519): Verifier {
  const { name, keyId, publicKey } = checkType(vkey)
  return {
    name,
    keyId,
    verify: (text, signature) => verifyEd25519(publicKey, text, signature),
  }
}

/** The signer of a log's key. Throws `vkey` for a key of another type. */
export function noteSigner(vkey: Vkey, sign: SignEd25519): Signer {
  const { name, keyId } = checkType(vkey)
  return { name, keyId, sign }
}

function checkType(vkey: Vkey): Vkey {
  if (vkey.type !== keyTypes.ed25519) throw new MerkleError('vkey', 'not the key of a log')
  return vkey
}

/**
 * Parses a note by its form alone; trust nothing in it before `openNote`. Throws `note` or
 * `encoding`.
 */
export function parseNote(input: Text): Note {
  const note = readText(input)
  const blank = note.lastIndexOf('\n\n')
  if (blank < 0) throw new MerkleError('note', 'no blank line before the signatures')
  return {
    text: note.slice(0, blank + 1),
    signatures: parseSignatures(note.slice(blank + 2)),
  }
}

/**
 * Parses 1 to 100 signature lines, as a note or the answer of a witness ends with. Throws `note` or
 * `encoding`.
 */
export function parseSignatures(input: Text): Signature[] {
  const lines = readText(input).split('\n')
  if (lines.pop() !== '') throw new MerkleError('note', 'the last line does not end')
  if (lines.length < 1 || lines.length > signaturesMax) {
    throw new MerkleError('note', `a note has 1 to ${signaturesMax} signatures`)
  }
  return lines.map(parseSignature)
}

function parseSignature(line: string): Signature {
  const [, name = '', encoded = ''] = /^— ([^ ]+) ([^ ]+)$/u.exec(line) ?? []
  if (!isKeyName(name)) throw new MerkleError('note', 'not a signature line')
  const bytes = decodeBase64(encoded)
  if (bytes.length <= keyIdBytes) throw new MerkleError('note', 'a signature is too short')
  return { name, keyId: readKeyId(bytes), signature: bytes.subarray(keyIdBytes) }
}

export function formatNote({ text, signatures }: Note): string {
  return `${text}\n${signatures.map(formatSignature).join('')}`
}

/** One signature line, which ends in a newline. */
export function formatSignature({ name, keyId, signature }: Signature): string {
  const bytes = new Uint8Array(keyIdBytes + signature.length)
  new DataView(bytes.buffer).setUint32(0, keyId)
  bytes.set(signature, keyIdBytes)
  return `— ${name} ${encodeBase64(bytes)}\n`
}

/**
 * The note with a signature by `signer` at its end, in place of an earlier one by the same key.
 * Throws `note` or `encoding`.
 */
export function signNote({ text, signatures }: Note, signer: Signer): Note {
  if (!readText(text).endsWith('\n')) throw new MerkleError('note', 'the last line does not end')
  const { name, keyId } = signer
  const signature = signer.sign(encodeUtf8(text))
  const others = signatures.filter((other) => !isBy(signer, other))
  return { text, signatures: [...others, { name, keyId, signature }] }
}

/**
 * The text of a note, and the keys among `known` that signed it, each with its first signature; at
 * least one. Signatures by other keys are passed over. Throws `signature` if one by a known key is
 * bad, `unsigned` if no known key signed, `note` or `encoding` if the note is malformed.
 */
export function openNote(
  input: Text,
  known: readonly Verifier[],
): { text: string; verified: ReadonlyMap<Verifier, Uint8Array> } {
  const { text, signatures } = parseNote(input)
  const message = encodeUtf8(text)
  const verified = new Map<Verifier, Uint8Array>()
  for (const line of signatures) {
    const verifier = known.find((key) => isBy(key, line))
    if (verifier === undefined || verified.has(verifier)) continue
    if (!verifier.verify(message, line.signature)) {
      throw new MerkleError('signature', `the signature of ${line.name} is bad`)
    }
    verified.set(verifier, line.signature)
  }
  if (verified.size === 0) throw new MerkleError('unsigned', 'no known key signed the note')
  return { text, verified }
}

function isBy(key: Signer | Verifier, signature: Signature): boolean {
  return signature.name === key.name && signature.keyId === key.keyId
}
