import type { Database } from './database.ts'
import { hashOf, random256 } from './ids.ts'
import { sha256Text } from './sha256.ts'
import type { Vault } from './vault.ts'

/** Minutes without a request after which a browser's session is over. */
export const session_idle_minutes = 15

/** Whose session: a cookie of one kind names no session of the other. */
export type SessionKind = 'customer' | 'staff'

/** A browser's session as read: `sealed` is what `saveSession` must still find to write over it. */
export interface StoredSession {
  readonly kind: SessionKind
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
  { kind, follows }: { kind: SessionKind; follows?: string | undefined },
): Promise<string> {
  const cookie = random256()
  await keeper.db.knex.raw(
    `with ended as (delete from sessions where cookie_hash = ?)
     insert into sessions (cookie_hash, sealed, expires_at) values (?, ?, ?)`,
    [
      rowOf(kind, follows ?? ''),
      rowOf(kind, cookie),
      keeper.vault.seal(content, about(kind, cookie)),
      idleEnd(keeper),
    ],
  )
  return cookie
}

/** The session of a cookie, which lives on from now; undefined when there is none or its time was up. */
export async function findSession(
  keeper: Keeper,
  kind: SessionKind,
  cookie: string,
): Promise<StoredSession | undefined> {
  const { rows } = await keeper.db.knex.raw<{ rows: { sealed: Buffer }[] }>(
    `update sessions set expires_at = ? where cookie_hash = ? and expires_at > ? returning sealed`,
    [idleEnd(keeper), rowOf(kind, cookie), new Date(keeper.now())],
  )
  const sealed = rows[0]?.sealed
  return sealed && { kind, cookie, content: keeper.vault.open(sealed, about(kind, cookie)), sealed }
}

/** Writes new content over what was read. Undefined, and nothing written, when another request wrote or ended it meanwhile. */
export async function saveSession(
  keeper: Keeper,
  { kind, cookie, sealed }: StoredSession,
  content: unknown,
): Promise<StoredSession | undefined> {
  const next = keeper.vault.seal(content, about(kind, cookie))
  const { rowCount } = await keeper.db.knex.raw<{ rowCount: number }>(
    `update sessions set sealed = ? where cookie_hash = ? and sealed = ?`,
    [next, rowOf(kind, cookie), sealed],
  )
  return rowCount === 1 ? { kind, cookie, content, sealed: next } : undefined
}

/** Ends a session. Whether it was still there: of several who end it at once, one ended it. */
export async function endSession(
  { db }: Pick<Keeper, 'db'>,
  { kind, cookie }: Pick<StoredSession, 'kind' | 'cookie'>,
): Promise<boolean> {
  const { rowCount } = await db.knex.raw<{ rowCount: number }>(
    'delete from sessions where cookie_hash = ?',
    [rowOf(kind, cookie)],
  )
  return rowCount === 1
}

const idleEnd = ({ now }: Keeper) => new Date(now() + session_idle_minutes * 60_000)

/** Under what a session is kept: each kind has rows of its own, whatever cookies say. */
const rowOf = (kind: SessionKind, cookie: string): Buffer => hashOf(`${kind} ${cookie}`)

/** Bound in, so that one session's row cannot be put in the place of another's. */
const about = (kind: SessionKind, cookie: string): string => `${kind} session ${sha256Text(cookie)}`
