import type { Database } from './database.ts'
import { hashOf, random256 } from './ids.ts'
import { sha256Text } from './sha256.ts'
import type { Vault } from './vault.ts'

/** Minutes without a request after which a browser's session is over. */
export const session_idle_minutes = 15

/** A browser's session as read: `sealed` is what `saveSession` must still find to write over it. */
export interface StoredSession {
  readonly cookie: string
  readonly content: unknown
  readonly sealed: Buffer
}

interface Keeper {
  readonly db: Database
  readonly vault: Vault
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/**
 * Begins a session and returns its cookie: 256 random bits, kept by hash. A session that it `follows` ends in the same
 * statement. Every gain of privilege comes this way, so a cookie planted in a browser is never the one that gains it.
 */
export async function beginSession(
  keeper: Keeper,
  content: unknown,
  { follows }: { follows?: string | undefined } = {},
): Promise<string> {
  const cookie = random256()
  await keeper.db.knex.raw(
    `with ended as (delete from sessions where cookie_hash = ?)
     insert into sessions (cookie_hash, sealed, expires_at) values (?, ?, ?)`,
    [
      hashOf(follows ?? ''),
      hashOf(cookie),
      keeper.vault.seal(content, about(cookie)),
      idleEnd(keeper),
    ],
  )
  return cookie
}

/** The session of a cookie, which lives on from now; undefined when there is none or its time was up. */
export async function findSession(
  keeper: Keeper,
  cookie: string,
): Promise<StoredSession | undefined> {
  const { rows } = await keeper.db.knex.raw<{ rows: { sealed: Buffer }[] }>(
    `update sessions set expires_at = ? where cookie_hash = ? and expires_at > ? returning sealed`,
    [idleEnd(keeper), hashOf(cookie), new Date(keeper.now())],
  )
  const sealed = rows[0]?.sealed
  return sealed && { cookie, content: keeper.vault.open(sealed, about(cookie)), sealed }
}

/** Writes new content over what was read. Undefined, and nothing written, when another request wrote or ended it meanwhile. */
export async function saveSession(
  keeper: Keeper,
  { cookie, sealed }: StoredSession,
  content: unknown,
): Promise<StoredSession | undefined> {
  const next = keeper.vault.seal(content, about(cookie))
  const { rowCount } = await keeper.db.knex.raw<{ rowCount: number }>(
    `update sessions set sealed = ? where cookie_hash = ? and sealed = ?`,
    [next, hashOf(cookie), sealed],
  )
  return rowCount === 1 ? { cookie, content, sealed: next } : undefined
}

export async function endSession({ db }: Pick<Keeper, 'db'>, cookie: string): Promise<void> {
  await db.knex.raw('delete from sessions where cookie_hash = ?', [hashOf(cookie)])
}

const idleEnd = ({ now }: Keeper) => new Date(now() + session_idle_minutes * 60_000)

/** Bound in, so that one session's row cannot be put in the place of another's. */
const about = (cookie: string): string => `session ${sha256Text(cookie)}`
