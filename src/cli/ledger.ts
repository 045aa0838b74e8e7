import { writeFile } from 'node:fs/promises'
import { bankNamed } from '../broker/broker.ts'
import { closeLedger } from '../broker/close_ledger.ts'
import { embedded_note_chars_max } from '../ledger/embedded_note.ts'
import type { Ending } from '../ledger/entry.ts'
import { MerkleError } from '../merkle/errors.ts'
import { openUnderPolicy } from '../merkle/policy.ts'
import { verifyEd25519 } from '../storage/node_crypto.ts'
import { insertSigningStop } from '../storage/cosignatures.ts'
import { witnessStatus } from '../broker/witness_status.ts'
import { initMark, openLedger } from '../broker/open_ledger.ts'
import { parseOptions, readTextArgument, UsageError, type Arguments } from './arguments.ts'
import { readPolicyFile } from './policy_file.ts'
import { withBroker } from './with_broker.ts'

/** `countersign ledger open | init-mark | resume | close`. */
export async function ledgerCommand([action, ...argv]: string[]): Promise<number> {
  switch (action) {
    case 'open':
      return open(parseOptions(argv, ['bank', 'after', 'policy', 'reason']))
    case 'init-mark':
      return setMark(parseOptions(argv, ['bank']).one('bank'))
    case 'close':
      return close(parseOptions(argv, ['bank', 'reason', 'checkpoint']))
    case 'resume':
      return resume(parseOptions(argv, ['bank']).one('bank'))
    default:
      throw new UsageError('ledger open, ledger init-mark, ledger resume, or ledger close')
  }
}

async function open(options: Arguments): Promise<number> {
  const bank = options.one('bank')
  const predecessor = predecessorOf(options)
  const opened = await withBroker((broker) => openLedger(broker, bank, { predecessor }))
  process.stdout.write(
    opened ? `the ledger of ${bank} is open\n` : `the ledger of ${bank} was open already\n`,
  )
  return 0
}

/** The ledger that this one follows: its last checkpoint has to hold under a policy that comes from elsewhere. */
function predecessorOf(options: Arguments): Ending | undefined {
  const after = options.maybe('after')
  if (after === undefined) return undefined
  const note = `${readTextArgument(after)}\n`
  const policy = readPolicyFile(options.one('policy'))
  try {
    openUnderPolicy(verifyEd25519, policy, note)
  } catch (error) {
    if (error instanceof MerkleError)
      throw new UsageError(`${after} does not hold under the policy: ${error.message}`)
    throw error
  }
  const checkpoint = Buffer.from(note).toString('base64url')
  if (checkpoint.length > embedded_note_chars_max)
    throw new UsageError(
      `${after} is too long for an entry: leave out cosignatures beyond the quorum`,
    )
  return { checkpoint, reason: options.one('reason') }
}

async function close(options: Arguments): Promise<number> {
  const [bank, reason] = [options.one('bank'), options.one('reason')]
  const closing = await withBroker((broker) => closeLedger(broker, { bank, reason }))
  const file = options.maybe('checkpoint')
  if (file !== undefined) await writeFile(file, closing.checkpoint)
  process.stdout.write(
    `the ledger of ${bank} is closed; ${closing.ended} consents were ended. Its last checkpoint:\n\n${closing.checkpoint}`,
  )
  return 0
}

async function setMark(bank: string): Promise<number> {
  const set = await withBroker((broker) => initMark(broker, bank))
  process.stdout.write(set ? `the mark of ${bank} is set\n` : `${bank} has a mark, which stays\n`)
  return set ? 0 : 1
}

/** Lets signing go on after a witness stopped it, unless one of those that answer still contradicts the ledger. */
async function resume(bank: string): Promise<number> {
  return withBroker(async (broker) => {
    bankNamed(broker, bank)
    const whys = await broker.witnessing.ask(bank)
    for (const why of whys) process.stdout.write(`${why}\n`)
    const status = await witnessStatus(broker, bank)
    for (const { name, problem } of status?.witnesses ?? [])
      if (problem !== undefined) process.stdout.write(`${name} was not heard: ${problem}\n`)
    if (whys.length > 0) return 1
    await insertSigningStop(broker.db, bank, undefined)
    process.stdout.write(`${bank} may be signed again: restart its brokers\n`)
    return 0
  })
}
