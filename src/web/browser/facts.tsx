import type { ComponentChildren } from 'preact'
import type { Entry } from '../../ledger/entry.ts'
import type { FilterName } from './filters.ts'
import { To } from './navigation.tsx'
import { utcTime } from './time.tsx'
import { figure } from '../../ledger/words.ts'
import { inWords, shortIri } from './words.ts'

/** What an entry says, member by member, each leading to the entries that say the same. */
export function Facts({ entry }: { entry: Entry }) {
  const { totals } = entry
  const body = Object.entries(entry.body as Readonly<Record<string, unknown>>)
  return (
    <section class="card" aria-labelledby="facts-title">
      <h2 id="facts-title">Facts</h2>
      <dl class="facts">
        {body.map(([name, value]) => (
          <div key={name}>
            <dt>{name.replaceAll('_', ' ')}</dt>
            <dd>
              <Value name={name} value={value} />
            </dd>
          </div>
        ))}
      </dl>
      <details>
        <summary>Totals of the ledger, this entry included</summary>
        <dl class="facts">
          {Object.entries(totals).map(([name, n]) => (
            <div key={name}>
              <dt>{inWords(name)}</dt>
              <dd>{figure(n)}</dd>
            </div>
          ))}
        </dl>
      </details>
    </section>
  )
}

/** Members that entries are searched by, under the name of the filter. */
const searchedBy: Readonly<Record<string, FilterName>> = {
  consent: 'consent',
  recipient: 'recipient',
  client: 'recipient',
  class: 'class',
  to: 'class',
  purpose: 'purpose',
  purposes: 'purpose',
  clusters: 'cluster',
  reason: 'reason',
  by: 'actor',
  actor: 'actor',
  interaction: 'interaction',
}

const isText = (value: unknown) => typeof value === 'string' || typeof value === 'number'

function Value({ name, value }: { name: string; value: unknown }): ComponentChildren {
  if (Array.isArray(value))
    return value.length === 0 ? (
      'none'
    ) : (
      <ul>
        {value.map((one: unknown) => (
          <li key={String(one)}>
            <Value name={name} value={one} />
          </li>
        ))}
      </ul>
    )
  if (name === 'prev' && typeof value === 'number')
    return <To view={{ name: 'entry', index: value }}>Entry {String(value)}</To>
  if (!isText(value)) return <code>{JSON.stringify(value)}</code>
  const text = String(value)
  const filter = searchedBy[name]
  if (filter !== undefined)
    return (
      <To view={{ name: 'search', filters: { [filter]: text } }}>
        <bdi>{text.startsWith('https:') ? shortIri(text) : text}</bdi>
      </To>
    )
  if (name === 'expires') return utcTime(text)
  return /[\w-]{20,}/.test(text) ? <code>{text}</code> : <bdi>{text}</bdi>
}
