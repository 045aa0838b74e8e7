import { bankNamed } from '../broker/broker.ts'
import { AuditNotGranted, grantAudit } from '../broker/grant_audit.ts'
import { listGrants, revokeGrant, type AuditGrant } from '../storage/audit_grants.ts'
import { parseOptions, UsageError, type Arguments } from './arguments.ts'
import { withBroker } from './with_broker.ts'

/** `countersign auditor grant | revoke | list`. */
export async function auditorCommand([action, ...argv]: string[]): Promise<number> {
  switch (action) {
    case 'grant':
      return grant(parseOptions(argv, ['bank', 'client', 'from', 'until', 'by']))
    case 'revoke':
      return revoke(parseOptions(argv, ['bank', 'id']))
    case 'list':
      return list(parseOptions(argv, ['bank']).one('bank'))
    default:
      throw new UsageError('auditor grant, auditor revoke, or auditor list')
  }
}

async function grant(options: Arguments): Promise<number> {
  const from = options.maybe('from')
  const made = await withBroker((broker) =>
    grantAudit(broker, options.one('bank'), {
      kind: 'client',
      auditor: options.one('client'),
      until: timeOf('until', options.one('until')),
      ...(from === undefined ? {} : { from: timeOf('from', from) }),
      grantedBy: options.one('by'),
    }),
  )
  process.stdout.write(`${lineOf(made, Date.now())}\n`)
  return 0
}

async function revoke(options: Arguments): Promise<number> {
  const [bank, id] = [options.one('bank'), options.one('id')]
  const revoked = await withBroker((broker) => revokeGrant(broker.db, bank, id))
  if (!revoked) throw new AuditNotGranted(`no grant ${id} stands at ${bank}`)
  process.stdout.write(`${id} is revoked\n`)
  return 0
}

async function list(bank: string): Promise<number> {
  const grants = await withBroker((broker) => {
    bankNamed(broker, bank)
    return listGrants(broker.db, bank)
  })
  for (const one of grants) process.stdout.write(`${lineOf(one, Date.now())}\n`)
  return 0
}

const lineOf = (grant: AuditGrant, now: number): string =>
  `${grant.id}  ${grant.kind} ${grant.auditor}  ${grant.from} to ${grant.until}  by ${grant.grantedBy}  ${stateOf(grant, now)}`

function stateOf({ from, until, revoked }: AuditGrant, now: number): string {
  if (revoked !== undefined) return `revoked at ${revoked}`
  if (Date.parse(until) <= now) return 'ended'
  return Date.parse(from) > now ? 'not yet' : 'stands'
}

/** A day, which begins at midnight UTC, or a time. */
function timeOf(name: string, text: string): string {
  const wellFormed = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{3})?)?Z)?$/.test(text)
  const ms = wellFormed ? Date.parse(text) : NaN
  if (Number.isNaN(ms)) throw new UsageError(`--${name} is a date, or a time in UTC`)
  return new Date(ms).toISOString()
}
