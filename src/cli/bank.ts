import { BankRefused, BankUnavailable, type Bank } from '../broker/bank_port.ts'
import { bankNamed, type Broker } from '../broker/broker.ts'
import { canonical } from '../ledger/canonical.ts'
import { readEntry } from '../ledger/entry.ts'
import { random128 } from '../storage/ids.ts'
import { findLedger, readLeaves } from '../storage/ledgers.ts'
import { sha256Text } from '../storage/sha256.ts'
import { parseOptions, UsageError } from './arguments.ts'
import { withBroker } from './with_broker.ts'

/** `countersign bank list | check`. */
export async function bankCommand([action, ...argv]: string[]): Promise<number> {
  if (action === 'list' && argv.length === 0) return list()
  if (action === 'check') return check(parseOptions(argv, ['bank']).one('bank'))
  throw new UsageError('bank list, or bank check')
}

async function list(): Promise<number> {
  await withBroker(async (broker) => {
    for (const bank of broker.bankPort.banks.values()) {
      const ledger = await findLedger(broker.db, bank.id)
      const has = ledger === undefined ? 'no ledger' : `a ledger of ${ledger.size} entries`
      process.stdout.write(`${bank.id}  ${bank.lei}  ${has}  ${bank.issuer}  ${bank.legalName}\n`)
    }
  })
  return 0
}

/** Everything that must hold before customers of the bank are asked, each said by itself. */
async function check(id: string): Promise<number> {
  return withBroker(async (broker) => {
    const bank = bankNamed(broker, id)
    const problems = await Promise.all([
      ledgerProblem(broker, bank),
      loginProblem('login', () =>
        broker.bankPort.startLogin(bank, { nonce: sha256Text(random128()) }),
      ),
      ...(bank.staff === undefined
        ? []
        : [loginProblem('login of staff', () => broker.bankPort.staff.start(bank))]),
    ])
    for (const [what, problem] of problems)
      process.stdout.write(`${what}: ${problem ?? 'in order'}\n`)
    return problems.every(([, problem]) => problem === undefined) ? 0 : 1
  })
}

type Checked = readonly [what: string, problem: string | undefined]

/** The ledger is open, and its first entry names the key that the directory has: else no approval could be verified. */
async function ledgerProblem({ db }: Broker, { id, key }: Bank): Promise<Checked> {
  const what = 'ledger'
  const [first] = await readLeaves(db, id, { from: 0, to: 1 })
  if (first === undefined) return [what, `not open: countersign ledger open --bank ${id}`]
  const { body } = readEntry(first)
  const named = 'bank_key' in body ? body.bank_key : {}
  return [
    what,
    canonical({ ...named }) === canonical({ ...key })
      ? undefined
      : 'its first entry names another key than the directory',
  ]
}

/** A provider's metadata are found and as they must be, and it knows this broker, where it takes a pushed request. */
async function loginProblem(what: string, start: () => Promise<unknown>): Promise<Checked> {
  try {
    await start()
    return [what, undefined]
  } catch (error) {
    if (error instanceof BankUnavailable || error instanceof BankRefused)
      return [what, error.message]
    throw error
  }
}
