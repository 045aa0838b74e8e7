import type { Tx } from './database.ts'
import { allowIdle, lock_idle_ms } from './idle_limit.ts'
import { random128 } from './ids.ts'
import type { LinkKey, Vault } from './vault.ts'

/** Who is on the other side of the thread, as the recipient says: never echoed to a recipient, never in the ledger. */
export interface Profile {
  readonly page_id: string
  readonly psid: string
  readonly display_name: string
}

/** A link: one profile and one bank login, under a key of its own. */
export interface Link {
  readonly id: string
  /** Who the customer is to the recipient, and to the bank: random, and the same for this link only. */
  readonly recipientSub: string
  readonly bankSub: string
  readonly key: LinkKey
}

/** By what a bank login is looked up: the bank, and the identity that it asserts. */
export function loginIndexOf(
  vault: Vault,
  { bank, bankSubject }: { bank: string; bankSubject: string },
): Buffer {
  return vault.index('bank login', JSON.stringify([bank, bankSubject]))
}

/** By what a profile is looked up. Its display name may change; the profile stays the same. */
export function profileIndexOf(vault: Vault, { page_id, psid }: Profile): Buffer {
  return vault.index('profile', JSON.stringify([page_id, psid]))
}

/**
 * The link of a profile and a bank login, made when there is none. Of several who make it at once, all get the same. Until the
 * transaction ends it is not removed.
 */
export async function findOrInsertLink(
  tx: Tx,
  vault: Vault,
  { bank, profile, bankSubject }: { bank: string; profile: Profile; bankSubject: string },
): Promise<Link> {
  const profileIndex = profileIndexOf(vault, profile)
  const loginIndex = loginIndexOf(vault, { bank, bankSubject })
  const found = await findLink(tx, vault, { bank, profileIndex, loginIndex })
  if (found !== undefined) return found

  const id = random128()
  const { key, sealed: sealedKey } = vault.newLinkKey(id)
  const { page_id, psid, display_name } = profile
  const sealed = key.seal({ page_id, psid, display_name, bank_subject: bankSubject }, `link ${id}`)
  // One statement, so that the link is never without its key. Whoever comes second waits for the first to commit.
  await tx.raw(
    `with made as (
       insert into links (bank_id, id, profile_index, login_index, recipient_sub, bank_sub, sealed)
       values (?, ?, ?, ?, ?, ?, ?) on conflict (bank_id, profile_index, login_index) do nothing
       returning bank_id, id
     )
     insert into link_keys (bank_id, link_id, sealed) select bank_id, id, ? from made`,
    [bank, id, profileIndex, loginIndex, random128(), random128(), sealed, sealedKey],
  )
  const made = await findLink(tx, vault, { bank, profileIndex, loginIndex })
  if (made === undefined) throw new Error('a link was neither found nor made')
  return made
}

async function findLink(
  tx: Tx,
  vault: Vault,
  { bank, profileIndex, loginIndex }: { bank: string; profileIndex: Buffer; loginIndex: Buffer },
): Promise<Link | undefined> {
  const { rows } = await tx.raw<{ rows: LinkRow[] }>(
    `select l.id, l.recipient_sub, l.bank_sub, k.sealed as key_sealed
     from links l join link_keys k on k.bank_id = l.bank_id and k.link_id = l.id
     where l.bank_id = ? and l.profile_index = ? and l.login_index = ? for key share of l`,
    [bank, profileIndex, loginIndex],
  )
  const row = rows[0]
  if (row === undefined) return undefined
  return {
    id: row.id,
    recipientSub: row.recipient_sub,
    bankSub: row.bank_sub,
    key: vault.linkKey(row.key_sealed, row.id),
  }
}

/**
 * Removes a link on which nothing stands: no consent, whatever became of it, and no live tokens of the bank; with its key, and
 * with the browsers of a bank login that has no other link. Under the bank's lock, since a grant that waits there
 * makes a consent, and under it no longer than the door may be. A link that another transaction is about to use stays, and
 * `held` is returned: that one may come to nothing.
 */
export async function removeUnusedLink(
  tx: Tx,
  { bank, id }: { bank: string; id: string },
): Promise<'done' | 'held'> {
  await allowIdle(tx, lock_idle_ms)
  const { rows } = await tx.raw<{ rows: { held: boolean }[] }>(
    `with ledger as materialized (
       select from ledger_locks where bank_id = :bank for update
     ), locked as materialized (
       select id from links where bank_id = :bank and id = :id and exists (select from ledger) for update skip locked
     )
     select not exists (select from locked) as held from links where bank_id = :bank and id = :id`,
    { bank, id },
  )
  if (rows[0]?.held !== false) return rows[0] === undefined ? 'done' : 'held'
  // A statement of its own: what it sees is newer than both locks.
  await tx.raw(
    `with unused as (
       select l.id, l.login_index from links l where l.bank_id = :bank and l.id = :id
         and not exists (select from consents c where c.bank_id = l.bank_id and c.link_id = l.id)
         and not exists (select from bank_tokens t where t.bank_id = l.bank_id and t.link_id = l.id and t.ended_at is null)
     ), link_keys as (
       delete from link_keys k using unused where k.bank_id = :bank and k.link_id = unused.id
     ), bank_tokens as (
       delete from bank_tokens t using unused where t.bank_id = :bank and t.link_id = unused.id
     ), devices as (
       delete from devices d using unused where d.bank_id = :bank and d.login_index = unused.login_index
         and not exists (select from links o where o.bank_id = :bank and o.login_index = unused.login_index and o.id <> unused.id)
     )
     delete from links l using unused where l.bank_id = :bank and l.id = unused.id`,
    { bank, id },
  )
  return 'done'
}

interface LinkRow {
  id: string
  recipient_sub: string
  bank_sub: string
  key_sealed: Buffer
}
