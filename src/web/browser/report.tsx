import { unproven } from '../../ledger/unproven.ts'
import { reportAddress } from './api.ts'
import { useNavigation } from './navigation.tsx'
import { RangeForm } from './range_form.tsx'
import { utcTime } from './time.tsx'
import { wholeRange, type Range } from './view.ts'

/** One click to a report on a range, to print or to keep, with what it cannot show. */
export function ReportView({ range: asked }: { range: Range }) {
  const { bank } = useNavigation().place
  const range = wholeRange(asked, Date.now())
  return (
    <>
      <h1 tabIndex={-1}>Report</h1>
      <p class="lede">
        What was released and refused in a range, to whom, and the proofs: one document to print,
        one for programs.
      </p>
      <RangeForm
        range={range}
        view={(next) => ({ name: 'report', range: next })}
        action="Set range"
      />
      <section class="card" aria-labelledby="report-title">
        <h2 id="report-title">
          {utcTime(range.from)} until before {utcTime(range.to)}
        </h2>
        <div class="row">
          <a
            class="button"
            id="report-html"
            href={reportAddress(bank, { range, format: 'html' })}
            target="_blank"
            rel="noopener"
          >
            Open the report, to print
          </a>
          <a
            class="button quiet"
            id="report-json"
            href={reportAddress(bank, { range, format: 'json' })}
            download={`${bank}-report.json`}
          >
            Download it as JSON
          </a>
        </div>
        <p class="small soft">Each report is entered in the ledger as read by you.</p>
      </section>
      <section class="card" aria-labelledby="report-limits">
        <h2 id="report-limits">What no report can show</h2>
        <ul>
          {unproven.map((line) => (
            <li key={line}>{line}</li>
          ))}
        </ul>
      </section>
    </>
  )
}
