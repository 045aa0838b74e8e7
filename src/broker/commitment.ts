import { createHash } from 'node:crypto'

/** SHA-256(salt ‖ what is committed to), base64url. Without the salt it tells nothing; with it, what was meant is proven. */
export function commitment(salt: Uint8Array, committed: string | Uint8Array): string {
  return createHash('sha256').update(salt).update(committed).digest('base64url')
}
