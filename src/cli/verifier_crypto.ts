import { verifyJws } from '../storage/jws.ts'
import { nodeHasher, verifyEd25519 } from '../storage/node_crypto.ts'
import type { Crypto } from '../verifier/verify.ts'

/** How a verifier that runs in Node.js hashes, and verifies signatures. */
export const verifierCrypto: Crypto = { hasher: nodeHasher, verifyEd25519, verifyJws }
