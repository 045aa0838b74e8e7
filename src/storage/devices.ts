import { inBank, type Database } from './database.ts'
import { hashOf, random256 } from './ids.ts'

/** Days for which a browser that saw a bank login may show what a pointer leads to. */
export const device_days = 30

interface Keeper {
  readonly db: Database
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/**
 * Remembers a browser in which this bank login has just happened, and returns its cookie: 256 random bits, kept by hash, fresh
 * each time so that a planted one gains nothing. It ends after `device_days`, or with the login's last active consent.
 */
export async function rememberDevice(
  { db, now }: Keeper,
  { bank, loginIndex }: { bank: string; loginIndex: Buffer },
): Promise<string> {
  const cookie = random256()
  const expires = new Date(now() + device_days * 86_400_000)
  await inBank(db, bank, (tx) =>
    tx.raw(
      'insert into devices (bank_id, cookie_hash, login_index, expires_at) values (?, ?, ?, ?)',
      [bank, hashOf(cookie), loginIndex, expires],
    ),
  )
  return cookie
}

/** The bank login that this browser was remembered for; undefined when it never was, or no longer is. */
export async function findDevice(
  { db, now }: Keeper,
  { bank, cookie }: { bank: string; cookie: string },
): Promise<Buffer | undefined> {
  return inBank(db, bank, async (tx) => {
    const { rows } = await tx.raw<{ rows: { login_index: Buffer }[] }>(
      'select login_index from devices where bank_id = ? and cookie_hash = ? and expires_at > ?',
      [bank, hashOf(cookie), new Date(now())],
    )
    return rows[0]?.login_index
  })
}
