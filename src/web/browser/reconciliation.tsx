import { searchEntries } from './api.ts'
import { coverageOf, type Coverage } from './coverage.ts'
import { useLoaded } from './loaded.ts'
import { To, useNavigation } from './navigation.tsx'
import { Shown } from './state_words.tsx'
import { utcTime } from './time.tsx'
import type { Range } from './view.ts'
import { count } from '../../ledger/words.ts'

const entries_max = 200

/** Whether what the bank says it served is what the ledger says was asked: mismatches, and time that nobody vouched for. */
export function Reconciliation({ range }: { range: Required<Range> }) {
  const { bank } = useNavigation().place
  const loaded = useLoaded(`${bank} ${range.from} ${range.to}`, async (signal) => {
    const find = (kind: string) =>
      searchEntries(bank, { filters: { kind, ...range }, limit: entries_max }, signal)
    const [statements, reconciles] = await Promise.all([find('statement'), find('reconcile')])
    const all = [statements, reconciles].every(({ page }) => page.next_cursor === undefined)
    const coverage = coverageOf(
      { statements: statements.entries, reconciles: reconciles.entries },
      range,
    )
    return { coverage, all }
  })
  return (
    <section class="card" aria-labelledby="reconciliation-title" id="reconciliation">
      <h2 id="reconciliation-title">Reconciliation with the bank</h2>
      <Shown loaded={loaded} what="statements">
        {({ coverage, all }) => <Status coverage={coverage} all={all} range={range} />}
      </Shown>
    </section>
  )
}

function Status({
  coverage,
  all,
  range,
}: {
  coverage: Coverage
  all: boolean
  range: Required<Range>
}) {
  const { statements, reconciled, requests, unknown, missing, dropped, gaps, mismatches } = coverage
  if (statements === 0 && reconciled === 0)
    return (
      <p>
        <strong>– The bank stated nothing in this range.</strong> So nothing here shows that every
        request the bank served has its entry.
      </p>
    )
  return (
    <>
      <p class={mismatches.length > 0 ? 'bad-words' : 'ok'}>
        <strong>
          {mismatches.length > 0
            ? `✗ ${count(unknown, 'request')} too many, ${missing} too few`
            : '✓ No mismatch found'}
        </strong>
      </p>
      <p>
        {all ? '' : 'At least '}
        {count(statements, 'statement')} of {count(requests, 'request')}, {reconciled} reconciled;{' '}
        {count(dropped, 'answer')} dropped.{' '}
        <To view={{ name: 'search', filters: { kind: 'reconcile', ...range } }}>All of them</To>
      </p>
      {mismatches.length > 0 && (
        <ul>
          {mismatches.map((n) => (
            <li key={n}>
              <To view={{ name: 'entry', index: n }}>Entry {String(n)}</To>
            </li>
          ))}
        </ul>
      )}
      {gaps.length > 0 && (
        <details>
          <summary>{count(gaps.length, 'span')} of time not covered by a statement</summary>
          <ul class="small">
            {gaps.map(({ from, to }) => (
              <li key={from}>
                {utcTime(from)} to {utcTime(to)}
              </li>
            ))}
          </ul>
        </details>
      )}
    </>
  )
}
