import { randomBytes } from 'node:crypto'
import { cosignatureSigner } from '../merkle/cosignature.ts'
import { decodeBase64, encodeBase64 } from '../merkle/encoding.ts'
import { MerkleError } from '../merkle/errors.ts'
import type { Signer } from '../merkle/note.ts'
import { formatVkey, keyTypes, makeVkey } from '../merkle/vkey.ts'
import { ed25519FromSeed, nodeHasher } from '../storage/node_crypto.ts'

/** The key of a witness, from its file. */
export interface WitnessKey {
  /** What a policy names it by (type 0x04). */
  readonly vkey: string
  readonly signer: Signer
}

/**
 * A new key: `PRIVATE+KEY+<name>+<id>+base64(0x01 || seed)`, which is how Go's note package keeps keys, and so what other witnesses
 * read too. Throws `MerkleError` for a name that no signature line can hold.
 */
export function newWitnessKey(name: string): string {
  const seed = randomBytes(32)
  const { publicKey } = ed25519FromSeed(seed)
  const { keyId } = makeVkey(nodeHasher, { name, type: keyTypes.ed25519, publicKey })
  const encoded = encodeBase64(Uint8Array.of(keyTypes.ed25519, ...seed))
  return `PRIVATE+KEY+${name}+${keyId.toString(16).padStart(8, '0')}+${encoded}\n`
}

/** Reads the file that `newWitnessKey` made. `now` in seconds since the epoch. Throws `MerkleError` with code `vkey`. */
export function readWitnessKey(text: string, now = () => Date.now() / 1_000): WitnessKey {
  const match = /^PRIVATE\+KEY\+([^+]+)\+([0-9a-f]{8})\+([^\s+]+|[^\s]+)\n?$/u.exec(text)
  if (match === null) throw new MerkleError('vkey', 'not the key of a witness')
  const [, name = '', id = '', encoded = ''] = match
  const [type, ...seed] = decodeBase64(encoded)
  if (type !== keyTypes.ed25519 || seed.length !== 32)
    throw new MerkleError('vkey', 'not an Ed25519 key')
  const { publicKey, sign } = ed25519FromSeed(Uint8Array.from(seed))
  const { keyId } = makeVkey(nodeHasher, { name, type: keyTypes.ed25519, publicKey })
  if (keyId !== parseInt(id, 16)) throw new MerkleError('vkey', 'the key id does not match the key')
  const vkey = makeVkey(nodeHasher, { name, type: keyTypes.cosignature, publicKey })
  return { vkey: formatVkey(vkey), signer: cosignatureSigner(vkey, sign, now) }
}
