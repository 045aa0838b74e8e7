import { inBank, type Database } from './database.ts'
import { random128 } from './ids.ts'
import type { Vault } from './vault.ts'

interface Keeper {
  readonly db: Database
  readonly vault: Vault
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** A member of a bank's staff who has logged in to the console. Times are RFC 3339. */
export interface StaffMember {
  readonly id: string
  /** Who that is to the bank: the issuer and the subject of the login. */
  readonly issuer: string
  readonly subject: string
  readonly firstLogin: string
  readonly lastLogin: string
}

/**
 * The id of whoever logged in, and the only name of theirs that leaves this table: random, made at the first login and the same
 * at each one after. Of several first logins at once, all get the same.
 */
export async function staffIdOf(
  { db, vault, now }: Keeper,
  { bank, issuer, subject }: { bank: string; issuer: string; subject: string },
): Promise<string> {
  const index = vault.index('staff login', JSON.stringify([bank, issuer, subject]))
  const id = random128()
  const at = new Date(now())
  const { rows } = await inBank(db, bank, (tx) =>
    tx.raw<{ rows: { id: string }[] }>(
      `insert into staff (bank_id, id, login_index, sealed, first_login_at, last_login_at) values (?, ?, ?, ?, ?, ?)
       on conflict (bank_id, login_index) do update set last_login_at = excluded.last_login_at
       returning id`,
      [bank, id, index, vault.seal({ issuer, subject }, about(bank, index)), at, at],
    ),
  )
  return rows[0]?.id ?? id
}

/** Whoever of a bank has ever logged in, and has not been forgotten; the newest login first. */
export async function listStaff(
  { db, vault }: Pick<Keeper, 'db' | 'vault'>,
  bank: string,
): Promise<readonly StaffMember[]> {
  const { rows } = await inBank(db, bank, (tx) =>
    tx.raw<{ rows: StaffRow[] }>(
      `select id, login_index, sealed, first_login_at, last_login_at from staff
       where bank_id = ? order by last_login_at desc, id`,
      [bank],
    ),
  )
  return rows.map(({ id, login_index, sealed, first_login_at, last_login_at }) => {
    const { issuer, subject } = vault.open(sealed, about(bank, login_index)) as Identity
    const [firstLogin, lastLogin] = [first_login_at.toISOString(), last_login_at.toISOString()]
    return { id, issuer, subject, firstLogin, lastLogin }
  })
}

/** Forgets who an id was: nothing leads from the ledger's id to a person any more. Whether there was such an id. */
export async function forgetStaff(
  db: Database,
  { bank, id }: { bank: string; id: string },
): Promise<boolean> {
  const { rowCount } = await inBank(db, bank, (tx) =>
    tx.raw<{ rowCount: number }>('delete from staff where bank_id = ? and id = ?', [bank, id]),
  )
  return rowCount === 1
}

interface StaffRow {
  readonly id: string
  readonly login_index: Buffer
  readonly sealed: Buffer
  readonly first_login_at: Date
  readonly last_login_at: Date
}

interface Identity {
  readonly issuer: string
  readonly subject: string
}

const about = (bank: string, index: Buffer): string =>
  `staff ${bank} ${index.toString('base64url')}`
