import { classNames } from '../../consent/class.ts'
import { useAnnouncement } from './announcer.tsx'
import { readSeries } from './api.ts'
import { Chart, chartWords } from './chart.tsx'
import { chart, stepOf } from './charted.ts'
import { useLoaded } from './loaded.ts'
import { To, useNavigation } from './navigation.tsx'
import { RangeForm } from './range_form.tsx'
import { Reconciliation } from './reconciliation.tsx'
import { Shown } from './state_words.tsx'
import { splits, wholeRange, type Range, type Split } from './view.ts'
import { Witnesses } from './witnesses.tsx'
import { ZeroLines } from './zero_lines.tsx'

/** What happened in a range: the claim and its proof, the counts over time, and who vouches for the ledger. */
export function OverviewView({ range: asked, by }: { range: Range; by: Split }) {
  const now = Date.now()
  const range = wholeRange(asked, now)
  return (
    <>
      <div class="row between">
        <h1 tabIndex={-1}>Overview</h1>
        <To class="button quiet" view={{ name: 'report', range }} id="to-report">
          Report on this range
        </To>
      </div>
      <RangeForm
        range={range}
        view={(next) => ({ name: 'overview', range: next, by })}
        action="Show"
      />
      <ZeroLines range={range} />
      <Charts asked={asked} range={range} by={by} />
      <div class="pair">
        <Reconciliation range={range} />
        <Witnesses now={now} />
      </div>
    </>
  )
}

const splitWords: Readonly<Record<Split, string>> = {
  class: 'Class',
  purpose: 'Purpose',
  recipient: 'Recipient',
  reason: 'Reason of refusal',
}

function Charts({ asked, range, by }: { asked: Range; range: Required<Range>; by: Split }) {
  const { bank } = useNavigation().place
  const step = stepOf(range)
  const loaded = useLoaded(`${bank} ${range.from} ${range.to} ${by}`, async (signal) => {
    const { releases, refusals } = await readSeries(bank, { range, step, by }, signal)
    const laid = { ...range, step, keys: by === 'class' ? classNames : [] }
    return { releases: chart(releases, laid), refusals: chart(refusals, laid) }
  })
  useAnnouncement(
    loaded.state === 'done'
      ? `${chartWords(loaded.value.releases, 'releases')} ${chartWords(loaded.value.refusals, 'refusals')}`
      : undefined,
  )
  return (
    <section aria-labelledby="charts-title">
      <div class="row between">
        <h2 id="charts-title" class="section-title">
          Over time
        </h2>
        <nav class="segments" aria-label="Split the charts by">
          {splits.map((split) => (
            <To
              key={split}
              view={{ name: 'overview', range: asked, by: split }}
              aria-current={split === by ? 'page' : undefined}
            >
              {splitWords[split]}
            </To>
          ))}
        </nav>
      </div>
      <Shown loaded={loaded} what="counts">
        {({ releases, refusals }) => (
          <div class="pair">
            <Chart title="Releases" charted={releases} what="releases" />
            <Chart title="Refusals" charted={refusals} what="refusals" />
          </div>
        )}
      </Shown>
      <p class="small soft">
        Counted by the server. The zero lines above are proven; to hold every count against the
        signed ledger, verify an export.
      </p>
    </section>
  )
}
