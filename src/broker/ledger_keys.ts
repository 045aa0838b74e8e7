import { hkdfSync } from 'node:crypto'
import { noteSigner } from '../merkle/note.ts'
import { formatVkey, keyTypes, makeVkey } from '../merkle/vkey.ts'
import { ed25519FromSeed, nodeHasher } from '../storage/node_crypto.ts'
import type { LedgerKey } from './signing.ts'

/**
 * The Ed25519 key of one ledger, derived from the operator's seed and the ledger's origin (HKDF-SHA-256, RFC 5869): one secret
 * to keep, and no key that signs for two ledgers.
 */
export function ledgerKey(seed: Buffer, origin: string): LedgerKey {
  const own = Buffer.from(hkdfSync('sha256', seed, '', `countersign ledger ${origin}`, 32))
  const { publicKey, sign } = ed25519FromSeed(own)
  const vkey = makeVkey(nodeHasher, { name: origin, type: keyTypes.ed25519, publicKey })
  return { vkey: formatVkey(vkey), signer: noteSigner(vkey, sign) }
}
