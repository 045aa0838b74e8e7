import type { Consent } from '../consent/consent.ts'
import { consentColumns, recordOf, type ConsentColumns } from './consent_row.ts'
import { inBank, type Database, type Tx } from './database.ts'
import type { ConsentRecord, UpdatedBy } from './ledger_state.ts'

/** A consent, and what whoever looks at it is told beside its terms. Times are RFC 3339 UTC. */
export interface ShownConsent extends ConsentRecord {
  readonly asked: string
  /** When it was first granted; terms that came later have not moved it. */
  readonly firstGranted?: string
  /** Whose doing its present terms are. */
  readonly updatedBy?: UpdatedBy
  /** When data last passed under it. */
  readonly lastRelease?: string
  /** The recipient as registered; absent once it is in no register any more. */
  readonly recipient?: {
    readonly legalName: string
    readonly lei: string
    readonly website: string
  }
}

/** What a search may ask for, in any combination; all of it must hold. */
export interface ConsentFilter {
  readonly consentId?: string
  /** An interaction id, a UUID in lower case: of a step, of a request for data, or of the fetch that the bank answered. */
  readonly interactionId?: string
  readonly state?: Consent['state']
  /** The `sub` of the recipient's tokens. */
  readonly sub?: string
  /** The recipient's client id. */
  readonly recipient?: string
}

/** A consent's place among all: by when it was asked for, to the microsecond, and by its id. */
export interface Place {
  readonly at: string
  readonly id: string
}

export const states: readonly Consent['state'][] = [
  'requested',
  'active',
  'declined',
  'revoked',
  'expired',
]

/** One interaction id is that of one request; who sends the same with each finds consents of so many requests, and no more. */
const interactions_max = 1_000

const conditions: Readonly<Record<Exclude<keyof ConsentFilter, 'state'>, string>> = {
  consentId: 'c.id = :consentId',
  recipient: 'c.recipient = :recipient',
  sub: 'c.link_id = any(array(select id from links where bank_id = :bank and recipient_sub = :sub))',
  interactionId: `c.id = any(array(
    (select consent_id from authorization_events
      where bank_id = :bank and interaction_id = cast(:interactionId as uuid) limit ${interactions_max})
    union (select consent_id from fetches where bank_id = :bank and interaction = :interactionId limit ${interactions_max})
    union (select consent_id from fetches where bank_id = :bank and id = :fetchId)))`,
}

/** The statement of a search: newest first, `limit` consents after `after`. Each state is a scan of an index, cut short. */
export function searchStatement(
  bank: string,
  { filter, after, limit }: { filter: ConsentFilter; after: Place | undefined; limit: number },
): { sql: string; bindings: Record<string, string | number | string[]> } {
  const { state, ...named } = filter
  const wanted = Object.keys(named) as (keyof typeof conditions)[]
  const where = [
    'c.bank_id = :bank and c.state = s.state',
    ...wanted.map((name) => conditions[name]),
    ...(after ? ['(c.created_at, c.id) < (cast(:afterAt as timestamptz), :afterId)'] : []),
  ].join(' and ')
  return {
    sql: `
      with found as (
        select f.id, f.created_at from unnest(cast(:states as text[])) as s(state)
        cross join lateral (
          select c.id, c.created_at from consents c where ${where}
          order by c.created_at desc, c.id desc limit :limit
        ) f
        order by f.created_at desc, f.id desc limit :limit
      )
      select ${shownColumns}
      from found f
      join consents c on c.bank_id = :bank and c.id = f.id
      left join clients r on r.id = c.recipient
      order by c.created_at desc, c.id desc`,
    bindings: {
      ...named,
      ...(named.interactionId === undefined ? {} : { fetchId: fetchIdOf(named.interactionId) }),
      ...(after && { afterAt: after.at, afterId: after.id }),
      ...{ bank, limit, states: state === undefined ? [...states] : [state] },
    },
  }
}

/** The fetch whose id, which is random, went to the bank as this UUID. */
const fetchIdOf = (uuid: string) =>
  Buffer.from(uuid.replaceAll('-', ''), 'hex').toString('base64url')

/** Consents of a bank, newest first: at most `limit` of those that come after `after`, each with its place. */
export async function searchConsents(
  db: Database,
  bank: string,
  search: Parameters<typeof searchStatement>[1],
): Promise<{ shown: ShownConsent; place: Place }[]> {
  const { sql, bindings } = searchStatement(bank, search)
  return inBank(db, bank, async (tx) => {
    const { rows } = await tx.raw<{ rows: ShownRow[] }>(sql, bindings)
    return rows.map((row) => ({ shown: shownOf(row), place: { at: row.asked_us, id: row.id } }))
  })
}

/** One consent of a bank, whatever its state. */
export async function findShown(
  db: Database,
  bank: string,
  id: string,
): Promise<ShownConsent | undefined> {
  return inBank(db, bank, (tx) => readShown(tx, bank, id))
}

export async function readShown(
  tx: Tx,
  bank: string,
  id: string,
): Promise<ShownConsent | undefined> {
  const { rows } = await tx.raw<{ rows: ShownRow[] }>(
    `select ${shownColumns} from consents c left join clients r on r.id = c.recipient where c.bank_id = ? and c.id = ?`,
    [bank, id],
  )
  return rows[0] && shownOf(rows[0])
}

const shownColumns = `${consentColumns}, c.created_at, c.updated_by, r.legal_name, r.lei, r.website,
  to_char(c.created_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as asked_us,
  (select e.at from entries e where e.bank_id = c.bank_id and e.consent_id = c.id and e.kind = 'consent.grant'
    order by e.n limit 1) as first_granted,
  (select e.at from entries e where e.bank_id = c.bank_id and e.consent_id = c.id and e.kind = 'release'
    order by e.n desc limit 1) as last_release`

interface ShownRow extends ConsentColumns {
  created_at: Date
  updated_by: UpdatedBy | null
  asked_us: string
  first_granted: Date | null
  last_release: Date | null
  legal_name: string | null
  lei: string | null
  website: string | null
}

function shownOf(row: ShownRow): ShownConsent {
  const { first_granted: granted, last_release: last, legal_name, lei, website } = row
  return {
    ...recordOf(row),
    asked: row.created_at.toISOString(),
    ...(granted === null ? {} : { firstGranted: granted.toISOString() }),
    ...(row.updated_by === null ? {} : { updatedBy: row.updated_by }),
    ...(last === null ? {} : { lastRelease: last.toISOString() }),
    ...(legal_name === null || lei === null || website === null
      ? {}
      : { recipient: { legalName: legal_name, lei, website } }),
  }
}
