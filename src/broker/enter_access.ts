import { canonical, type Json } from '../ledger/canonical.ts'
import type { AccessKind } from '../ledger/entry.ts'
import { findReading, insertRead, type AuditRead } from '../storage/audit_reads.ts'
import { random128, random256 } from '../storage/ids.ts'
import { LedgerClosed } from './append.ts'
import type { Broker } from './broker.ts'
import { commitment } from './commitment.ts'

/** What an auditor asks for, and of how many entries. */
export interface Asked {
  readonly actor: string
  readonly what: AccessKind
  readonly asked: { readonly [name: string]: Json }
  readonly size: number
  /** The size of the tree that it is proven in. */
  readonly tree?: number
  /** The id of an access token, where all that is read with it is one entry. */
  readonly token?: string
}

/**
 * Enters that an auditor is about to be shown something, durably, before anything of it is sent. The ledger has a commitment to
 * what was asked; what opens it is kept beside. What is read with one token is entered once, by whichever process is first under the
 * bank's lock. A ledger that was closed takes no entry: what is read of it is kept beside alone. Throws what `append` throws else,
 * and then nothing may be shown.
 */
export async function enterAccess(broker: Broker, bank: string, about: Asked): Promise<AuditRead> {
  const { token } = about
  const known = token === undefined ? undefined : await findReading(broker.db, bank, token)
  if (known !== undefined) return known
  const { asked, ...rest } = about
  const [id, salt, at] = [random128(), random256(), new Date(broker.now()).toISOString()]
  const read: AuditRead = { ...rest, id, asked: canonical(asked), salt, at }
  try {
    const entered = await enter(broker, bank, read)
    if (entered !== undefined) return entered
  } catch (error) {
    if (!(error instanceof LedgerClosed)) throw error
    await insertRead(broker.db, bank, read)
  }
  return token === undefined ? read : ((await findReading(broker.db, bank, token)) ?? read)
}

/** The read with its entry; undefined where what is read with its token has one. */
async function enter(
  { door }: Broker,
  bank: string,
  read: AuditRead,
): Promise<AuditRead | undefined> {
  const { actor, what, asked, salt, token } = read
  const body = { actor, asked: commitment(Buffer.from(salt, 'base64url'), asked), what }
  const outcome = await door.append(bank, {
    names: token === undefined ? {} : { reading: token },
    decide: ({ at, edge: { size: n }, readingTokens }) =>
      token !== undefined && readingTokens.has(token)
        ? {}
        : {
            entry: { kind: 'access', body },
            effects: [{ kind: 'read.save', read: { ...read, n, at } }],
          },
  })
  if (outcome.kind === 'entered') return { ...read, n: outcome.n, at: outcome.at }
  if (outcome.kind === 'unchanged' && token !== undefined) return undefined
  throw new Error(`an access was ${outcome.kind}`)
}
