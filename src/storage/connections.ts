import type { Consent } from '../consent/consent.ts'
import { inBank, type Database } from './database.ts'
import { consentColumns, recordOf, type ConsentColumns } from './consent_row.ts'
import { openAccounts, type HeldAccount } from './held_accounts.ts'
import { loginIndexOf, profileIndexOf, type Profile } from './links.ts'
import type { Vault } from './vault.ts'

/** Consents shown of one bank login: the newest. */
const connections_max = 200

/** A consent that was granted, as its customer looks back on it. */
export interface Connection {
  readonly consent: Extract<Consent, { granted: string }>
  /** The recipient's legal name. */
  readonly recipient: string
  /** The accounts of its present terms, masked; none once the person is erased. */
  readonly accounts: readonly Pick<HeldAccount, 'handle' | 'display'>[]
  /** When data last passed under it, RFC 3339 UTC. */
  readonly lastRelease?: string
}

/** All that a bank login ever granted at this bank, active first, then newest first. */
export async function findConnections(
  { db, vault }: { db: Database; vault: Vault },
  { bank, loginIndex }: { bank: string; loginIndex: Buffer },
): Promise<Connection[]> {
  return inBank(db, bank, async (tx) => {
    const { rows } = await tx.raw<{ rows: Row[] }>(connectionsSql, [
      bank,
      loginIndex,
      connections_max,
    ])
    return rows.flatMap((row) => connectionOf(row, vault))
  })
}

/** The consents of one link that are active, or of this id: those that new terms under it can change. */
export async function findOfLink(
  { db, vault }: { db: Database; vault: Vault },
  {
    bank,
    profile,
    bankSubject,
    id,
  }: { bank: string; profile: Profile; bankSubject: string; id: string | undefined },
): Promise<Connection[]> {
  return inBank(db, bank, async (tx) => {
    const { rows } = await tx.raw<{ rows: Row[] }>(ofLinkSql, [
      bank,
      profileIndexOf(vault, profile),
      loginIndexOf(vault, { bank, bankSubject }),
      id ?? '',
    ])
    return rows.flatMap((row) => connectionOf(row, vault))
  })
}

const connectionColumns = `
  ${consentColumns}, c.accounts_sealed, k.sealed as link_key, r.legal_name`

const fromLinks = `
  from links l
  join consents c on c.bank_id = l.bank_id and c.link_id = l.id
  left join link_keys k on k.bank_id = l.bank_id and k.link_id = l.id
  left join clients r on r.id = c.recipient`

const ofLinkSql = `
  select ${connectionColumns}, null as last_release ${fromLinks}
  where l.bank_id = ? and l.profile_index = ? and l.login_index = ? and (c.state = 'active' or c.id = ?)`

const connectionsSql = `
  select ${connectionColumns},
    (select e.at from entries e where e.bank_id = c.bank_id and e.consent_id = c.id and e.kind = 'release'
      order by e.n desc limit 1) as last_release
  ${fromLinks}
  where l.bank_id = ? and l.login_index = ? and c.terms is not null
  order by c.state <> 'active', c.granted_at desc
  limit ?`

interface Row extends ConsentColumns {
  accounts_sealed: Buffer | null
  link_key: Buffer | null
  legal_name: string | null
  last_release: Date | null
}

function connectionOf(row: Row, vault: Vault): Connection[] {
  const { consent, linkId } = recordOf(row)
  if (!('granted' in consent) || linkId === undefined) return []
  const held =
    row.accounts_sealed === null || row.link_key === null
      ? []
      : openAccounts(vault.linkKey(row.link_key, linkId), linkId, row.accounts_sealed)
  return [
    {
      consent,
      recipient: row.legal_name ?? consent.recipient,
      accounts: held
        .filter(({ handle }) => consent.terms.accounts.includes(handle))
        .map(({ handle, display }) => ({ handle, display })),
      ...(row.last_release === null ? {} : { lastRelease: row.last_release.toISOString() }),
    },
  ]
}
