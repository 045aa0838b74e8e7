import { canonical, type Json } from '../ledger/canonical.ts'
import type { AccessKind, Draft } from '../ledger/entry.ts'
import { insertRead, type AuditRead } from '../storage/audit_reads.ts'
import { random128, random256 } from '../storage/ids.ts'
import { LedgerClosed } from './append.ts'
import type { Broker } from './broker.ts'
import { commitment } from './commitment.ts'

/** What an auditor asks for, and of how many entries: it is told of no later ones. */
export interface Asked {
  readonly actor: string
  readonly what: AccessKind
  readonly asked: { readonly [name: string]: Json }
  readonly size: number
  /** The size of the tree that it is proven in. */
  readonly tree?: number
}

/**
 * Enters that an auditor is about to be shown something, durably, before anything of it is sent. The ledger has a commitment to
 * what was asked; what opens it is kept beside. A ledger that was closed takes no entry: what is read of it is kept beside alone.
 * Throws what `append` throws else, and then nothing may be shown.
 */
export async function enterAccess(
  broker: Broker,
  bank: string,
  { actor, what, asked: wanted, size, tree }: Asked,
): Promise<AuditRead> {
  const [asked, salt] = [canonical(wanted), random256()]
  const entered = await enter(broker, bank, {
    kind: 'access',
    body: { actor, asked: commitment(Buffer.from(salt, 'base64url'), asked), what },
  })
  const { n, at = new Date(broker.now()).toISOString() } = entered
  const about = { size, ...(tree === undefined ? {} : { tree }) }
  const read = {
    ...{ id: random128(), actor, what, asked, salt, at },
    ...about,
    ...(n === undefined ? {} : { n }),
  }
  await insertRead(broker.db, bank, read)
  return read
}

async function enter(
  { door }: Broker,
  bank: string,
  entry: Draft,
): Promise<{ n?: number; at?: string }> {
  try {
    const outcome = await door.append(bank, { names: {}, decide: () => ({ entry }) })
    if (outcome.kind !== 'entered') throw new Error(`an access was ${outcome.kind}`)
    return outcome
  } catch (error) {
    if (error instanceof LedgerClosed) return {}
    throw error
  }
}
