import { runNumbered, type Tx } from './database.ts'

/**
 * Deletes the links behind these consents, with the key of each and all that is sealed under it, the bank's tokens, the browsers of
 * the bank login, and what else leads to the consents. Their rows stay, as pseudonymous as the ledger, and are marked. `$1` is
 * the bank, `$2` the consents.
 */
export const eraseLinksSql = `
  with link as (
    select distinct c.link_id as id, l.login_index from consents c
    left join links l on l.bank_id = c.bank_id and l.id = c.link_id
    where c.bank_id = $1 and c.id = any($2::text[]) and c.link_id is not null
  ), consent as (
    update consents c set accounts_sealed = null, evidence_sealed = null, bank_token_id = null,
      erased_at = case when c.id = any($2::text[]) then coalesce(c.erased_at, clock_timestamp()) else c.erased_at end
    from link where c.bank_id = $1 and c.link_id = link.id returning c.id
  ), link_keys as (
    delete from link_keys k using link where k.bank_id = $1 and k.link_id = link.id
  ), bank_tokens as (
    delete from bank_tokens t using link where t.bank_id = $1 and t.link_id = link.id
  ), devices as (
    delete from devices d using link where d.bank_id = $1 and d.login_index = link.login_index
  ), deliveries as (
    delete from deliveries d using consent where d.bank_id = $1 and d.consent_id = consent.id
  ), codes as (
    delete from authorization_codes a using consent where a.bank_id = $1 and a.consent_id = consent.id
  ), refresh_tokens as (
    delete from refresh_tokens r using consent where r.bank_id = $1 and r.consent_id = consent.id
  ), reads as (
    delete from unattended_reads u using consent where u.bank_id = $1 and u.consent_id = consent.id
  )
  delete from links l using link where l.bank_id = $1 and l.id = link.id`

/**
 * Erases the links behind consents that `erasure` entries name, where a backup brought them back. Idempotent; the ledger is not
 * asked. The service role may.
 */
export async function eraseLinks(tx: Tx, bank: string, consents: readonly string[]): Promise<void> {
  await runNumbered(tx, eraseLinksSql, [bank, consents])
}

/** The link behind a consent; undefined for one that has none, or is not there. */
export async function linkOf(tx: Tx, bank: string, consent: string): Promise<string | undefined> {
  const { rows } = await tx.raw<{ rows: { link_id: string | null }[] }>(
    'select link_id from consents where bank_id = ? and id = ?',
    [bank, consent],
  )
  return rows[0]?.link_id ?? undefined
}

/** The consents of a link that no `erasure` entry named. */
export async function consentsOfLink(tx: Tx, bank: string, link: string): Promise<string[]> {
  const { rows } = await tx.raw<{ rows: { id: string }[] }>(
    'select id from consents where bank_id = ? and link_id = ? and erased_at is null',
    [bank, link],
  )
  return rows.map(({ id }) => id)
}

/** What of a link is still to be ended before it can be erased. */
export async function leftOfLink(
  tx: Tx,
  bank: string,
  link: string,
): Promise<{ active: readonly string[]; tokens: readonly string[] }> {
  const { rows } = await tx.raw<{ rows: { active: string[] | null; tokens: string[] | null }[] }>(
    `select
       (select array_agg(id) from consents where bank_id = :bank and link_id = :link and state = 'active') as active,
       (select array_agg(id) from bank_tokens where bank_id = :bank and link_id = :link and ended_at is null) as tokens`,
    { bank, link },
  )
  return { active: rows[0]?.active ?? [], tokens: rows[0]?.tokens ?? [] }
}
