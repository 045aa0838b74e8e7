import type { AuditFilter } from '../ledger/audit_filter.ts'
import { ContractError } from './contract.ts'
import { utc } from './time_range.ts'

/** A filter as it was sent, in its one form: UUIDs in lower case, times in UTC. Throws `ContractError` for a range that is none. */
export function readFilter(asked: AuditFilter): AuditFilter {
  const { interaction, from, to, ...rest } = asked
  const filter = {
    ...rest,
    ...(interaction === undefined ? {} : { interaction: interaction.toLowerCase() }),
    ...(from === undefined ? {} : { from: utc(from, 'from', 0) }),
    ...(to === undefined ? {} : { to: utc(to, 'to', 0) }),
  }
  if (filter.from !== undefined && filter.to !== undefined && filter.from >= filter.to)
    throw wrong('to')
  const { from_index: first, to_index: end } = filter
  if (first !== undefined && end !== undefined && first >= end) throw wrong('to_index')
  return filter
}

const wrong = (name: string) =>
  new ContractError([{ in: 'query', name, detail: 'is not after the start' }])
