import { decodeBase64, encodeBase64, encodeUtf8, readText } from './encoding.ts'
import { MerkleError } from './errors.ts'
import type { Hasher } from './hash.ts'

/**
 * Whether `signature` is the Ed25519 signature (RFC 8032) of `message`. False, never an exception,
 * whatever the bytes are.
 */
export type VerifyEd25519 = (
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
) => boolean

/** The 64-byte Ed25519 signature of `message`. */
export type SignEd25519 = (message: Uint8Array) => Uint8Array

/** Signature types of c2sp.org/signed-note. */
export const keyTypes = { ed25519: 0x01, cosignature: 0x04 } as const

export type KeyType = (typeof keyTypes)[keyof typeof keyTypes]

/** A public key that signs notes: a log's (`ed25519`), or a witness's (`cosignature`). */
export interface Vkey {
  readonly name: string
  readonly keyId: number
  readonly type: KeyType
  readonly publicKey: Uint8Array
}

const publicKeyBytes = 32

/**
 * The key of this name. Throws `vkey` or `encoding` for a name that no signature line can hold, or
 * a key that is not 32 bytes.
 */
export function makeVkey(hasher: Hasher, key: Omit<Vkey, 'keyId'>): Vkey {
  const { name, type, publicKey } = key
  if (!isKeyName(readText(name))) throw new MerkleError('vkey', 'not a key name')
  if (publicKey.length !== publicKeyBytes) {
    throw new MerkleError('vkey', 'an Ed25519 public key has 32 bytes')
  }
  const hash = hasher.sha256(Uint8Array.from([...encodeUtf8(`${name}\n`), type, ...publicKey]))
  return { name, keyId: readKeyId(hash), type, publicKey }
}

/** `<name>+<hex key id>+<base64(type || public key)>`. */
export function formatVkey({ name, keyId, type, publicKey }: Vkey): string {
  const hexId = keyId.toString(16).padStart(8, '0')
  return `${name}+${hexId}+${encodeBase64(Uint8Array.from([type, ...publicKey]))}`
}

/**
 * Parses what `formatVkey` gives. Throws `vkey` or `encoding` for any other text, a wrong key id,
 * or a signature type other than ours.
 */
export function parseVkey(hasher: Hasher, text: string): Vkey {
  const match = /^([^+]+)\+[0-9a-f]{8}\+([^ ]+)$/u.exec(text)
  if (match === null) throw new MerkleError('vkey', 'not a verifier key')
  const [, name = '', encoded = ''] = match
  const [typeByte = 0, ...publicKey] = decodeBase64(encoded)
  const type = Object.values(keyTypes).find((known) => known === typeByte)
  if (type === undefined) {
    throw new MerkleError('vkey', `signature type ${typeByte} of key ${name} is not supported`)
  }
  const vkey = makeVkey(hasher, { name, type, publicKey: Uint8Array.from(publicKey) })
  if (formatVkey(vkey) !== text) throw new MerkleError('vkey', 'the key id does not match the key')
  return vkey
}

/** Whether a signature line can bear this name: not empty, no Unicode space, no `+`. */
export function isKeyName(name: string): boolean {
  return /^[^+\p{White_Space}]+$/u.test(name)
}

/** The first four bytes, big-endian. */
export function readKeyId(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0)
}
