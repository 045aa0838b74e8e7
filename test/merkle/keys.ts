import { cosignatureSigner, cosignatureVerifier } from '../../src/merkle/cosignature.ts'
import { noteSigner, noteVerifier } from '../../src/merkle/note.ts'
import type { Signer, Verifier } from '../../src/merkle/note.ts'
import { keyTypes, makeVkey } from '../../src/merkle/vkey.ts'
import type { Vkey } from '../../src/merkle/vkey.ts'
import { ed25519FromSeed, nodeHasher, verifyEd25519 } from '../../src/storage/node_crypto.ts'

interface Key {
  readonly vkey: Vkey
  readonly signer: Signer
  readonly verifier: Verifier
}

/** The key of a log; its seed is the 32 bytes from `firstByte` up. */
export function logKey(name: string, firstByte: number): Key {
  const { publicKey, sign } = ed25519FromSeed(seedFrom(firstByte))
  const vkey = makeVkey(nodeHasher, { name, type: keyTypes.ed25519, publicKey })
  return { vkey, signer: noteSigner(vkey, sign), verifier: noteVerifier(vkey, verifyEd25519) }
}

/** The key of a witness whose clock stands at `time`. */
export function witnessKey(name: string, firstByte: number, time = 1_700_000_000): Key {
  const { publicKey, sign } = ed25519FromSeed(seedFrom(firstByte))
  const vkey = makeVkey(nodeHasher, { name, type: keyTypes.cosignature, publicKey })
  return {
    vkey,
    signer: cosignatureSigner(vkey, sign, () => time),
    verifier: cosignatureVerifier(vkey, verifyEd25519),
  }
}

function seedFrom(firstByte: number): Uint8Array {
  return Uint8Array.from({ length: 32 }, (_, i) => firstByte + i)
}

/** The keys of test/vectors/tlog.json. */
export const log = logKey('broker.example/log/v1', 0x00)
export const witness = witnessKey('witness.example/w1', 0x20)
