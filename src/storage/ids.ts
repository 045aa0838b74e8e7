import { createHash, randomBytes, randomFillSync } from 'node:crypto'

const pool = Buffer.alloc(4_096)
let used = pool.length

/** 128 random bits, base64url: account handles, fetch ids, link ids. */
export function random128(): string {
  // Asked for by the pool: a call for each costs more than the rest of an id.
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  used += 16
  return pool.toString('base64url', used - 16, used)
}

/** A fetch id as it travels to the bank: as a UUID, which is what an interaction id must be. */
export const interactionOfFetch = (id: string): string =>
  Buffer.from(id, 'base64url')
    .toString('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')

/** The fetch id that travels as this UUID. */
export const fetchOfInteraction = (uuid: string): string =>
  Buffer.from(uuid.replaceAll('-', ''), 'hex').toString('base64url')

/**
 * Ids that no other process gives: 80 random bits of its own and a count, base64url like `random128`, for what tells nobody
 * anything. They lie side by side in an index, which so stays as fast as it was however many it holds.
 */
export function idsInARow(): () => string {
  const id = randomBytes(16)
  let count = 0
  return () => {
    id.writeUIntBE(count++, 10, 6)
    return id.toString('base64url')
  }
}

/** 256 random bits, base64url: codes, refresh tokens, pointers, cookies. */
export const random256 = (): string => randomBytes(32).toString('base64url')

/** An opaque id that carries its bank as a routing prefix: `<bank>.<random>`. */
export const routed = (bank: string, random: string): string => `${bank}.${random}`

/** The bank that an opaque id is routed to; undefined for what is no such id. */
export function bankIdOf(id: string): string | undefined {
  return /^([a-z0-9-]{1,40})\.[A-Za-z0-9_-]{22,43}$/.exec(id)?.[1]
}

/** What is kept of a secret that must be recognised again. */
export const hashOf = (secret: string): Buffer => createHash('sha256').update(secret).digest()
