import { classNames } from '../../consent/class.ts'
import { clusterNames } from '../../consent/cluster.ts'
import { allowedPurposes } from '../../consent/purpose.ts'
import { refusalReasons } from '../../consent/refusal.ts'
import { kinds } from '../../ledger/entry.ts'

/** What entries are searched by: the parameters of `GET /audit/{bank}/entries`, as they stand in its URL and in ours. */
export type FilterName = keyof typeof filterTable

export type Filters = Readonly<Partial<Record<FilterName, string>>>

interface Filter {
  readonly label: string
  /** What can be chosen; without it, text. */
  readonly options?: readonly string[]
}

const oneOf = (label: string, options: readonly string[]): Filter => ({ label, options })
const text = (label: string): Filter => ({ label })

/** Every filter, in the order in which they are shown. */
export const filterTable = {
  kind: oneOf('Kind', kinds),
  class: oneOf('Class', classNames),
  reason: oneOf('Reason of refusal', refusalReasons),
  purpose: oneOf('Purpose', allowedPurposes),
  cluster: oneOf('Data cluster', clusterNames),
  actor: text('Actor'),
  consent: text('Consent'),
  recipient: text('Recipient'),
  interaction: text('Interaction'),
  code: text('Event code'),
  from: text('From'),
  to: text('Before'),
  from_index: text('From entry'),
  to_index: text('Before entry'),
  order: oneOf('Order', ['desc', 'asc']),
} satisfies Readonly<Record<string, Filter>>

export const filterNames = Object.keys(filterTable) as readonly FilterName[]

/** A filter by its name. */
export const filterOf = (name: FilterName): Filter => filterTable[name]

/** The filters that are set in a query; whatever else it holds is no filter. Values are for the server to judge. */
export function readFilters(query: URLSearchParams): Filters {
  const found = filterNames.flatMap((name) => {
    const value = query.get(name)
    return value === null || value === '' ? [] : [[name, value] as const]
  })
  return Object.fromEntries(found)
}

/** Writes filters as `readFilters` reads them, in the order of the table, so that equal filters have equal addresses. */
export function writeFilters(filters: Filters): URLSearchParams {
  const query = new URLSearchParams()
  for (const name of filterNames) {
    const value = filters[name]
    if (value !== undefined && value !== '') query.set(name, value)
  }
  return query
}

/** These filters without some of them. */
export const without = (filters: Filters, names: readonly FilterName[]): Filters =>
  Object.fromEntries(Object.entries(filters).filter(([name]) => !names.includes(name as never)))
