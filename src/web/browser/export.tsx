import { useState } from 'preact/hooks'
import { beginExport, type ExportFormat } from './api.ts'
import { writeFilters, type Filters } from './filters.ts'
import { useLoaded } from './loaded.ts'
import { To, useNavigation } from './navigation.tsx'
import { ActiveFilters } from './search_form.tsx'
import { Shown } from './state_words.tsx'

const formats: readonly (readonly [ExportFormat, string, string])[] = [
  ['ndjson', 'NDJSON', 'One entry a line, as its exact bytes.'],
  ['csv', 'CSV', 'A table for spreadsheets, with the exact entry as its last column.'],
]

/** The entries of a search, to take away, with what it takes to check them elsewhere. */
export function ExportView({ filters }: { filters: Filters }) {
  const [format, setFormat] = useState<ExportFormat>()
  return (
    <>
      <h1 tabIndex={-1}>Export</h1>
      <p class="lede">
        The entries that match, with a signed manifest and the proof that each is in the ledger.
      </p>
      <section class="card" aria-labelledby="which">
        <h2 id="which">Which entries</h2>
        {writeFilters(filters).size === 0 ? (
          <p>All entries of the ledger that are signed and indexed.</p>
        ) : (
          <ActiveFilters filters={filters} />
        )}
        <p>
          <To view={{ name: 'search', filters }}>Change the filters in the search</To>
        </p>
        <ul class="downloads">
          {formats.map(([name, label, words]) => (
            <li key={name}>
              <button
                class={name === 'csv' ? 'small-button quiet' : 'small-button'}
                id={`export-${name}`}
                onClick={() => setFormat(name)}
              >
                Begin an export as {label}
              </button>
              <span class="small soft">{words}</span>
            </li>
          ))}
        </ul>
        <p class="small soft">Each export is entered in the ledger as read by you.</p>
      </section>
      {format !== undefined && (
        <Begun key={`${format} ${writeFilters(filters)}`} filters={filters} format={format} />
      )}
      <Limits />
    </>
  )
}

/** An export that was begun: three files, which belong together. The browser saves them as they come, however large. */
function Begun({ filters, format }: { filters: Filters; format: ExportFormat }) {
  const { bank } = useNavigation().place
  const begun = useLoaded('once', (signal) => beginExport(bank, { filters, format }, signal))
  return (
    <section class="card" aria-labelledby="take">
      <h2 id="take">Take all three files, into one folder</h2>
      <Shown loaded={begun} what="export">
        {(id) => {
          const at = `/audit/${bank}/exports/${id}`
          const name = `${bank}-${id}`
          return (
            <>
              <div class="row">
                <a class="button" id="get-entries" href={at} download={`${name}.${format}`}>
                  The entries
                </a>
                <a
                  class="button"
                  id="get-manifest"
                  href={`${at}/manifest`}
                  download={`${name}.manifest`}
                >
                  The signed manifest
                </a>
                <a class="button" id="get-proof" href={`${at}/proof`} download={`${name}.proof`}>
                  The proof
                </a>
              </div>
              <p class="small soft">
                Export <code id="export-id">{id}</code>: all three are of the same moment, and can
                be taken again under this id.
              </p>
            </>
          )
        }}
      </Shown>
    </section>
  )
}

function Limits() {
  return (
    <section class="card" aria-labelledby="limits">
      <h2 id="limits">What an export shows, and what it does not</h2>
      <ul>
        <li>
          Each entry in it is in the ledger, unchanged: the proof shows it under the key and the
          witnesses of your own policy.
        </li>
        <li>
          A filtered export does not show that nothing else matched. An export without filters is
          every entry, and replaying it shows that no rule was broken.
        </li>
        <li>Entries that are not signed yet, or not indexed, are not in it.</li>
        <li>
          It holds no names, account numbers or amounts: the ledger has none. Random ids still tell
          one consent from another, so treat it as personal data.
        </li>
      </ul>
      <p>
        Check the folder on a machine of your own, offline, with{' '}
        <a href="/web/verifier/verify.mjs">verify.mjs</a> (
        <code>node verify.mjs folder --policy policy</code>) or by dropping it on{' '}
        <a href="/web/verifier/verify.html">verify.html</a>. Compare the verifier’s hash with the
        one that was published, or take it from elsewhere: this copy comes from the party under
        audit.
      </p>
    </section>
  )
}
