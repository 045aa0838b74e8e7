import { forgetStaff, listStaff } from '../storage/staff.ts'
import { parseOptions, UsageError } from './arguments.ts'
import { withBroker } from './with_broker.ts'

/** `countersign staff list | forget`: who is behind the ids that the ledger has of a bank's staff. */
export async function staffCommand([action, ...argv]: string[]): Promise<number> {
  if (action === 'list') return list(parseOptions(argv, ['bank']).one('bank'))
  if (action !== 'forget') throw new UsageError('staff list, or staff forget')
  const options = parseOptions(argv, ['bank', 'id'])
  return forget({ bank: options.one('bank'), id: options.one('id') })
}

async function list(bank: string): Promise<number> {
  for (const one of await withBroker((broker) => listStaff(broker, bank)))
    process.stdout.write(
      `${one.id}  ${one.firstLogin} to ${one.lastLogin}  ${one.issuer}  ${one.subject}\n`,
    )
  return 0
}

async function forget(named: { bank: string; id: string }): Promise<number> {
  if (!(await withBroker(({ db }) => forgetStaff(db, named))))
    throw new UsageError('nobody of that bank’s staff has this id')
  process.stdout.write(`${named.id} is forgotten\n`)
  return 0
}
