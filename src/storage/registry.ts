import { readEntry, type Entry } from '../ledger/entry.ts'
import { approvalColumns, approvalOf, type ApprovalRow } from './approval_row.ts'
import { clientColumns, clientOf, type Client, type ClientRow } from './clients.ts'
import { inBank, type Database } from './database.ts'
import type { ApprovalRecord } from './ledger_state.ts'

/** A client in the register, in use or disabled. */
export interface RegisteredClient {
  readonly client: Client
  readonly registeredAt: string
  readonly disabledAt?: string
}

/** A page of a list that is ordered by id: what comes after an id, and how much of it. */
export interface Page {
  readonly after?: string | undefined
  readonly limit: number
}

interface RegisteredRow extends ClientRow {
  created_at: Date
  disabled_at: Date | null
}

const columns = `${clientColumns}, c.created_at, c.disabled_at`

const registeredOf = (row: RegisteredRow): RegisteredClient => ({
  client: clientOf(row),
  registeredAt: row.created_at.toISOString(),
  ...(row.disabled_at === null ? {} : { disabledAt: row.disabled_at.toISOString() }),
})

/** A client by its id, disabled or not. */
export async function findRegistered(
  { knex }: Database,
  id: string,
): Promise<RegisteredClient | undefined> {
  const { rows } = await knex.raw<{ rows: RegisteredRow[] }>(
    `select ${columns} from clients c where c.id = ?`,
    [id],
  )
  return rows[0] && registeredOf(rows[0])
}

/** Clients in the order of their ids: recipients, or all that are none. */
export async function listRegistered(
  { knex }: Database,
  { recipients, after = '', limit }: Page & { recipients: boolean },
): Promise<RegisteredClient[]> {
  const { rows } = await knex.raw<{ rows: RegisteredRow[] }>(
    `select ${columns} from clients c where (c.kind = 'recipient') = ? and c.id > ? order by c.id limit ?`,
    [recipients, after, limit],
  )
  return rows.map(registeredOf)
}

/** The approvals of a bank as they stand, suspended ones too, in the order of the recipients' ids. */
export async function listApprovals(
  db: Database,
  bank: string,
  { after = '', limit }: Page,
): Promise<ApprovalRecord[]> {
  return inBank(db, bank, async (tx) => {
    const { rows } = await tx.raw<{ rows: ApprovalRow[] }>(
      `select ${approvalColumns} from approvals p where p.bank_id = ? and p.recipient > ? order by p.recipient limit ?`,
      [bank, after, limit],
    )
    return rows.map(approvalOf)
  })
}

export type ApprovalEntry = Extract<Entry, { kind: 'recipient.approve' | 'recipient.suspend' }>

/** What was entered of a recipient in a bank's ledger, the newest first. */
export async function approvalHistory(
  db: Database,
  bank: string,
  { recipient, limit }: { recipient: string; limit: number },
): Promise<ApprovalEntry[]> {
  return inBank(db, bank, async (tx) => {
    const { rows } = await tx.raw<{ rows: { leaf: Buffer }[] }>(
      `select leaf from entries where bank_id = ? and kind in ('recipient.approve', 'recipient.suspend')
         and convert_from(leaf, 'UTF8')::jsonb -> 'body' ->> 'recipient' = ? order by n desc limit ?`,
      [bank, recipient, limit],
    )
    return rows.map(({ leaf }) => readEntry(leaf)).filter(isOfApproval)
  })
}

const isOfApproval = (entry: Entry): entry is ApprovalEntry =>
  entry.kind === 'recipient.approve' || entry.kind === 'recipient.suspend'
