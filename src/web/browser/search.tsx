import { useEffect, useRef } from 'preact/hooks'
import { useAnnouncement } from './announcer.tsx'
import { searchEntries, type EntriesPage } from './api.ts'
import { ActiveFilters, SearchForm } from './search_form.tsx'
import { EntryRows } from './entry_rows.tsx'
import type { Filters } from './filters.ts'
import { useLoaded } from './loaded.ts'
import { To, useNavigation } from './navigation.tsx'
import { Shown } from './state_words.tsx'
import { addressOf } from './view.ts'
import { count, figure } from '../../ledger/words.ts'

/** Entries, found by any combination of what they say. */
export function SearchView({ filters, cursor }: { filters: Filters; cursor?: string }) {
  const { bank } = useNavigation().place
  const here = { name: 'search', filters, ...(cursor && { cursor }) } as const
  const key = addressOf({ bank, view: here })
  const found = useLoaded(key, async (signal) => ({
    ...here,
    page: await searchEntries(bank, here, signal),
  }))
  const heading = useRef<HTMLHeadingElement>(null)
  const first = useRef(true)
  useEffect(() => {
    if (!first.current) heading.current?.focus()
    first.current = false
  }, [key])
  useAnnouncement(found.state === 'done' ? resultWords(found.value.page) : undefined)
  return (
    <>
      <h1 tabIndex={-1}>Search</h1>
      <SearchForm key={key} filters={filters} />
      <section aria-labelledby="results" aria-busy={found.state === 'loading'}>
        <h2 id="results" tabIndex={-1} ref={heading}>
          Results
        </h2>
        <ActiveFilters filters={filters} />
        <Shown loaded={found} what="entries">
          {(value) => <Results {...value} />}
        </Shown>
      </section>
    </>
  )
}

function Results({
  page,
  filters,
  cursor,
}: {
  page: EntriesPage
  filters: Filters
  cursor?: string
}) {
  return (
    <>
      <p class="soft" id="result-count">
        {resultWords(page)}{' '}
        <span>
          Searched: the first {count(page.size, 'entry', 'entries')}, all that are signed and
          indexed.
        </span>
      </p>
      {page.entries.length > 0 && <EntryRows entries={page.entries} />}
      <nav class="row" aria-label="Pages of results">
        {cursor !== undefined && (
          <To class="button quiet" view={{ name: 'search', filters }} id="first-page">
            First page
          </To>
        )}
        {page.page.next_cursor !== undefined && (
          <To
            class="button"
            id="next-page"
            rel="next"
            view={{ name: 'search', filters, cursor: page.page.next_cursor }}
          >
            Next {'→'}
          </To>
        )}
        {page.entries.length > 0 && (
          <To class="button quiet" view={{ name: 'export', filters }} id="to-export">
            Export these
          </To>
        )}
      </nav>
    </>
  )
}

/** How much was found, without claiming to know what was not counted. */
function resultWords({ entries, page: { next_cursor: next } }: EntriesPage): string {
  const n = entries.length
  if (n === 0) return 'No entry matches.'
  if (next === undefined) return `${count(n, 'entry', 'entries')} on this page, and none after it.`
  return `${figure(n)} entries on this page, and more after it.`
}
