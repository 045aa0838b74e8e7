import { useState } from 'preact/hooks'
import { filterNames, filterOf, without, type FilterName, type Filters } from './filters.ts'
import { To, useNavigation } from './navigation.tsx'
import { forms, recognise } from './recognise.ts'
import { fromField, localTime, toField, utcTime } from './time.tsx'
import { inWords } from './words.ts'

/** One box that recognises what is typed, and a field for each filter. */
export function SearchForm({ filters }: { filters: Filters }) {
  const { go } = useNavigation()
  const [typed, setTyped] = useState('')
  const [refused, setRefused] = useState<readonly string[]>([])
  const { recognised, unknown } = recognise(typed)
  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    setRefused(unknown)
    if (unknown.length > 0) return
    const [only] = recognised
    const isEntry = recognised.length === 1 && only?.is === 'entry number'
    if (isEntry) return go({ name: 'entry', index: Number(only.word) })
    const chosen = readForm(new FormData(event.currentTarget as HTMLFormElement))
    const named = Object.assign({}, ...recognised.map((one) => one.filters)) as Filters
    go({ name: 'search', filters: { ...chosen, ...named } })
  }
  return (
    <form class="card search" role="search" onSubmit={submit}>
      <label for="q">Search entries</label>
      <div class="row tight">
        <input
          id="q"
          type="search"
          value={typed}
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          placeholder="consent, recipient, reason, date, entry number …"
          aria-describedby="q-is"
          onInput={({ currentTarget }) => setTyped(currentTarget.value)}
        />
        <button class="small-button" id="search">
          Search
        </button>
      </div>
      <p class="small soft" id="q-is">
        {typed.trim() === '' ? (
          <>
            Several words narrow it down. <kbd>/</kbd> brings you here.
          </>
        ) : (
          [
            ...recognised.map(({ word, is }) => `${word}: ${is}`),
            ...unknown.map((word) => `${word}: not recognised`),
          ].join(' · ')
        )}
      </p>
      {refused.length > 0 && <Refused words={refused} />}
      <Fields filters={filters} />
    </form>
  )
}

function Refused({ words }: { words: readonly string[] }) {
  return (
    <div class="note bad" role="alert" id="unrecognised">
      <p>
        Not recognised: <bdi>{words.join(' ')}</bdi>. What can be searched for:
      </p>
      <ul class="small">
        {forms.map(({ is, example }) => (
          <li key={is}>
            {is}: <code>{example}</code>
          </li>
        ))}
      </ul>
    </div>
  )
}

/** Stays as the reader left it, from one search to the next. */
const opened = { filters: false }

function Fields({ filters }: { filters: Filters }) {
  return (
    <details
      class="filters"
      open={opened.filters}
      onToggle={({ currentTarget }) => {
        opened.filters = currentTarget.open
      }}
    >
      <summary>Filters</summary>
      <div class="fields">
        {filterNames.map((name) => (
          <Field key={name} name={name} value={filters[name]} />
        ))}
      </div>
      <div class="row">
        <button class="small-button">Apply</button>
        <To class="button quiet" view={{ name: 'search', filters: {} }}>
          Clear all
        </To>
      </div>
    </details>
  )
}

function Field({ name, value }: { name: FilterName; value: string | undefined }) {
  const { label, options } = filterOf(name)
  const id = `filter-${name}`
  if (name === 'from' || name === 'to') return <TimeField {...{ name, id, label, value }} />
  if (options === undefined)
    return (
      <div>
        <label for={id}>{label}</label>
        <input
          {...{ id, name }}
          value={value ?? ''}
          autocomplete="off"
          spellcheck={false}
          {...(name.endsWith('index') && { inputMode: 'numeric', pattern: '[0-9]{1,16}' })}
        />
      </div>
    )
  const known = value === undefined || options.includes(value) ? options : [value, ...options]
  return (
    <div>
      <label for={id}>{label}</label>
      <select {...{ id, name }} value={value ?? ''}>
        {name === 'order' ? null : <option value="">Any</option>}
        {known.map((option) => (
          <option key={option} value={name === 'order' && option === 'desc' ? '' : option}>
            {orderWords[option] ?? inWords(option)}
          </option>
        ))}
      </select>
    </div>
  )
}

const orderWords: Readonly<Record<string, string>> = { desc: 'Newest first', asc: 'Oldest first' }

/** A time in UTC, with the same instant by the reader's clock beneath. */
export function TimeField({
  name,
  id,
  label,
  value,
}: {
  name: string
  id: string
  label: string
  value: string | undefined
}) {
  const [at, setAt] = useState(value)
  const local = at === undefined ? undefined : localTime(at)
  return (
    <div>
      <label for={id}>{label} (UTC)</label>
      <input
        {...{ id, name }}
        type="datetime-local"
        value={toField(value)}
        aria-describedby={`${id}-local`}
        onInput={({ currentTarget }) => setAt(fromField(currentTarget.value))}
      />
      <span class="small soft" id={`${id}-local`}>
        {local === undefined ? '' : `${local}, your time`}
      </span>
    </div>
  )
}

/** The filters that a form holds; times become instants. */
export function readForm(form: FormData): Filters {
  const set = filterNames.flatMap((name) => {
    const field = form.get(name)
    const text = typeof field === 'string' ? field.trim() : ''
    const value = name === 'from' || name === 'to' ? fromField(text) : text
    return value === undefined || value === '' ? [] : [[name, value] as const]
  })
  return Object.fromEntries(set)
}

/** What narrows the results, each with a way to take it away. */
export function ActiveFilters({ filters }: { filters: Filters }) {
  const active = filterNames.flatMap((name) => {
    const value = filters[name]
    return value === undefined || name === 'order' ? [] : [{ name, value }]
  })
  if (active.length === 0) return null
  return (
    <ul class="chips" aria-label="Filters in force">
      {active.map(({ name, value }) => (
        <li key={name}>
          <span>
            {filterOf(name).label}:{' '}
            <bdi>{name === 'from' || name === 'to' ? utcTime(value) : shown(name, value)}</bdi>
          </span>
          <To
            view={{ name: 'search', filters: without(filters, [name]) }}
            aria-label={`Remove ${filterOf(name).label}: ${value}`}
          >
            ×
          </To>
        </li>
      ))}
    </ul>
  )
}

const shown = (name: FilterName, value: string) =>
  filterOf(name).options === undefined ? value : inWords(value)
