import { sha256Text } from '../storage/sha256.ts'

/** SHA-256(salt ‖ what is committed to), base64url. Without the salt it tells nothing; with it, what was meant is proven. */
export const commitment = (salt: Uint8Array, committed: string): string =>
  sha256Text(Buffer.concat([salt, Buffer.from(committed)]))
