import { isCluster, type Cluster } from '../consent/cluster.ts'
import { inBank, type Database } from './database.ts'

/** A pointer that a recipient may put in a thread: it names a consent to whoever also holds the customer's login. */
export interface Delivery {
  readonly consentId: string
  readonly client: string
  readonly clusters: readonly Cluster[]
  /** The bank login that may see the figures. */
  readonly loginIndex: Buffer
}

export async function insertDelivery(
  db: Database,
  bank: string,
  made: {
    pointerHash: Buffer
    consentId: string
    client: string
    clusters: readonly Cluster[]
    hours: number
  },
): Promise<{ expires: string }> {
  return inBank(db, bank, async (tx) => {
    const { rows } = await tx.raw<{ rows: { expires_at: Date }[] }>(
      `insert into deliveries (bank_id, pointer_hash, consent_id, client_id, clusters, expires_at)
       values (?, ?, ?, ?, ?, clock_timestamp() + make_interval(hours => ?)) returning expires_at`,
      [bank, made.pointerHash, made.consentId, made.client, [...made.clusters], made.hours],
    )
    if (rows[0] === undefined) throw new Error('a delivery was not kept')
    return { expires: rows[0].expires_at.toISOString() }
  })
}

/** The delivery behind a pointer that has not expired. */
export async function findDelivery(
  db: Database,
  bank: string,
  pointerHash: Buffer,
): Promise<Delivery | undefined> {
  return inBank(db, bank, async (tx) => {
    const { rows } = await tx.raw<{
      rows: { consent_id: string; client_id: string; clusters: string[]; login_index: Buffer }[]
    }>(
      `select d.consent_id, d.client_id, d.clusters, l.login_index from deliveries d
       join consents c on c.bank_id = d.bank_id and c.id = d.consent_id
       join links l on l.bank_id = c.bank_id and l.id = c.link_id
       where d.bank_id = ? and d.pointer_hash = ? and d.expires_at > clock_timestamp()`,
      [bank, pointerHash],
    )
    const row = rows[0]
    return row === undefined
      ? undefined
      : {
          consentId: row.consent_id,
          client: row.client_id,
          clusters: row.clusters.filter(isCluster),
          loginIndex: row.login_index,
        }
  })
}
