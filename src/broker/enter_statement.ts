import { CanonicalError } from '../ledger/canonical.ts'
import {
  checkBody,
  readEntry,
  statement_interactions_max,
  type Bodies,
  type PublicJwk,
} from '../ledger/entry.ts'
import { openStatement, outOfRange } from '../ledger/statement.ts'
import { MerkleError } from '../merkle/errors.ts'
import { rootOfInteractions } from '../merkle/interactions.ts'
import { verifyJws } from '../storage/jws.ts'
import { readLeaves } from '../storage/ledgers.ts'
import { nodeHasher } from '../storage/node_crypto.ts'
import { keepList, statementsBefore, type StatementEntry } from '../storage/statements.ts'
import { ledgerOrigin, type Broker } from './broker.ts'

export const limits = {
  /** The longest range of one statement. */
  range_ms_max: 31 * 86_400_000,
  /** How old a range's beginning may be: what it is compared with is kept 60 days. */
  age_ms_max: 45 * 86_400_000,
} as const

/** A bank's statement was not acceptable; the message says why, and repeats nothing that was handed in. */
export class StatementRejected extends Error {
  override readonly name = 'StatementRejected'
  /** It is good by itself, and overlaps with one that was entered, or is of a time to come. */
  readonly outOfOrder: boolean

  constructor(message: string, { outOfOrder = false } = {}) {
    super(message)
    this.outOfOrder = outOfOrder
  }
}

/**
 * Enters a bank's signed statement of what it served, and keeps the ids that it counts until they are compared. The same statement
 * again, however it was signed, is answered with the entry that it has. Throws `StatementRejected`.
 */
export async function enterStatement(
  broker: Broker,
  { bank, jws, interactions }: { bank: string; jws: string; interactions: readonly string[] },
): Promise<StatementEntry> {
  const origin = ledgerOrigin(broker.issuer, bank)
  const key = await keyOf(broker, bank)
  const body = inForm(() => openStatement(jws, { bank, origin, key, verify: verifyJws }))
  inForm(() => checkBody({ kind: 'statement', body }))
  const root = inForm(() => rootOfInteractions(nodeHasher, interactions))
  if (interactions.length !== body.count)
    throw new StatementRejected('it counts other than the ids that came with it')
  if (Buffer.from(root).toString('base64url') !== body.root)
    throw new StatementRejected('its root is not that of the ids that came with it')
  refuseLimits(body, broker.now())
  const before = await findFitting(broker, bank, body)
  // Before the entry, so that there is none whose ids are lost; and anew where they were.
  await keepList(broker.db, bank, { root, interactions })
  return before ?? enter(broker, bank, body)
}

/**
 * The entry that says the same; undefined where the statement has its place after the newest. What has none is refused here too, and
 * not at the door alone: nothing is kept of it, however often it comes.
 */
async function findFitting(
  broker: Broker,
  bank: string,
  body: Bodies['statement'],
): Promise<StatementEntry | undefined> {
  const [newest] = await statementsBefore(broker.db, bank, { limit: 1 })
  const before = await findStatement(broker, bank, body)
  if (before !== undefined) return before
  const at = new Date(broker.now()).toISOString()
  const refused = outOfRange(body, { end: newest?.body.to ?? '', at })
  if (refused !== undefined) throw new StatementRejected(refused, { outOfOrder: true })
  return undefined
}

/** What the entries name as the bank's key, and so what whoever replays them will verify with. */
async function keyOf({ db }: Broker, bank: string): Promise<PublicJwk> {
  const [first] = await readLeaves(db, bank, { from: 0, to: 1 })
  const genesis = first && readEntry(first)
  if (genesis?.kind !== 'genesis') throw new StatementRejected('the bank has no ledger here')
  return genesis.body.bank_key
}

function refuseLimits({ from, to, count }: Bodies['statement'], now: number): void {
  if (Date.parse(to) - Date.parse(from) > limits.range_ms_max)
    throw new StatementRejected('it covers more than 31 days')
  if (Date.parse(from) < now - limits.age_ms_max)
    throw new StatementRejected('it begins more than 45 days ago: what it says cannot be compared')
  if (count > statement_interactions_max)
    throw new StatementRejected(`it counts more than ${statement_interactions_max} requests`)
}

async function enter(
  broker: Broker,
  bank: string,
  body: Bodies['statement'],
): Promise<StatementEntry> {
  let refused: string | undefined
  await broker.door.append(bank, {
    names: { statements: true },
    decide({ newestStatement, at }) {
      refused = outOfRange(body, { end: newestStatement?.to ?? '', at })
      return refused === undefined ? { entry: { kind: 'statement', body } } : {}
    },
  })
  // Another may have entered the very same meanwhile.
  const entered = await findStatement(broker, bank, body)
  if (entered !== undefined) return entered
  throw new StatementRejected(refused ?? 'it was not entered', { outOfOrder: true })
}

const page_statements = 100

/** The statement that says the same, by whatever signature. It is looked for from the newest backwards. */
async function findStatement(
  { db }: Broker,
  bank: string,
  { from, to, count, root }: Bodies['statement'],
): Promise<StatementEntry | undefined> {
  for (let before: number | undefined; ;) {
    const page = await statementsBefore(db, bank, { before, limit: page_statements })
    const found = page.find((one) => one.body.from === from)
    if (found !== undefined)
      return found.body.to === to && found.body.count === count && found.body.root === root
        ? found
        : undefined
    const oldest = page.at(-1)
    if (oldest === undefined || oldest.body.from < from) return undefined
    before = oldest.n
  }
}

/** What the bank signed must have the form that its entry has. */
function inForm<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (error instanceof CanonicalError || error instanceof MerkleError)
      throw new StatementRejected(error.message)
    throw error
  }
}
